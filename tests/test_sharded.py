"""The script that trains MF on tables split over processes, under torchrun."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp

from d2lrec import load_data_ml100k, split_data_ml100k

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "sharded.py"
SIZES = {"user": 943, "item": 1682}
NUM_EPOCHS = 3

needs_torchrec = pytest.mark.skipif(
    find_spec("torchrec") is None, reason="there is no TorchRec: pip install '.[scale]'"
)


# What TorchRec says when it is imported, and that a checkpoint is read by one process.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore:torch.distributed is disabled"
)


def command(num_processes, *options):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [
        *torchrun,
        "--nproc-per-node",
        str(num_processes),
        SCRIPT,
        *map(str, options),
    ]


def run(num_processes, folder, *options):
    """Run the script to its end: its output."""
    options = "--epochs", NUM_EPOCHS, "--checkpoints", folder, *options
    done = subprocess.run(
        command(num_processes, *options), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def start_and_kill_one(folder):
    """Start two processes, and kill the second as soon as the first checkpoint is whole."""
    options = "--epochs", NUM_EPOCHS, "--checkpoints", folder
    with subprocess.Popen(
        command(2, *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as started:
        line = next(
            line for line in started.stdout if line.startswith("process 1 of 2")
        )
        while not (folder / "epoch-0001").exists():
            assert started.poll() is None
            time.sleep(0.01)
        os.kill(int(re.search(r"pid (\d+)", line)[1]), signal.SIGKILL)
        started.communicate(timeout=60)
    assert started.returncode != 0


def tables_in(folder, epoch=NUM_EPOCHS):
    """All tables and optimizer states of a checkpoint, whole, as one process reads them."""
    keys = {name: f"tables.embeddings.{name}.weight" for name in SIZES}
    state = {
        "tables": {keys[name]: torch.zeros(size, 32) for name, size in SIZES.items()},
        "optimizer": {
            "state": {
                keys[name]: {f"{name}.momentum1": torch.zeros(size)}
                for name, size in SIZES.items()
            }
        },
    }
    dcp.load(state, checkpoint_id=folder / f"epoch-{epoch:04}")
    momentum = [
        next(iter(each.values())) for each in state["optimizer"]["state"].values()
    ]
    return [*state["tables"].values(), *momentum]


def assert_same(found, expected, **tolerance):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


@pytest.fixture(scope="module")
def by_two(tmp_path_factory, ml100k):
    """(folder of checkpoints, output) of two processes that nothing happened to."""
    folder = tmp_path_factory.mktemp("by_two")
    return folder, run(2, folder)


@pytest.fixture(scope="module")
def killed(tmp_path_factory, ml100k):
    """The folder that a run left, one of whose two processes was killed in the second epoch."""
    folder = tmp_path_factory.mktemp("killed")
    start_and_kill_one(folder)
    return folder


@needs_torchrec
def test_each_process_owns_half_of_the_rows_of_each_table(by_two):
    folder, output = by_two
    owned = re.findall(
        r"process (\d) of 2, .* rows (\d+) to (\d+) of (\w+), (\d+) bytes", output
    )
    assert sorted(
        (name, rank, int(a), int(b), int(size)) for rank, a, b, name, size in owned
    ) == [
        ("item", "0", 0, 840, 841 * 128),
        ("item", "1", 841, 1681, 841 * 128),
        ("user", "0", 0, 471, 472 * 128),
        ("user", "1", 472, 942, 471 * 128),
    ]
    whole = folder / f"epoch-{NUM_EPOCHS:04}"
    metadata = dcp.FileSystemReader(whole).read_metadata().state_dict_metadata
    chunks = {
        key: [tuple(chunk.sizes) for chunk in entry.chunks]
        for key, entry in metadata.items()
        if key.startswith(("tables", "optimizer"))
    }
    assert sorted(chunks.values()) == [
        [(471 + 1,), (471,)], [(472, 32), (471, 32)], [(841,), (841,)], [(841, 32), (841, 32)],
    ]  # fmt: skip


@needs_torchrec
def test_one_process_does_what_two_do_and_what_plain_torch_does(
    by_two, tmp_path, ml100k
):
    assert run(1, tmp_path).splitlines()[-1] == by_two[1].splitlines()[-1]  # test RMSE
    by_one = tables_in(tmp_path)
    assert_same(tables_in(by_two[0]), by_one, rtol=1e-3, atol=1e-5)
    assert_same(by_plain_torch(*ml100k), by_one, rtol=1e-3, atol=1e-5)


def by_plain_torch(data, num_users, num_items, batch_size=1024, lr=0.07, penalty=0.07):
    """The script's training on one machine, with row-wise Adagrad written out."""
    rest, _ = split_data_ml100k(data, num_users, num_items)
    users, items, stars = load_data_ml100k(rest, num_users, num_items)[:3]
    drawn = torch.Generator().manual_seed(0)
    tables = [torch.zeros(size, 32) for size in SIZES.values()]
    for table in tables:
        table[:, :31].normal_(std=0.01, generator=drawn)
        table.requires_grad_()
    sums = [torch.zeros(size) for size in SIZES.values()]
    shuffled = torch.Generator().manual_seed(0)
    for _ in range(NUM_EPOCHS):
        for batch in torch.randperm(len(stars), generator=shuffled).split(batch_size):
            u, i = tables[0][users[batch]], tables[1][items[batch]]
            score = stars.mean() + (u[:, :30] * i[:, :30]).sum(1) + u[:, 30] + i[:, 30]
            squares = u.square().sum(1) + i.square().sum(1)
            loss = ((score - stars[batch]).square() + penalty * squares).mean()
            for table, total, grad in zip(
                tables, sums, torch.autograd.grad(loss, tables), strict=True
            ):
                total += grad.square().mean(1)
                table.data -= lr * grad / (total.sqrt() + 1e-8)[:, None]
    return [*(table.detach() for table in tables), *sums]


@needs_torchrec
def test_a_killed_run_goes_on_as_if_nothing_had_happened(by_two, killed, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(killed, folder)
    (folder / "epoch-0009.part").mkdir()  # half-written: no checkpoint
    (folder / "epoch-0009.part" / "__0_0.distcp").write_bytes(b"half")
    assert not (folder / f"epoch-{NUM_EPOCHS:04}").exists()
    output = run(2, folder)
    assert "epoch 1:" not in output  # what was done is not done again
    assert output.splitlines()[-1] == by_two[1].splitlines()[-1]
    assert_same(tables_in(folder), tables_in(by_two[0]), rtol=0, atol=0)


@needs_torchrec
def test_one_process_goes_on_where_two_were(by_two, killed, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(killed, folder)
    assert "epoch 1:" not in run(1, folder)
    assert_same(tables_in(folder), tables_in(by_two[0]), rtol=1e-3, atol=1e-5)


@pytest.fixture
def script(monkeypatch):
    """The script as a module, in a process group of this process alone."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield load_script()
    dist.destroy_process_group()


def load_script():
    spec = spec_from_file_location("sharded", SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_torchrec
def test_a_checkpoint_of_another_run_is_refused(script, tmp_path):
    settings = {"lr": 0.07, "seed": 0}
    script.save(tmp_path, {"epoch": 3}, settings)
    with pytest.raises(
        SystemExit, match=r"epoch-0003 is of another run, which had lr 0.07, not 1"
    ):
        script.resume(tmp_path, 5, {"epoch": 0}, settings | {"lr": 1})
    with pytest.raises(SystemExit, match=r"epoch-0003 is beyond --epochs 2"):
        script.resume(tmp_path, 2, {"epoch": 0}, settings)


@needs_torchrec
def test_only_the_newest_whole_checkpoint_is_read_and_kept(script, tmp_path):
    for epoch in (1, 2):
        script.save(tmp_path, {"epoch": epoch}, {})
    (tmp_path / "epoch-0003.part").mkdir()
    state = {"epoch": 0}
    script.resume(tmp_path, 5, state, {})
    assert state == {"epoch": 2}
    script.save(tmp_path, {"epoch": 3}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0003"]


@needs_torchrec
@pytest.mark.parametrize(
    ("num_processes", "message"),
    [("2", "--batch-size 1023 is not a multiple of 2"), ("", "start it so: torchrun")],
)
def test_a_mistake_is_named(script, monkeypatch, capsys, num_processes, message):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--batch-size", "1023"])
    monkeypatch.setenv("WORLD_SIZE", num_processes or "0")
    with pytest.raises(SystemExit):
        script.parse()
    assert message in capsys.readouterr().err


def test_without_torchrec_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchrec", None)
    with pytest.raises(SystemExit, match=r"pip install '\.\[scale\]'"):
        load_script()
