"""MovieLens 1M: reading NCF's files and ratings.dat, and what the real data hold."""

import contextlib
import hashlib
import io
import random
import re
from importlib.resources import files

import pandas as pd
import pytest
import torch

from d2lrec import GMF, MF, evaluate_ranking
from d2lrec.data import ncf

# Three users with 50 items each, the last one held out; NCF's training file is not
# sorted.
SIZES = {"NUM_PAIRS": 147, "NUM_USERS": 3, "NUM_ITEMS": 150}
SEEN = [list(range(50 * user, 50 * user + 50)) for user in range(3)]
UNSEEN = [[item for item in range(150) if item not in seen][:99] for seen in SEEN]
LINES = {
    "ml-1m.train.rating": [
        f"{user}\t{item}\t5\t{item}"
        for user in (2, 0, 1)
        for item in reversed(SEEN[user][:-1])
    ],
    "ml-1m.test.rating": [f"{user}\t{SEEN[user][-1]}\t5\t999" for user in range(3)],
    "ml-1m.test.negative": [
        "\t".join([f"({user},{SEEN[user][-1]})", *map(str, UNSEEN[user])])
        for user in range(3)
    ],
}
TRAIN, TEST, NEGATIVE = LINES


def bytes_of(lines):
    return "".join(f"{line}\n" for line in lines).encode()


NCF = {name: bytes_of(lines) for name, lines in LINES.items()}
# The same as GroupLens has it: users from 1, films with numbers of their own.
RATINGS = bytes_of(
    f"{user + 1}::{3952 - 7 * item}::5::{978300000 + item}"
    for user in range(3)
    for item in SEEN[user]
)


PAIRS = [
    [item // 50 for item in range(150) if item % 50 < 49],
    [item for item in range(150) if item % 50 < 49],
]
PAIRS_BYTES = b"".join(
    (150 * user + item).to_bytes(8, "little") for user, item in zip(*PAIRS, strict=True)
)
SIZES["PAIRS_SHA256"] = hashlib.sha256(PAIRS_BYTES).hexdigest()


@pytest.fixture
def small(monkeypatch):
    """Let the files above be of the right size, and their pairs the right ones."""
    for name, value in SIZES.items():
        monkeypatch.setattr(ncf, name, value)


def lists(*tensors):
    assert {tensor.dtype for tensor in tensors} == {torch.int64}
    return [tensor.tolist() for tensor in tensors]


def test_ncfs_files_become_sorted_pairs_and_candidates(small):
    users, items, candidates, split = ncf.parse_ml1m(NCF)
    assert lists(users, items) == PAIRS
    assert candidates.tolist() == [[SEEN[user][-1], *UNSEEN[user]] for user in range(3)]
    assert split == "with NCF's negatives"


def test_a_training_file_of_two_columns_gives_the_same(small):
    two_columns = [line.rsplit("\t", 2)[0] for line in LINES[TRAIN]]
    files = NCF | {TRAIN: bytes_of(two_columns)}
    assert lists(*ncf.parse_ml1m(files)[:3]) == lists(*ncf.parse_ml1m(NCF)[:3])


def replaced(name, line, by):
    """NCF's files, one line of one file replaced by none, one or several."""
    lines = LINES[name].copy()
    lines[line : line + 1] = by
    return {name: bytes_of(lines)}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({TRAIN: b""}, f"{TRAIN}: No columns"),
        ({TRAIN: b"<html>Sign in</html>"}, f"{TRAIN}: "),
        (
            {TRAIN: NCF[TRAIN][: NCF[TRAIN].rindex(b"\n", 0, -1) + 2]},
            f"{TRAIN}: .*NA values",
        ),
        (replaced(TRAIN, 1, ["0\tten"]), f"{TRAIN}: .*ten"),
        (replaced(TRAIN, 1, [f"0\t{10**20}"]), f"{TRAIN}: .*verflow"),
        (replaced(TRAIN, 1, ["3\t0"]), f"{TRAIN}: users must be from 0 to 2, got 3"),
        (
            replaced(TRAIN, 1, ["0\t150"]),
            f"{TRAIN}: items must be from 0 to 149, got 150",
        ),
        (replaced(TRAIN, 1, ["0\t-1"]), f"{TRAIN}: items must be .* got -1"),
        (replaced(TRAIN, 1, [f"0\t{SEEN[0][-1]}"]), f"{TRAIN} has a held-out pair"),
        (
            replaced(TRAIN, 1, []),
            f"{TRAIN} gives (146, 3, 149) pairs, users and items, not (147",
        ),
        (replaced(TRAIN, 1, LINES[TRAIN][:1]), f"{TRAIN} gives (146, 3, 149) pairs"),
        (
            {TRAIN: NCF[TRAIN].replace(b"0\t7\t", b"1\t7\t")},
            f"{TRAIN} has other pairs than it",
        ),
        (replaced(TEST, 1, []), f"{TEST} must hold out one item of each user"),
        (replaced(TEST, 1, ["1\t150"]), f"{TEST}: items must be .* got 150"),
        (
            replaced(TEST, 1, ["1\t98"]),
            f"{TEST} and {NEGATIVE} hold out different pairs",
        ),
        (replaced(NEGATIVE, 1, []), f"{TEST} and {NEGATIVE} hold out different pairs"),
        (
            {NEGATIVE: NCF[NEGATIVE][:-10]},
            f"{NEGATIVE}, line 3: there must be 99 negatives",
        ),
        (
            replaced(NEGATIVE, 0, [LINES[NEGATIVE][0] + "\t1"]),
            f"{NEGATIVE}, line 1: there must",
        ),
        (
            {NEGATIVE: NCF[NEGATIVE].replace(b"\t60\t", b"\t150\t", 1)},
            f"{NEGATIVE}: items must be",
        ),
        ({NEGATIVE: b""}, f"{NEGATIVE}: No columns"),
    ],
)
def test_wrong_files_are_refused_by_name(wrong, message, small):
    with pytest.raises(ValueError, match=re.escape(message).replace(r"\.\*", ".*")):
        ncf.parse_ml1m(NCF | wrong)


@pytest.mark.parametrize("columns", [2, 4])
def test_no_byte_of_the_training_file_can_change_a_pair(columns, small):
    content = bytes_of("\t".join(line.split("\t")[:columns]) for line in LINES[TRAIN])
    right, chance, refused = lists(*ncf.parse_ml1m(NCF)[:2]), random.Random(0), 0
    for _ in range(200):
        place = chance.randrange(len(content))
        other = chance.choice(
            [content[place] ^ 1 << chance.randrange(8), *b"0123456789\t\n"]
        )
        changed = content[:place] + bytes([other]) + content[place + 1 :]
        try:
            found = lists(*ncf.parse_ml1m(NCF | {TRAIN: changed})[:2])
        except ValueError:
            refused += 1
        else:
            assert found == right, (place, other)
    assert refused > 50  # the rest changed nothing, or columns that are not read


def test_ratings_are_cut_by_ncfs_rule(small):
    users, items, candidates, split = ncf.parse_ml1m({"ratings.dat": RATINGS})
    assert lists(users, items) == PAIRS
    assert candidates[:, 0].tolist() == [seen[-1] for seen in SEEN]
    assert candidates.shape == (3, 100)
    assert split == "split by NCF's rule with seeded negatives of our own"
    for row, seen in zip(candidates.tolist(), SEEN, strict=True):
        assert len({*row[1:]} - {*seen}) == 99
    assert torch.equal(candidates, ncf.parse_ml1m({"ratings.dat": RATINGS})[2])


def test_items_are_numbered_by_first_appearance_and_the_latest_is_held_out():
    content = b"1::3000::5::30\n1::7::1::20\n2::50::3::40\n2::3000::4::10\n"
    users, items, candidates = ncf.cut_ratings(content, num_items=200)
    assert lists(users, items) == [[0, 1], [1, 0]]
    assert candidates[:, 0].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "No columns"),
        (b"1::2::5\n", "columns expected but not found"),
        (RATINGS[: RATINGS.rindex(b"::")], "NA values"),
        (RATINGS + RATINGS[: RATINGS.index(b"\n")], "occurs twice"),
        (b"0" + RATINGS[1:], r"users must be from 0 to \d+, got -1"),
        (RATINGS + b"1::1::5::1\n", "items must be from 0 to 149, got 150"),
        (RATINGS.partition(b"\n")[2], r"\(146, 3, 149\) pairs, users and items"),
    ],
)
def test_wrong_ratings_are_refused_by_name(content, message, small):
    with pytest.raises(ValueError, match=f"ratings.dat.*{message}"):
        ncf.parse_ml1m({"ratings.dat": content})


@pytest.fixture(scope="session")
def real():
    """What `read_data_ml1m` returns and prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            return ncf.read_data_ml1m(), printed
        except OSError as error:
            pytest.skip(str(error).splitlines()[0])


def test_the_data_are_those_of_movielens_1m(real):
    (num_users, num_items, users, items, candidates), printed = real
    assert re.fullmatch(
        r"MovieLens 1M read from .*, (with|split by) NCF's .*\n", printed.getvalue()
    )
    assert (num_users, num_items) == (6040, 3706)
    assert {users.dtype, items.dtype, candidates.dtype} == {torch.int64}
    assert users.shape == items.shape == (994_169,)
    pairs = users * num_items + items
    assert (pairs.diff() > 0).all()
    if "with NCF's negatives" in printed.getvalue():
        assert hashlib.sha256(pairs.numpy().tobytes()).hexdigest() == ncf.PAIRS_SHA256
    assert candidates.shape == (6040, 100)
    assert not torch.isin(
        torch.arange(6040)[:, None] * num_items + candidates, pairs
    ).any()
    assert torch.cat([items, candidates[:, 0]]).unique().equal(torch.arange(3706))
    held_out_twice = (candidates[:, 1:] == candidates[:, :1]).any(dim=1).sum()
    assert held_out_twice == (
        156 if "with NCF's negatives" in printed.getvalue() else 0
    )


def test_the_stored_runs_begin_where_ours_do(real):
    """Epoch 0 of d2lrec/results/ncf.csv, which `make ncf` writes and the page gmf shows."""
    (num_users, num_items, *_, candidates), printed = real
    if "with NCF's negatives" not in printed.getvalue():
        pytest.skip("the stored figures are those of NCF's negatives")
    stored = pd.read_csv(files("d2lrec") / "results" / "ncf.csv")
    assert (stored.groupby(["model", "seed"]).epoch.apply(list).map(len) == 21).all()
    begin = stored[stored.epoch == 0].set_index(["model", "seed"])
    assert len(begin) == 6
    for (name, seed), row in begin.iterrows():
        torch.manual_seed(seed)
        options = {"biases": False} if name == "MF" else {}
        model = {"GMF": GMF, "MF": MF}[name](32, num_users, num_items, **options)
        found = evaluate_ranking(model, candidates)
        assert found == pytest.approx(row[["hit_rate", "ndcg"]].to_dict(), abs=4e-4)
