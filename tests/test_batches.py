"""Batches: every rating once a pass, in an order of their own."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from d2lrec import BatchIterator, try_gpu


def batches_of(n, batch_size, **options):
    """An iterator over n ratings: user, item and rating tell the same number."""
    numbers = torch.arange(n)
    return BatchIterator(
        numbers, numbers + 1000, numbers / 2, batch_size, device="cpu", **options
    )


@given(
    n=st.integers(1, 60),
    batch_size=st.integers(1, 70),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**63 - 1),
)
def test_a_pass_gives_each_rating_once(n, batch_size, shuffle, seed):
    batches = batches_of(n, batch_size, shuffle=shuffle, seed=seed)
    for _ in range(2):
        given_batches = list(batches)
        assert len(given_batches) == len(batches)
        sizes = [len(users) for users, _, _ in given_batches]
        assert sizes[:-1] == [batch_size] * (len(batches) - 1)
        assert 1 <= sizes[-1] <= batch_size
        users, items, ratings = (
            torch.cat(column) for column in zip(*given_batches, strict=True)
        )
        assert torch.equal(users.sort().values, torch.arange(n))
        assert torch.equal(items, users + 1000)
        assert torch.equal(ratings, users / 2)
        if not shuffle:
            assert torch.equal(users, torch.arange(n))


def orders(batches, passes):
    return [
        torch.cat([users for users, _, _ in batches]).tolist() for _ in range(passes)
    ]


def test_each_pass_has_a_new_order_that_the_seed_brings_back():
    first = orders(batches_of(100, 10, seed=1), passes=3)
    assert first[0] != first[1] != first[2] != first[0]
    torch.rand(1)  # the global generator has no part in it
    assert orders(batches_of(100, 10, seed=1), passes=3) == first
    assert orders(batches_of(100, 10, seed=2), passes=3) != first


def test_dtypes_and_device():
    batches = BatchIterator([0], [1], [5], batch_size=2)
    [batch] = batches
    assert [part.dtype for part in batch] == [torch.int64, torch.int64, torch.float32]
    assert {part.device for part in batch} == {torch.zeros(1, device=try_gpu()).device}


def test_a_batch_is_a_list_as_published_loops_expect():
    [batch] = batches_of(3, 3)
    assert isinstance(batch, list)


@pytest.mark.parametrize(
    ("lengths", "batch_size", "message"),
    [
        ((0, 0, 0), 1, "0 users, 0 items, 0 ratings"),
        ((2, 2, 3), 1, "2 users, 2 items, 3 ratings"),
        ((2, 1, 2), 1, "2 users, 1 items, 2 ratings"),
        ((1, 1, 1), 0, "batch_size must be an integer, at least 1, got 0"),
    ],
)
def test_bad_input_is_refused(lengths, batch_size, message):
    with pytest.raises(ValueError, match=message):
        BatchIterator(*(torch.zeros(n, dtype=torch.int64) for n in lengths), batch_size)


@pytest.mark.parametrize(
    "batch_size",
    [0, -1, 2.0, 1.5, True, "2", None, np.float64(2), np.True_, torch.tensor(2)],
)
def test_a_batch_size_is_an_integer(batch_size):
    with pytest.raises(
        ValueError, match="batch_size must be an integer, at least 1, got"
    ):
        batches_of(3, batch_size)


@pytest.mark.parametrize("size", [2, np.int64(2), np.uint8(2)])
def test_numpys_integers_are_integers(size):
    given_batches = list(batches_of(5, size, shuffle=False, seed=np.int64(1)))
    assert [len(users) for users, _, _ in given_batches] == [2, 2, 1]


RATINGS = {
    "list": [0.5, 3, 5],
    "integers": [1, 3, 5],
    "labels": [True, False, True],
    "float16": torch.tensor([0.5, 3, 5], dtype=torch.float16),
    "int8": np.array([1, 3, 5], dtype="int8"),
    "filtered Series": pd.Series([9, 0.5, 3, 5])[1:],
    "nullable Series": pd.Series([1, 3, 5], dtype="Int64").astype("int64"),
}


@pytest.mark.parametrize("ratings", RATINGS.values(), ids=RATINGS)
def test_ratings_may_have_any_form_of_numbers(ratings):
    batches = BatchIterator(
        [0, 1, 2], [0, 1, 2], ratings, 3, shuffle=False, device="cpu"
    )
    [(_, _, found)] = batches
    assert found.dtype == torch.float32
    assert found.tolist() == [float(rating) for rating in ratings]


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        (torch.zeros(3, 1), r"ratings must have 1 dimensions, not the shape \(3, 1\)"),
        (torch.tensor(3.0), r"ratings must have 1 dimensions, not the shape \(\)"),
        ([1, math.nan, 3], "ratings must be finite, got nan"),
        ([1, 2, -math.inf], "ratings must be finite, got -inf"),
        ([1, 2, 1e300], "ratings must be finite, got inf"),  # as float32
        (pd.Series([1, None, 3]), "ratings must be finite, got nan"),
        (["1", "2", "3"], "ratings must be numbers, got dtype"),
        ([None, 1, 2], "ratings must be numbers, got dtype object"),
        ([1j, 2j, 3j], "ratings must be numbers, got dtype complex128"),
    ],
)
def test_what_is_no_column_of_ratings_is_refused(ratings, message):
    with pytest.raises(ValueError, match=message):
        BatchIterator([0, 1, 2], [0, 1, 2], ratings, 2)


@pytest.mark.parametrize("seed", [-1, 0.5, "1", None])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(ValueError, match="seed must be an integer, at least 0"):
        batches_of(3, 2, seed=seed)


def test_tensors_that_fit_are_not_copied():
    columns = torch.arange(3), torch.arange(3), torch.rand(3)
    batches = BatchIterator(*columns, 2, device="cpu")
    kept = batches.users, batches.items, batches.ratings
    assert [a.data_ptr() for a in kept] == [b.data_ptr() for b in columns]
