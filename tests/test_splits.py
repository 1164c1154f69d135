"""Which ratings are held out: at random, the latest of each user, or for a ranking."""

import hashlib
import math

import numpy as np
import pandas as pd
import pytest
import torch
from helpers_ratings import NUM_ITEMS, NUM_USERS, rating_tables, tensors, two_ratings
from hypothesis import given
from hypothesis import strategies as st

from d2lrec import (
    leave_one_out,
    load_data_ml100k,
    split_and_load_ml100k,
    split_data_ml100k,
)

FIRST_TEST_ROWS = [6, 9, 17, 23, 25]  # of the random split with seed 0
TEST_ROWS_SHA256 = "85bf2fa002901808c028ea9e70de84ddf59c0b9ddf2358bbc51fd57fa8b312b6"


# Splits of a table.


def test_the_random_split_is_the_same_on_every_machine(ml100k):
    train_data, test_data = split_data_ml100k(*ml100k)
    assert (len(train_data), len(test_data)) == (90_000, 10_000)
    assert test_data.index[:5].tolist() == FIRST_TEST_ROWS
    rows = test_data.index.to_numpy().astype("<i8").tobytes()
    assert hashlib.sha256(rows).hexdigest() == TEST_ROWS_SHA256


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
        with pytest.raises(ValueError, match=r"an empty part: \d+ of \d+ to test on"):
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
        with pytest.raises(ValueError, match=r"an empty part: (\d+) of \1 to test on"):
            split_data_ml100k(data, NUM_USERS, NUM_ITEMS, "seq-aware")
        return
    train_data, test_data = split_data_ml100k(data, NUM_USERS, NUM_ITEMS, "seq-aware")
    assert test_data.index.tolist() == expected
    pd.testing.assert_frame_equal(pd.concat([train_data, test_data]).sort_index(), data)


@given(data=rating_tables(), ratio=st.floats(0.01, 0.99))
def test_a_split_by_time_has_all_training_ratings_before_all_test_ratings(data, ratio):
    times = sorted(data.timestamp)
    oldest = times[-max(1, round(ratio * len(data)))]
    if oldest == times[0]:
        with pytest.raises(ValueError, match=r"an empty part: (\d+) of \1 to test on"):
            split_data_ml100k(data, NUM_USERS, NUM_ITEMS, "time", ratio)
        return
    train_data, test_data = split_data_ml100k(data, NUM_USERS, NUM_ITEMS, "time", ratio)
    assert train_data.timestamp.max() < test_data.timestamp.min() == oldest
    pd.testing.assert_frame_equal(pd.concat([train_data, test_data]).sort_index(), data)


def test_a_ratio_with_the_seq_aware_split_is_explained(ml100k):
    message = "test_ratio has no meaning with 'seq-aware'; leave it out"
    with pytest.raises(ValueError, match=message):
        split_data_ml100k(*ml100k, split_mode="seq-aware", test_ratio=0.2)
    with pytest.raises(ValueError, match=message):
        split_and_load_ml100k("seq-aware", test_ratio=0.1)


@pytest.mark.parametrize("ratio", [0, 1, -0.1, 1.5, float("nan"), float("inf")])
def test_a_ratio_outside_0_and_1_is_refused(ratio):
    message = f"test_ratio must lie between 0 and 1, got {ratio}"
    with pytest.raises(ValueError, match=message):
        split_data_ml100k(two_ratings(), NUM_USERS, NUM_ITEMS, test_ratio=ratio)


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match=r"'seq-aware', 'time'.*, not 'sequential'"):
        split_data_ml100k(two_ratings(), NUM_USERS, NUM_ITEMS, "sequential")


@pytest.mark.parametrize("split_mode", ["seq-aware", "time"])
def test_two_of_the_splits_need_times(split_mode):
    table = two_ratings().drop(columns="timestamp")
    with pytest.raises(ValueError, match=r"a DataFrame with \['timestamp'\] once"):
        split_data_ml100k(table, NUM_USERS, NUM_ITEMS, split_mode)


# One interaction of each user held out for a ranking.


def test_the_latest_is_held_out_and_of_equal_times_the_first():
    users, items = tensors([(1, 4), (0, 0), (1, 2), (0, 3), (0, 1), (1, 0)])
    times = torch.tensor([9, 1, 9, 5, 5, 2])
    train_users, train_items, candidates = leave_one_out(
        users, items, times, 9, num_negatives=5
    )
    assert candidates[:, 0].tolist() == [3, 4]
    pairs = list(zip(train_users.tolist(), train_items.tolist(), strict=True))
    assert pairs == [(0, 0), (1, 2), (0, 1), (1, 0)]
    for user, seen in ((0, {0, 1, 3}), (1, {0, 2, 4})):
        negatives = candidates[user, 1:].tolist()
        assert len(set(negatives)) == 5
        assert not seen & set(negatives)


def test_a_seed_brings_the_same_negatives():
    users, items = tensors([(u, u) for u in range(20)])
    draws = [
        leave_one_out(users, items, users, 200, seed=seed)[2] for seed in (0, 0, 1)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(
    ("pairs", "num_items", "message"),
    [
        ([], 200, "got 0 interactions, 0 times"),
        ([(0, 200)], 200, "items must be from 0 to 199, got 200"),
        ([(0, -1)], 200, "items must be from 0 to 199, got -1"),
        ([(-1, 0), (0, 1)], 200, r"users must be from 0 to \d+, got -1"),
        ([(0, 1), (2, 1)], 200, "user 1 has no interaction to hold out"),
        ([(0, 1), (0, 1)], 200, "occurs twice"),
        ([(0, 1), (1, 1), (1, 2)], 100, "user 1 has 98 unseen items, not 99"),
    ],
)
def test_what_cannot_be_split_is_refused(pairs, num_items, message):
    users, items = tensors(pairs)
    with pytest.raises(ValueError, match=message):
        leave_one_out(users, items, torch.arange(len(users)), num_items)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([1, math.nan, 2], "a time each, no NaN; got 3 interactions, 3 times"),
        ([1, 2], "a time each, no NaN; got 3 interactions, 2 times"),
        (torch.zeros(3, 1), r"times must have 1 dimensions, not the shape \(3, 1\)"),
        (["2020", "2021", "2022"], "times must be numbers"),
        (
            np.array(["2020", "2021", "2022"], dtype="datetime64[D]"),
            "times must be numbers",
        ),
    ],
)
def test_what_is_no_time_for_each_interaction_is_refused(times, message):
    with pytest.raises(ValueError, match=message):
        leave_one_out([0, 1, 2], [0, 1, 2], times, 200)


def test_unsigned_times_keep_their_order():
    times = np.array([0, 2**32 - 1, 5], dtype="uint32")
    _, _, candidates = leave_one_out([0, 0, 0], [0, 1, 2], times, 9, 2)
    assert candidates[0, 0] == 1


def test_movielens_100k_is_split_by_time(ml100k):
    data, num_users, num_items = ml100k
    users, items, _, _ = load_data_ml100k(data, num_users, num_items, "implicit")
    times = torch.tensor(data.timestamp.to_numpy())
    train_users, train_items, candidates = leave_one_out(users, items, times, num_items)
    assert len(train_users) == 100_000 - 943
    assert candidates.shape == (943, 100)
    pairs = zip(users.tolist(), items.tolist(), strict=True)
    time_of = dict(zip(pairs, times.tolist(), strict=True))
    trained = set(zip(train_users.tolist(), train_items.tolist(), strict=True))
    latest = data.groupby("user_id").timestamp.max().tolist()  # by user, from 0
    for user, (held_out, *negatives) in enumerate(candidates.tolist()):
        assert (user, held_out) not in trained
        assert time_of[user, held_out] == latest[user]
        assert len(set(negatives)) == 99
        assert not {(user, item) for item in negatives} & time_of.keys()
