"""Histories: what a user had before, padded where there was nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from d2lrec import leave_one_out, load_data_ml100k, load_histories

NUM_USERS, NUM_ITEMS = 5, 7
pairs = st.tuples(
    st.integers(0, NUM_USERS - 1), st.integers(0, NUM_ITEMS - 1), st.integers(0, 3)
)


def by_hand(rows, length):
    """Histories as lists, by Python's own sort: (user, item, before), and latest."""
    places = sorted(range(len(rows)), key=lambda n: (rows[n][0], rows[n][2], -n))
    seen = {user: [NUM_ITEMS] * length for user in range(NUM_USERS)}
    found = []
    for user, item, _ in (rows[n] for n in places):
        found.append((user, item, seen[user][-length:]))
        seen[user] = [*seen[user], item]
    return found, [items[-length:] for items in seen.values()]


@given(rows=st.lists(pairs, max_size=30), length=st.integers(1, 6))
def test_each_interaction_has_what_the_user_had_before(rows, length):
    """Users without an interaction or with one, equal times and repeats among them."""
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    found = load_histories(*columns, NUM_USERS, NUM_ITEMS, length)
    one_by_one = zip(
        found.users.tolist(), found.items.tolist(), found.before.tolist(), strict=True
    )
    assert (list(one_by_one), found.latest.tolist()) == by_hand(rows, length)
    assert {part.dtype for part in found} == {torch.int64}
    assert found.before.shape == (len(rows), length)


def test_the_last_one_is_what_leave_one_out_holds_out(ml100k):
    users, items, _, _ = load_data_ml100k(*ml100k)
    data, num_users, num_items = ml100k
    times = torch.tensor(data.timestamp.to_numpy())
    found = load_histories(users, items, times, num_users, num_items, 5)
    _, _, candidates = leave_one_out(users, items, times, num_items, num_negatives=1)
    last = found.users.bincount().cumsum(0) - 1  # (num_users,)
    assert found.items[last].tolist() == candidates[:, 0].tolist()
    assert found.latest[:, -1].tolist() == candidates[:, 0].tolist()
    assert found.latest[:, :-1].tolist() == found.before[last, 1:].tolist()
    # More than half of all have the time of the one before: ties are the normal case.
    table = data.sort_values(["user_id", "timestamp"])
    gaps = table.groupby("user_id").timestamp.diff().dropna()
    assert round((gaps == 0).sum() / len(data), 3) == 0.506


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"times": [1.0, float("nan")]}, "each interaction needs a time, no NaN"),
        ({"times": [1]}, "got 2 interactions, 1 times"),
        ({"times": ["a", "b"]}, "times must be numbers"),
        ({"items": [0, NUM_ITEMS]}, "items must be from 0 to 6, got 7"),
        ({"users": [0, -1]}, "users must be from 0 to 4, got -1"),
        ({"users": [0]}, "need as many users as items: 1 != 2"),
        ({"length": 0}, "length must be an integer, at least 1, got 0"),
        ({"num_items": 0}, "num_items must be an integer, at least 1, got 0"),
    ],
)
def test_what_is_no_history_is_refused(changed, said):
    right = {"users": [0, 1], "items": [2, 3], "times": [5, 6]}
    right |= {"num_users": NUM_USERS, "num_items": NUM_ITEMS, "length": 2}
    with pytest.raises(ValueError, match=said):
        load_histories(**right | changed)
