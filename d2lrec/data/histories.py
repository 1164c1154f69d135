"""What each user had before: the items that stand before an interaction."""

from collections import namedtuple

import torch

from ..arguments import as_integer, as_numbers
from .negatives import as_pairs

Histories = namedtuple("Histories", ["users", "items", "before", "latest"])


def load_histories(users, items, times, num_users, num_items, length):
    """Put each user's interactions in order, and before each the items of its history.

    Args:
        users, items: integers (n,), counted from 0, in a tensor or whatever `as_ids`
            reads. A user may have one interaction, or none.
        times: numbers (n,); of equal times the first counts as the latest, as in
            `leave_one_out`, which so holds out the last one of each user.
        length: how many items of a history are kept, at least 1.
    Returns a named tuple of int64 tensors:
        users, items: the interactions (n,), user by user, each from early to late.
        before: (n, length), the items that the user had before this one, the latest in
            the last column; where there are fewer, `num_items` stands for none.
        latest: (num_users, length), likewise after a user's last interaction.
    Raises ValueError for ids out of range, lengths that differ, or a time that is NaN.
    """
    users, items = as_pairs(users, items, num_users, num_items)
    times = as_numbers("times", times).to(users.device)
    length = as_integer("length", length, 1)
    if len(times) != len(users) or times.isnan().any():
        lengths = f"{len(users)} interactions, {len(times)} times"
        raise ValueError(f"each interaction needs a time, no NaN; got {lengths}")
    order = torch.arange(len(users), device=users.device).flip(0)  # (n,)
    for column in (times, users):  # both sorts keep the order of what is equal
        order = order[column[order].argsort(stable=True)]
    users, items = users[order], items[order]  # (n,) each
    none = items.new_full((length,), num_items)  # (length,)
    windows = torch.cat([none, items]).unfold(0, length, 1)  # (n + 1, length)
    owners = torch.cat([none - num_items - 1, users]).unfold(0, length, 1)
    ends = torch.bincount(users, minlength=num_users).cumsum(0)  # (num_users,)
    everyone = torch.arange(num_users, device=users.device)  # (num_users,)
    parts = [(slice(len(users)), users), (ends, everyone)]
    before, latest = [
        windows[rows].where(owners[rows] == owner.unsqueeze(1), num_items)
        for rows, owner in parts
    ]
    return Histories(users, items, before, latest)
