"""Checkpoints: what is kept, what is refused, and what a killed run leaves."""

import copy
import io
import os
import pickle
import random
import time
import zipfile

import pytest
import torch
from systems import SEPARATE_PROCESS, posix_only
from torch import nn

from d2lrec import GMF, MF, load_checkpoint, save_checkpoint
from d2lrec.checkpoints import read_checkpoint

REFUSED = "is not a checkpoint of a model"
IDS = {
    "users": [3, 5, 900_000_000_000],
    "items": ["tt01", "ä", ""],
    "kind": torch.arange(3),
}


class Ids:
    num_users, num_items = 5, 6

    def state_dict(self):
        return IDS


def states_equal(one, other):
    if one.keys() != other.keys():
        return False
    pairs = [(value, other[name]) for name, value in one.items()]
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def saved(state, **options):
    content = io.BytesIO()
    torch.save(state, content, **options)
    return content.getvalue()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "best.pt"


@pytest.fixture
def model():
    return MF(2, 5, 6, init_std=1.0, global_mean=3.5)


def refuses(path, match, make_model=lambda: MF(2, 5, 6)):
    """Whether loading leaves the model; the refusal must be short and name the file."""
    model = make_model()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=match) as refusal:
        load_checkpoint(model, path)
    assert str(path) in str(refusal.value)
    assert len(str(refusal.value)) < 500
    return states_equal(model.state_dict(), before)


@pytest.mark.parametrize("ids", [None, Ids()], ids=["without ids", "with ids"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: MF(2, 5, 6, 1.0, 3.5),
        lambda: MF(0, 5, 6, biases=False),
        lambda: GMF(2, 5, 6),
    ],
    ids=["MF", "no factors", "GMF"],
)
def test_what_is_saved_is_loaded_to_the_bit(make, ids, path):
    model, other = make(), make()
    save_checkpoint(model, path, ids)
    load_checkpoint(other, str(path))
    assert states_equal(other.state_dict(), model.state_dict())
    parameters, kept = read_checkpoint(path)
    assert states_equal(parameters, model.state_dict())
    if ids is None:
        assert kept is None
    else:
        assert {**kept, "kind": kept["kind"].tolist()} == {**IDS, "kind": [0, 1, 2]}


def test_without_ids_it_is_a_plain_file_of_pytorch(model, path):
    save_checkpoint(model, path)
    assert states_equal(torch.load(path, weights_only=True), model.state_dict())


def test_a_plain_file_of_pytorch_is_a_checkpoint(model, path):
    """That is what the first edition of the package has written."""
    torch.save(model.state_dict(), path)
    other = MF(2, 5, 6)
    load_checkpoint(other, path)
    assert states_equal(other.state_dict(), model.state_dict())


def test_a_model_may_have_a_parameter_of_that_name(path):
    def make():
        model = MF(2, 5, 6)
        model.ids = nn.Parameter(torch.rand(2))
        model.parts = nn.ParameterDict({"ids": torch.rand(3)})
        return model

    model, other = make(), make()
    for ids in (None, Ids()):
        save_checkpoint(model, path, ids)
        load_checkpoint(other, path)
        assert states_equal(other.state_dict(), model.state_dict())


def test_values_that_are_no_numbers_are_given_back(model, path):
    with torch.no_grad():
        model.P.weight[0] = torch.tensor([torch.nan, -torch.inf])
    save_checkpoint(model, path)
    other = MF(2, 5, 6)
    load_checkpoint(other, path)
    bits = [m.P.weight.detach().view(torch.int32) for m in (model, other)]
    assert torch.equal(*bits)


@pytest.mark.parametrize(
    ("sizes", "names"),
    [
        ((3, 5, 6), "P.weight is .5, 2"),
        ((2, 4, 6), "P.weight is .5, 2"),
        ((2, 5, 7), "Q.weight"),
    ],
)
def test_another_shape_is_refused(sizes, names, model, path):
    save_checkpoint(model, path)
    assert refuses(path, f"does not fit the model: {names}", lambda: MF(*sizes))


def test_another_model_is_refused(model, path):
    save_checkpoint(model, path)
    match = r"model: user_bias\.weight is \(5, 1\) torch.float32, not absent"
    assert refuses(path, match, lambda: MF(2, 5, 6, biases=False))
    assert refuses(
        path, r"model: h\.weight is absent, not \(1, 2\)", lambda: GMF(2, 5, 6)
    )


TABLES = {
    "bool": lambda x: x > 0,
    "int8": lambda x: x.to(torch.int8),
    "int64": lambda x: x.long(),
    "half": lambda x: x.half(),
    "bfloat16": lambda x: x.bfloat16(),
    "double": lambda x: x.double(),
    "complex": lambda x: x * (1 + 0j),
    "quantized": lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
    "sparse": lambda x: x.to_sparse(),
    "CSR": lambda x: x.to_sparse_csr(),
    "meta": lambda x: x.to("meta"),
    "nested": lambda x: torch.nested.nested_tensor([x[0], x[1]]),
    "rows": lambda x: [x[0], x[1]],
    "list": lambda x: x.tolist(),
    "number": lambda x: 3.0,
    "None": lambda x: None,
    "dict": lambda x: {"weight": x},
}


@pytest.mark.filterwarnings("ignore:.*quantized|.*nested|Sparse:UserWarning")
@pytest.mark.parametrize("name", ["P.weight", "item_bias.weight"])  # first and last
@pytest.mark.parametrize("kind", TABLES)
def test_a_table_of_another_kind_is_refused(kind, name, model, path):
    state = model.state_dict()
    state[name] = TABLES[kind](state[name])
    path.write_bytes(saved(state))
    assert refuses(path, f"does not fit the model: {name}|{REFUSED}")


@pytest.mark.parametrize(
    "change", ["a further one", "one less", "another name", "a number"]
)
def test_other_names_are_refused(change, model, path):
    state = dict(model.state_dict())
    table = state["Q.weight"]
    if change != "a further one":
        del state["Q.weight"]
    if change != "one less":
        state[7 if change == "a number" else "R.weight"] = table
    torch.save(state, path)
    assert refuses(path, "does not fit the model: (Q|R).weight is")


def zip_of(files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


STATE = MF(2, 5, 6).state_dict()
CONTENTS = {
    "nothing": b"",
    "text": b"not a checkpoint",
    "long text": b"This is a poem.\n" * 40_000,
    "CSV": b"userId,movieId,rating\n1,2,3.5\n",
    "JSON": b'{"P.weight": [[1, 2]]}',
    "pickle": pickle.dumps({"P.weight": [1.0]}),
    "pickled opcodes": b"\x80\x02.",
    "text that is pickle": b"cos\nsystem\n(S'true'\ntR.",
    "number": saved(3.0),
    "tensor": saved(torch.rand(3)),
    "list": saved([torch.rand(3)]),
    "list of pairs": saved(list(STATE.items())),
    "string": saved("P.weight"),
    "None": saved(None),
    "ids alone": saved({"ids": IDS}),
    "ids of a list": saved({"parameters": STATE, "ids": [1, 2]}),
    "parameters of a list": saved({"parameters": [1], "ids": IDS}),
    "an older format of PyTorch": saved(STATE, _use_new_zipfile_serialization=False),
    "a zip": zip_of({"ratings.csv": "1,2,3"}),
    "an empty zip": zip_of({}),
    "a zip like ours": zip_of(
        {"archive/data.pkl": b"\x80\x02}.", "archive/version": b"3\n"}
    ),
    "a zip with text in it": zip_of(
        {"archive/data.pkl": b"text", "archive/version": b"3\n"}
    ),
    "the first half": saved(STATE)[:1000],
    "the second half": saved(STATE)[1000:],
    "zeros": bytes(3000),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_file_of_another_kind_is_refused(kind, path):
    path.write_bytes(CONTENTS[kind])
    assert refuses(path, f"{REFUSED}|does not fit the model")
    assert path.read_bytes() == CONTENTS[kind]


def test_a_folder_is_refused(path):
    path.mkdir()
    assert refuses(path, REFUSED)


def test_an_empty_state_is_that_of_a_model_without_parameters(path):
    torch.save({}, path)
    assert refuses(path, "does not fit the model: .* is absent")
    load_checkpoint(nn.ReLU(), path)


@pytest.mark.parametrize("name", ["best.pt", "folder/best.pt"])
def test_a_missing_checkpoint_is_reported(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"best\.pt"):
        load_checkpoint(MF(2, 5, 6), tmp_path / name)


@posix_only
def test_a_link_to_nowhere_is_reported(tmp_path):
    (tmp_path / "link.pt").symlink_to(tmp_path / "best.pt")
    with pytest.raises(FileNotFoundError, match=r"link\.pt"):
        load_checkpoint(MF(2, 5, 6), tmp_path / "link.pt")


def test_a_pickled_object_is_not_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    torch.save(Trap(), tmp_path / "trap.pt")
    assert refuses(tmp_path / "trap.pt", REFUSED)
    torch.save({"parameters": STATE, "ids": {"users": Trap()}}, tmp_path / "trap.pt")
    assert refuses(tmp_path / "trap.pt", REFUSED)
    assert not (tmp_path / "sprung").exists()


def refused_or_same(path, content, model, ids):
    """Whether a content is refused; if not, it must be loaded as it was saved."""
    path.write_bytes(content)
    other = MF(2, 5, 6)
    before = copy.deepcopy(other.state_dict())
    try:
        load_checkpoint(other, path)
    except ValueError:
        assert states_equal(other.state_dict(), before)
        return True
    assert states_equal(other.state_dict(), model.state_dict())
    kept = read_checkpoint(path)[1]
    assert kept is None if ids is None else kept["users"] == IDS["users"]
    return False


# How an entry of the directory begins that ends a zip archive, and where in it the
# attributes are of the file it is about.
DIRECTORY, ATTRIBUTES = b"PK\x01\x02", 38
FOLDER = 1 << 4  # the attribute of a folder


@pytest.mark.parametrize("ids", [None, Ids()], ids=["without ids", "with ids"])
def test_a_flipped_bit_is_noticed_or_changes_nothing(ids, model, path):
    save_checkpoint(model, path, ids)
    saved_bytes = path.read_bytes()
    refused = 0
    for bit in random.Random(0).sample(range(8 * len(saved_bytes)), 200):
        content = bytearray(saved_bytes)
        content[bit // 8] ^= 1 << bit % 8
        refused += refused_or_same(path, bytes(content), model, ids)
    assert refused > 50  # much of this small file is padding


def test_a_bit_that_makes_a_folder_of_a_table_changes_nothing(model, path):
    """For torch.load alone, this bit in the archive's directory makes a table 0."""
    save_checkpoint(model, path)
    saved_bytes = path.read_bytes()
    places = range(len(saved_bytes))
    entries = [n for n in places if saved_bytes.startswith(DIRECTORY, n)]
    assert len(entries) > len(model.state_dict())
    for entry in entries:
        content = bytearray(saved_bytes)
        content[entry + ATTRIBUTES] ^= FOLDER
        refused_or_same(path, bytes(content), model, None)


def test_a_truncated_checkpoint_is_refused(model, path):
    save_checkpoint(model, path)
    saved_bytes = path.read_bytes()
    for size in [*range(0, len(saved_bytes), 50), len(saved_bytes) - 1]:
        assert refused_or_same(path, saved_bytes[:size], model, None)


def keep_saving(path):
    torch.set_num_threads(1)  # a forked process has no other threads
    model = MF(200, 1000, 2000)
    while True:
        save_checkpoint(model, path)


@posix_only
@pytest.mark.parametrize("wait", [0.0, 0.003, 0.007, 0.013])
def test_a_killed_run_leaves_no_damaged_checkpoint(wait, path):
    run = SEPARATE_PROCESS.Process(target=keep_saving, args=(path,))
    run.start()
    while not path.exists():
        assert run.is_alive()
        time.sleep(0.001)
    time.sleep(0.05 + wait)
    run.kill()
    run.join()
    load_checkpoint(MF(200, 1000, 2000), path)


def test_a_failed_write_keeps_the_old_checkpoint(model, path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    save_checkpoint(model, path)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"No space left on device: .*best\.pt"):
        save_checkpoint(MF(2, 5, 6), path)
    other = MF(2, 5, 6)
    load_checkpoint(other, path)
    assert states_equal(model.state_dict(), other.state_dict())
    assert [file.name for file in path.parent.iterdir()] == ["best.pt"]
