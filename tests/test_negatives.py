"""Unseen items and negative samples, against slow plain-Python references."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from helpers_ratings import tensors
from hypothesis import given
from hypothesis import strategies as st

from d2lrec import (
    MF,
    BatchIterator,
    ImplicitIterator,
    UnseenItems,
    evaluate_full_ranking,
    leave_one_out,
)
from d2lrec.data.negatives import draw_below, draw_distinct


@st.composite
def interactions(draw):
    """(pairs, num_users, num_items), in any order, with or without repeated pairs."""
    num_users, num_items = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    pair = st.tuples(st.integers(0, num_users - 1), st.integers(0, num_items - 1))
    return draw(st.lists(pair, min_size=1, max_size=40)), num_users, num_items


@given(interactions())
def test_each_rank_is_the_unseen_item_that_a_list_gives(case):
    pairs, num_users, num_items = case
    unseen = UnseenItems(*tensors(pairs), num_users, num_items)
    for user in range(num_users):
        expected = [item for item in range(num_items) if (user, item) not in pairs]
        assert unseen.counts[user] == len(expected)
        ranks = torch.arange(len(expected))
        assert unseen(torch.full_like(ranks, user), ranks).tolist() == expected


def test_ids_of_a_large_catalogue_do_not_overflow_or_need_a_table():
    users, items = torch.tensor([0, 10**5 - 1]), torch.tensor([0, 10**5 - 1])
    unseen = UnseenItems(users, items, 10**5, 10**5)
    last = torch.tensor([10**5 - 2])
    assert unseen(torch.tensor([10**5 - 1]), last) == 10**5 - 2
    assert unseen(torch.tensor([0]), last) == 10**5 - 1
    assert (
        unseen.keys.numel() + unseen.starts.numel() + unseen.counts.numel() < 3 * 10**5
    )


@given(interactions(), st.integers(0, 4), st.integers(1, 7))
def test_a_pass_has_every_interaction_and_unseen_negatives_for_each(
    case, num_negatives, size
):
    pairs, num_users, num_items = case
    full = {
        user for user, n in Counter(u for u, _ in set(pairs)).items() if n == num_items
    }
    users, items = tensors(pairs)
    sizes = (num_users, num_items, size, num_negatives)
    if full and num_negatives:
        with pytest.raises(
            ValueError, match=f"user {min(full)} has interacted with all items"
        ):
            ImplicitIterator(users, items, *sizes, device="cpu")
        return
    batches = ImplicitIterator(users, items, *sizes, device="cpu")
    given_batches = list(batches)
    assert len(given_batches) == len(batches)
    assert all(len(column) <= size for batch in given_batches for column in batch)
    u, i, y = (
        torch.cat(column).tolist() for column in zip(*given_batches, strict=True)
    )
    examples = list(zip(u, i, y, strict=True))
    assert sorted((u, i) for u, i, y in examples if y == 1) == sorted(pairs)
    negatives = [(u, i) for u, i, y in examples if y == 0]
    assert not set(negatives) & set(pairs)
    expected = {
        user: n * num_negatives for user, n in Counter(u for u, _ in pairs).items()
    }
    assert Counter(user for user, _ in negatives) == Counter(expected)


def test_negatives_are_fresh_each_pass_and_the_seed_brings_them_back():
    users, items = torch.arange(50), torch.arange(50)

    def passes(seed):
        batches = ImplicitIterator(users, items, 50, 1000, 10, seed=seed, device="cpu")
        return [
            torch.cat([i[y == 0] for _, i, y in batches]).tolist() for _ in range(2)
        ]

    assert passes(0) == passes(0)
    assert len({tuple(drawn) for seed in range(2) for drawn in passes(seed)}) == 4


def test_negatives_are_uniform_also_for_a_user_who_has_seen_almost_all():
    seen = [item for item in range(1000) if item not in (3, 500, 999)]
    users = torch.zeros(len(seen), dtype=torch.int64)
    batches = ImplicitIterator(
        users, torch.tensor(seen), 1, 1000, 10**6, 30, device="cpu"
    )
    [(_, items, labels)] = batches
    drawn = Counter(items[labels == 0].tolist())
    assert drawn.keys() == {3, 500, 999}
    share = 30 * len(seen) / 3  # the standard deviation is 82
    assert all(abs(count - share) < 5 * 82 for count in drawn.values())


def test_more_than_all_numbers_below_a_limit_are_never_drawn():
    drawn = draw_below(
        torch.arange(1, 8).repeat(1000), torch.Generator().manual_seed(0)
    )
    assert torch.equal(drawn.view(1000, 7).amax(dim=0), torch.arange(7))
    assert torch.equal(
        drawn.view(1000, 7).amin(dim=0), torch.zeros(7, dtype=torch.int64)
    )


def test_distinct_negatives_take_each_subset_equally_often():
    num_users = 30_000
    users = torch.arange(num_users)
    unseen = UnseenItems(
        users, torch.full_like(users, 2), num_users, 5
    )  # 0, 1, 3, 4 are left
    drawn = draw_distinct(unseen, 2, seed=0).sort(dim=1).values
    counts = Counter(map(tuple, drawn.tolist()))
    assert counts.keys() == {(0, 1), (0, 3), (0, 4), (1, 3), (1, 4), (3, 4)}
    assert all(abs(count - 5000) < 5 * 65 for count in counts.values())
    assert draw_distinct(unseen, 4, seed=0).sort(dim=1).values.unique(
        dim=0
    ).tolist() == [[0, 1, 3, 4]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer, at least 1, got 0"),
        ({"num_negatives": -1}, "num_negatives must be an integer, at least 0, got -1"),
        ({"num_users": 2}, "users must be from 0 to 1, got 2"),
        ({"num_items": 2}, "items must be from 0 to 1, got 2"),
    ],
)
def test_bad_settings_of_the_iterator_are_refused(options, message):
    settings = {
        "num_users": 3,
        "num_items": 5,
        "batch_size": 4,
        "device": "cpu",
        **options,
    }
    with pytest.raises(ValueError, match=message):
        ImplicitIterator(torch.arange(3), torch.arange(3), **settings)


BAD_IDS = {
    "columns": (
        torch.zeros(3, 1, dtype=torch.int64),
        r"must have 1 dimensions, .* \(3, 1\)",
    ),
    "one number": (torch.tensor(0), r"must have 1 dimensions, .* \(\)"),
    "floats": ([0.7, 1.7, 2.0], "must be integers, got torch.float64"),
    "floats such as 0.0": (torch.zeros(3), "must be integers, got torch.float32"),
    "NaN": (pd.Series([0, None, 1]), "must be integers, got torch.float64"),
    "NA": (pd.Series([0, None, 1], dtype="Int64"), "must be (numbers|integers), got"),
    "booleans": ([True, False, True], "must be integers, got torch.bool"),
    "words": (["a", "b", "c"], "must be numbers, got dtype <U1"),
    "a generator": ((i for i in range(3)), "must be numbers, got dtype object"),
    "negative": ([0, 1, -1], "must be from 0 to .*, got -1"),
    "beyond int64": (np.array([0, 1, 2**64 - 2], dtype="uint64"), "must be from 0 to"),
}
takes_pairs = pytest.mark.parametrize(
    "take",
    [
        lambda users, items: UnseenItems(users, items, 3, 9),
        lambda users, items: leave_one_out(users, items, torch.arange(3), 200),
        lambda users, items: BatchIterator(users, items, [1, 2, 3], 2),
        lambda users, items: ImplicitIterator(users, items, 3, 9, 2),
        lambda users, items: evaluate_full_ranking(
            MF(1, 3, 9), [0, 0, 0], users, items, 9
        ),
    ],
    ids=[
        "UnseenItems",
        "leave_one_out",
        "BatchIterator",
        "ImplicitIterator",
        "full ranking",
    ],
)


@takes_pairs
@pytest.mark.parametrize(("wrong", "message"), BAD_IDS.values(), ids=BAD_IDS)
def test_what_is_no_column_of_ids_is_refused_by_name(take, wrong, message):
    for name in ("users", "items"):
        with pytest.raises(ValueError, match=f"{name} {message}"):
            take(**{"users": [0, 1, 2], "items": [0, 1, 2]} | {name: wrong})


@takes_pairs
def test_lengths_that_differ_are_refused(take):
    with pytest.raises(ValueError, match=r"as many|equally many"):
        take([0, 1, 2], [0, 1])


IDS = {
    "list": list,
    "tuple": tuple,
    "tensor": torch.tensor,
    "int32": lambda ids: torch.tensor(ids, dtype=torch.int32),
    "uint8": lambda ids: torch.tensor(ids, dtype=torch.uint8),
    "uint16 array": lambda ids: np.array(ids, dtype="uint16"),
    "big-endian array": lambda ids: np.array(ids, dtype=">i4"),
    "array from the end": lambda ids: np.array(ids[::-1])[::-1],
    "filtered Series": lambda ids: pd.Series([9, *ids])[1:],
    "Series in another order": lambda ids: pd.Series(ids, index=range(len(ids))[::-1]),
    "nullable Series": lambda ids: pd.Series(ids, dtype="Int32").astype("int32"),
    "index": pd.Index,
}


@pytest.mark.parametrize("form", IDS.values(), ids=IDS)
def test_ids_may_have_any_form_that_keeps_their_order(form):
    users, items, times = [0, 1, 1, 2], [3, 1, 2, 0], [1, 9, 8, 0]
    expected = leave_one_out(*map(torch.tensor, (users, items, times)), 8, 4)
    found = leave_one_out(form(users), form(items), form(times), 8, 4)
    for some, others in zip(found, expected, strict=True):
        assert some.dtype == torch.int64
        assert some.equal(others)
    unseen = UnseenItems(form(users), form(items), 3, 8)
    assert unseen(form([0, 1, 1, 2]), form([0, 0, 1, 6])).tolist() == [0, 0, 3, 7]
    made = (
        BatchIterator(form(users), form(items), form(times), 2, False, device="cpu"),
        ImplicitIterator(form(users), form(items), 3, 8, 2, 0, device="cpu"),
    )
    for batches in made:
        u, i, _ = (torch.cat(column) for column in zip(*batches, strict=True))
        pairs = sorted(zip(u.tolist(), i.tolist(), strict=True))
        assert pairs == sorted(zip(users, items, strict=True))
        assert {u.dtype, i.dtype} == {torch.int64}


def test_ids_of_32_bits_are_read_before_they_are_multiplied():
    n = 10**5  # n * n is beyond 2^31
    users = torch.tensor([0, n - 1, n - 1], dtype=torch.int32)
    items = torch.tensor([5, n - 1, n - 3], dtype=torch.int32)
    unseen = UnseenItems(users, items, n, n)
    last = (
        torch.tensor([n - 1], dtype=torch.int32),
        torch.tensor([n - 3], dtype=torch.int32),
    )
    assert unseen(*last) == n - 2
    assert unseen(torch.tensor([0]), torch.tensor([5])) == 6
    assert UnseenItems(users, items, np.int32(n), np.int32(n))(*last) == n - 2


def test_more_pairs_than_int64_numbers_are_refused():
    with pytest.raises(ValueError, match="are too many for int64"):
        UnseenItems([0], [0], 2**32, 2**32)
    with pytest.raises(ValueError, match="are too many for int64"):
        leave_one_out([2**40], [0], [0], 2**40)


@pytest.mark.parametrize(
    ("users", "ranks"),
    [
        ([1], [8]),
        ([1], [-1]),
        ([2], [0]),
        ([-1], [0]),
        ([0, 1], [0]),
        ([0], [[0]]),
        ([0.5], [0]),
        ([0], [0.5]),
    ],
)
def test_a_rank_that_no_unseen_item_has_is_refused(users, ranks):
    unseen = UnseenItems([0, 1], [0, 0], 2, 9)
    assert unseen([1], [7]).tolist() == [8]
    with pytest.raises(ValueError, match=r"must be|one rank, from 0 to"):
        unseen(users, ranks)


@pytest.mark.parametrize("wrong", [-1, 1.5, 2.0, np.float64(2), True, "2", None])
def test_settings_are_integers(wrong):
    pairs = [0, 1, 2], [0, 1, 2]
    sizes = {
        "num_users": 3,
        "num_items": 9,
        "batch_size": 2,
        "num_negatives": 1,
        "seed": 0,
    }
    for name in sizes:
        with pytest.raises(ValueError, match=f"{name} must be an integer"):
            ImplicitIterator(*pairs, **sizes | {name: wrong}, device="cpu")
    for name in ("num_items", "num_negatives", "seed"):
        with pytest.raises(ValueError, match=f"{name} must be an integer"):
            leave_one_out(*pairs, [0, 1, 2], **{"num_items": 200, name: wrong})


def test_settings_may_be_numpys_integers():
    *sizes, seed = map(np.int64, (3, 9, 2, 1, 4))
    plain = ImplicitIterator([0, 1, 2], [0, 1, 2], 3, 9, 2, 1, seed=4)
    numpys = ImplicitIterator([0, 1, 2], [0, 1, 2], *sizes, seed=seed)
    for some, others in zip(numpys, plain, strict=True):
        assert all(a.equal(b) for a, b in zip(some, others, strict=True))
