"""MovieLens 100K as tables, as tensors and as batches."""

import hashlib
import os
from pathlib import Path

import pandas as pd
import pytest
import torch
from helpers_ratings import NUM_ITEMS, NUM_USERS, rating_tables, two_ratings
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lrec import (
    BatchIterator,
    load_batches,
    load_data_ml100k,
    read_films_ml100k,
    split_and_load_ml100k,
    split_data_ml100k,
)
from d2lrec.data import sources


def test_the_ratings_are_those_of_movielens(ml100k):
    data, num_users, num_items = ml100k
    assert (len(data), num_users, num_items) == (100_000, 943, 1682)
    assert data.columns.tolist() == ["user_id", "item_id", "rating", "timestamp"]
    assert data.iloc[0].tolist() == [196, 242, 3, 881250949]
    lines = data.to_csv(sep="\t", header=False, index=False, lineterminator="\n")
    sha256 = hashlib.sha256(lines.encode()).hexdigest()
    assert sha256 == sources.ML100K.files["u.data"][0]


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


@given(data=rating_tables(min_size=1))
def test_explicit_feedback_keeps_the_ratings(data):
    users, items, ratings, inter = load_data_ml100k(data, NUM_USERS, NUM_ITEMS)
    assert users.dtype == items.dtype == torch.int64
    assert ratings.dtype == torch.float32
    assert users.tolist() == (data.user_id - 1).tolist()
    assert items.tolist() == (data.item_id - 1).tolist()
    assert ratings.tolist() == data.rating.tolist()
    assert inter.shape == (NUM_ITEMS, NUM_USERS)
    assert inter.is_sparse
    assert inter.to_dense()[items, users].tolist() == ratings.tolist()
    assert inter.to_dense().count_nonzero() == len(data)


@given(data=rating_tables(min_size=1))
def test_implicit_feedback_keeps_only_who_saw_what(data):
    users, items, ratings, inter = load_data_ml100k(
        data, NUM_USERS, NUM_ITEMS, "implicit"
    )
    assert ratings.tolist() == [1.0] * len(data)
    pairs = list(zip(users.tolist(), items.tolist(), strict=True))
    assert sorted((u, i) for u, seen in inter.items() for i in seen) == sorted(pairs)


def test_an_unknown_feedback_is_refused():
    with pytest.raises(ValueError, match="'explicit' or 'implicit', got 'both'"):
        load_data_ml100k(two_ratings(), NUM_USERS, NUM_ITEMS, "both")


def by_hand(data, num_users, num_items, feedback, batch_size, **options):
    """The batches that the two steps give which `load_batches` takes in one."""
    columns = load_data_ml100k(data, num_users, num_items, feedback)[:3]
    return list(BatchIterator(*columns, batch_size, **options))


def assert_equal_batches(batches, expected):
    assert len(batches) == len(expected)
    for batch, other in zip(batches, expected, strict=True):
        assert all(map(torch.equal, batch, other))


@pytest.mark.parametrize("feedback", ["explicit", "implicit"])
@given(
    data=rating_tables(min_size=1),
    batch_size=st.integers(1, 50),
    shuffle=st.booleans(),
    seed=st.integers(0, 9),
)
def test_batches_are_loaded_as_by_hand(feedback, data, batch_size, shuffle, seed):
    options = {"shuffle": shuffle, "seed": seed, "device": "cpu"}
    sizes = NUM_USERS, NUM_ITEMS
    loaded = load_batches(data, *sizes, batch_size, feedback=feedback, **options)
    expected = by_hand(data, *sizes, feedback, batch_size, **options)
    assert_equal_batches(loaded, expected)


def test_batches_have_256_ratings_in_a_new_order_unless_told(ml100k):
    data, *sizes = ml100k
    assert_equal_batches(
        load_batches(data, *sizes), by_hand(data, *sizes, "explicit", 256, shuffle=True)
    )


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"feedback": "both"}, "feedback must be 'explicit' or 'implicit'"),
        ({}, {"batch_size": 0}, "batch_size must be an integer, at least 1, got 0"),
        ({}, {"seed": -1}, "seed must be an integer, at least 0, got -1"),
        ({"item_id": [1, NUM_ITEMS + 1]}, {}, "item_id must be from 1 to .* got 12 in"),
        ({"rating": [3, None]}, {}, "rating must be a finite number, got nan"),
        ({"item_id": [2, 2]}, {}, "user 1 has item 2 more than once; keep one"),
    ],
)
def test_what_either_step_refuses_is_refused(changes, options, message):
    with pytest.raises(ValueError, match=message):
        load_batches(two_ratings().assign(**changes), NUM_USERS, NUM_ITEMS, **options)


def test_options_of_batches_go_by_name():
    with pytest.raises(TypeError, match="positional"):
        load_batches(two_ratings(), NUM_USERS, NUM_ITEMS, 1, False)
    with pytest.raises(TypeError, match="unexpected keyword argument 'shufle'"):
        load_batches(two_ratings(), NUM_USERS, NUM_ITEMS, shufle=False)


def test_what_is_loaded_unpacks_as_in_d2l_and_has_names(ml100k):
    loaded = split_and_load_ml100k(test_ratio=0.2, batch_size=512, device="cpu")
    num_users, num_items, train_iter, test_iter = loaded
    assert (num_users, num_items) == (loaded.num_users, loaded.num_items) == (943, 1682)
    assert train_iter is loaded.train_iter
    assert test_iter is loaded.test_iter
    assert loaded.valid_iter is None
    for part, data in zip(
        (train_iter, test_iter), split_data_ml100k(*ml100k, test_ratio=0.2), strict=True
    ):
        assert part.items.tolist() == (data.item_id - 1).tolist()
        assert part.batch_size == 512
    assert (train_iter.shuffle, test_iter.shuffle) == (True, False)


def test_the_split_is_random_unless_told(ml100k):
    loaded = split_and_load_ml100k(device="cpu")
    _, test_data = split_data_ml100k(*ml100k, "random", 0.1)
    assert loaded.test_iter.ratings.tolist() == test_data.rating.tolist()


@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
def test_a_validation_part_comes_out_of_the_training_part(ml100k, seed):
    loaded = split_and_load_ml100k(seed=seed, validation=True, device="cpu")
    _, num_items, train_iter, test_iter = loaded
    parts = train_iter, loaded.valid_iter, test_iter
    assert [len(part.ratings) for part in parts] == [81_000, 9_000, 10_000]
    users, items, ratings = (
        torch.cat([getattr(part, name) for part in parts])
        for name in ("users", "items", "ratings")
    )
    order = (users * num_items + items).argsort()
    expected = ml100k[0].sort_values(["user_id", "item_id"])
    assert users[order].tolist() == (expected.user_id - 1).tolist()
    assert items[order].tolist() == (expected.item_id - 1).tolist()
    assert ratings[order].tolist() == expected.rating.tolist()
    without = split_and_load_ml100k(seed=seed, device="cpu")
    assert torch.equal(without.test_iter.items, test_iter.items)


def test_seq_aware_validation_takes_the_second_latest(ml100k):
    loaded = split_and_load_ml100k("seq-aware", validation=True, device="cpu")
    parts = loaded.train_iter, loaded.valid_iter, loaded.test_iter
    assert [len(part.ratings) for part in parts] == [100_000 - 2 * 943, 943, 943]
    rest, _ = split_data_ml100k(*ml100k, "seq-aware")
    _, second_latest = split_data_ml100k(rest, 943, 1682, "seq-aware")
    items = loaded.valid_iter.items + 1
    assert items.tolist() == second_latest.item_id.tolist()
