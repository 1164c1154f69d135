"""MovieLens 1M: reading NCF's files and ratings.dat, and what the real data hold."""

import contextlib
import hashlib
import io
import random
import re
from importlib.resources import files

import pandas as pd
import pytest
import small_ml1m
import torch
from small_ml1m import (
    CANDIDATES,
    LINES,
    NCF,
    PAIRS,
    RATINGS,
    RATINGS_LINES,
    SEEN,
    bytes_of,
)

from d2lrec import GMF, MF, evaluate_ranking, read_data_ml1m
from d2lrec.data import download, ncf, sources

TRAIN, NEGATIVE = LINES


@pytest.fixture
def small(monkeypatch):
    small_ml1m.let_be_right(monkeypatch, ncf)


def lists(*tensors):
    assert {tensor.dtype for tensor in tensors} == {torch.int64}
    return [tensor.tolist() for tensor in tensors]


def test_ncfs_files_become_sorted_pairs_and_candidates(small):
    users, items, candidates, split = ncf.parse_ml1m(NCF)
    assert lists(users, items, candidates) == [*PAIRS, CANDIDATES]
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


OTHER_PAIRS = f"{TRAIN}: its pairs are others"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({TRAIN: b""}, f"{TRAIN}: No columns"),
        ({TRAIN: b"<html>Sign in</html>"}, f"{TRAIN}: "),
        ({TRAIN: NCF[TRAIN].rstrip()[:-9]}, f"{TRAIN}: "),
        (replaced(TRAIN, -1, ["1"]), f"{TRAIN}: .*NA values"),
        (replaced(TRAIN, 1, ["0\tten"]), f"{TRAIN}: .*ten"),
        (replaced(TRAIN, 1, [f"0\t{10**20}"]), f"{TRAIN}: .*verflow"),
        (replaced(TRAIN, 1, ["3\t0"]), OTHER_PAIRS),
        (replaced(TRAIN, 1, ["0\t150"]), OTHER_PAIRS),
        (replaced(TRAIN, 1, ["0\t-1"]), OTHER_PAIRS),
        (replaced(TRAIN, 1, [f"0\t{SEEN[0][-1]}"]), OTHER_PAIRS),
        (replaced(TRAIN, 1, []), OTHER_PAIRS),
        (replaced(TRAIN, 1, LINES[TRAIN][:1]), OTHER_PAIRS),
        ({TRAIN: NCF[TRAIN].replace(b"0\t7\t", b"1\t7\t")}, OTHER_PAIRS),
        (replaced(NEGATIVE, 1, []), f"{NEGATIVE} has other bytes"),
        (replaced(NEGATIVE, 0, [LINES[NEGATIVE][0] + "\t1"]), f"{NEGATIVE} has other"),
        ({NEGATIVE: NCF[NEGATIVE].replace(b"\t60\t", b"\t61\t", 1)}, f"{NEGATIVE} has"),
        ({NEGATIVE: b""}, f"{NEGATIVE} has other bytes"),
    ],
)
def test_wrong_files_are_refused_by_name(wrong, message, small, tmp_path, monkeypatch):
    for name, content in (NCF | wrong).items():
        (tmp_path / "ncf").mkdir(exist_ok=True)
        (tmp_path / "ncf" / name).write_bytes(content)
    known = {TRAIN: (), NEGATIVE: (hashlib.sha256(NCF[NEGATIVE]).hexdigest(),)}
    monkeypatch.setattr(sources, "NCF", sources.DataSet("ncf", known, downloads={}))
    monkeypatch.setattr(sources, "ML1M", sources.ML1M._replace(downloads={}))
    monkeypatch.setattr(download, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("D2LREC_DATA", str(tmp_path))
    with pytest.raises(OSError, match=f"named by D2LREC_DATA: {message}"):
        read_data_ml1m()


@pytest.mark.parametrize("columns", [2, 4])
def test_no_byte_of_the_training_file_can_change_a_pair(columns, small):
    content = bytes_of("\t".join(line.split("\t")[:columns]) for line in LINES[TRAIN])
    chance, refused = random.Random(0), 0
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
            assert found == PAIRS, (place, other)
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


def test_items_are_numbered_by_first_appearance_and_the_latest_is_held_out(small):
    backwards = bytes_of(reversed(RATINGS_LINES))
    users, items, candidates, _ = ncf.parse_ml1m({"ratings.dat": backwards})
    last = len(RATINGS_LINES) - 1  # item i comes as number last - i
    assert candidates[:, 0].tolist() == [last - seen[-1] for seen in SEEN]
    expected = [sorted(last - item for item in seen[:-1]) for seen in SEEN]
    assert items.tolist() == [item for numbers in expected for item in numbers]
    assert users.tolist() == PAIRS[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "No columns"),
        (b"1::2::5\n", "columns expected but not found"),
        (RATINGS[: RATINGS.rindex(b"::")], "NA values"),
        (RATINGS + RATINGS[: RATINGS.index(b"\n")], r"\(151, 3, 150\) ratings"),
        (bytes_of([*RATINGS_LINES[:-1], RATINGS_LINES[0]]), r"\(150, 3, 149\)"),
        (RATINGS.replace(b"1::", b"0::", 1), r"\(150, 4, 150\) ratings"),
        (re.sub(rb"(?m)^3::", b"0::", RATINGS), "users must be .* got -1"),
        (re.sub(rb"(?m)^3::", b"9::", RATINGS), "user 2 has no interaction"),
        (RATINGS + b"1::1::5::1\n", r"\(151, 3, 151\) ratings, users and films"),
        (RATINGS.partition(b"\n")[2], r"\(149, 3, 149\) ratings, users and films"),
    ],
)
def test_wrong_ratings_are_refused_by_name(content, message, small):
    with pytest.raises(ValueError, match=f"ratings.dat: .*{message}"):
        ncf.parse_ml1m({"ratings.dat": content})


@pytest.fixture(scope="session")
def real():
    """What `read_data_ml1m` returns and prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            return read_data_ml1m(), printed.getvalue()
        except OSError as error:
            pytest.skip(str(error).splitlines()[0])


def test_the_data_are_those_of_movielens_1m(real):
    (users, items, candidates, num_users, num_items), printed = real
    said = r"MovieLens 1M read from .*, (with|split by) NCF's .*\n"
    assert re.fullmatch(said, printed)
    assert (num_users, num_items) == (6040, 3706)
    assert {users.dtype, items.dtype, candidates.dtype} == {torch.int64}
    assert users.shape == items.shape == (994_169,)
    pairs = users * num_items + items
    assert (pairs.diff() > 0).all()
    assert candidates.shape == (num_users, 100)
    of_candidates = torch.arange(num_users)[:, None] * num_items + candidates
    assert not torch.isin(of_candidates, pairs).any()
    every_item = torch.cat([items, candidates[:, 0]]).unique()
    assert every_item.equal(torch.arange(num_items))
    held_out_twice = (candidates[:, 1:] == candidates[:, :1]).any(dim=1).sum()
    if "with NCF's negatives" in printed:
        assert hashlib.sha256(pairs.numpy().tobytes()).hexdigest() == ncf.PAIRS_SHA256
        assert held_out_twice == 156
    else:
        assert held_out_twice == 0


def test_the_stored_runs_begin_where_ours_do(real):
    """Epoch 0 of d2lrec/results/ncf.csv, which `make ncf` writes."""
    (_, _, candidates, num_users, num_items), printed = real
    if "with NCF's negatives" not in printed:
        pytest.skip("the stored figures are those of NCF's negatives")
    stored = pd.read_csv(files("d2lrec") / "results" / "ncf.csv")
    assert (stored.groupby(["model", "seed"]).epoch.apply(list).map(len) == 21).all()
    begin = stored[stored.epoch == 0].set_index(["model", "seed"])
    assert len(begin) == 9
    for (name, seed), row in begin.iterrows():
        torch.manual_seed(seed)
        if name == "MF":
            model = MF(32, num_users, num_items, biases=False)
        else:
            model = GMF(32, num_users, num_items)
        if name == "MF with c":
            torch.nn.init.ones_(model.h.weight)
        found = evaluate_ranking(model, candidates)
        assert found == pytest.approx(row[["hit_rate", "ndcg"]].to_dict(), abs=4e-4)
