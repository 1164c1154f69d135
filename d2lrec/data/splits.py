"""Which ratings a model learns from, and which ones test it (D2L, section 21.2)."""

import numpy as np
import pandas as pd
import torch

from ..arguments import as_ids, as_integer, as_numbers
from .negatives import UnseenItems, as_pairs, draw_distinct
from .tables import check_columns, plain_ratings, plain_times


def draw_at_random(num_ratings, test_ratio, seed):
    """Mark a share of the ratings: a bool array (num_ratings,)."""
    # Of NumPy's generators only RandomState promises the same numbers in every version.
    order = np.random.RandomState(as_integer("seed", seed, 0)).permutation(num_ratings)
    in_test = np.zeros(num_ratings, dtype=bool)
    in_test[order[: round(test_ratio * num_ratings)]] = True
    return in_test


def from_one_time_on(times, test_ratio):
    """Mark the latest share, and what is as old as its oldest: a bool array (n,)."""
    num_test = max(1, round(test_ratio * len(times)))
    return times >= np.sort(times)[-num_test]


def latest_of_each_user(users, times):
    """Mark the latest rating of each user, of a tie the first, as in D2L: bool (n,)."""
    in_test = np.zeros(len(users), dtype=bool)
    in_test[pd.Series(times).groupby(users).idxmax()] = True
    return in_test


def split_data_ml100k(
    data, num_users, num_items, split_mode="random", test_ratio=None, seed=0
):
    """Split ratings into a training and a test set.

    Args:
        data: DataFrame as `read_data_ml100k` gives it, or a table of your own: see
            `plain_ratings` for the forms that its numbers may have. Of further columns,
            "seq-aware" and "time" read timestamp: numbers, or dates (`plain_times`).
        split_mode: "random" tests on a share `test_ratio` of all ratings (0.1 unless
            told), drawn with `seed`, the same on every machine; "time" on the latest
            such share, all that is as old as its oldest rating included; "seq-aware"
            on the latest rating of each user, whenever that was.
    Returns:
        train_data, test_data: rows of `data`, unchanged and in its order. Splitting
            `train_data` once more gives a validation set.
    Raises:
        ValueError: unknown `split_mode`; `test_ratio` outside (0, 1), or given where it
            has no meaning; not a table of ratings (see `plain_ratings`), or one with a
            pair twice, which could be in both parts; a timestamp that is missing, or
            neither; an empty part.
    """
    modes = "random", "seq-aware", "time"
    if split_mode not in modes:
        raise ValueError(f"split_mode is one of {modes}, not {split_mode!r}")
    if split_mode == "seq-aware" and test_ratio is not None:
        raise ValueError("test_ratio has no meaning with 'seq-aware'; leave it out")
    test_ratio = 0.1 if test_ratio is None else test_ratio
    if not 0 < test_ratio < 1:
        raise ValueError(f"test_ratio must lie between 0 and 1, got {test_ratio}")
    users, _, _ = plain_ratings(data, num_users, num_items)
    if split_mode == "random":
        in_test = draw_at_random(len(data), test_ratio, seed)  # (n,)
    else:
        check_columns("data", data, ["timestamp"])
        times = plain_times(data.timestamp)  # (n,)
        if split_mode == "time":
            in_test = from_one_time_on(times, test_ratio)  # (n,)
        else:
            in_test = latest_of_each_user(users, times)  # (n,)
    if in_test.all() or not in_test.any():
        raise ValueError(f"an empty part: {in_test.sum()} of {len(data)} to test on")
    return data[~in_test], data[in_test]


def leave_one_out(users, items, times, num_items, num_negatives=99, seed=0):
    """Hold out the latest interaction of each user, to be ranked among unseen items.

    Args:
        users, items: integers (n,), counted from 0, in a tensor or whatever `as_ids`
            reads; every pair once.
        times: numbers (n,); of equal times the first counts as the latest. Random
            numbers instead of times hold out a random interaction.
        num_negatives: how many distinct items that the user never saw stand beside it.
        seed: of the drawing of these.
    Returns:
        train_users, train_items: int64 tensors (n - num_users,), in the order given.
        candidates: int64 tensor (num_users, 1 + num_negatives), the held-out item
            first.
    Raises:
        ValueError: no interaction, lengths that differ, another shape, an id out of
            range or no integer, a time that is NaN, a repeated pair, a user without an
            interaction, or with fewer unseen items than `num_negatives`.
    Source: He et al. 2017, section 4.1.
    """
    users, times = as_ids("users", users), as_numbers("times", times)
    if not len(users) == len(times) > 0 or times.isnan().any():
        lengths = f"{len(users)} interactions, {len(times)} times"
        raise ValueError(f"need interactions with a time each, no NaN; got {lengths}")
    num_users = int(users.max()) + 1
    users, items = as_pairs(users, items, num_users, num_items)  # (n,), (n,)
    unseen = UnseenItems(users, items, num_users, num_items)
    if len(unseen.keys) < len(users):
        raise ValueError("a pair of user and item occurs twice; keep one of them")
    if unseen.counts.max() == num_items:
        raise ValueError(
            f"user {unseen.counts.argmax()} has no interaction to hold out"
        )
    times = times.to(users.device)  # (n,)
    latest_first = times.argsort(descending=True, stable=True)  # (n,)
    by_user = latest_first[users[latest_first].argsort(stable=True)]  # (n,)
    held_out = by_user[unseen.starts]  # (num_users,), the latest of each user
    in_train = torch.ones_like(users, dtype=torch.bool)  # (n,)
    in_train[held_out] = False
    negatives = draw_distinct(unseen, num_negatives, seed)  # (num_users, num_negatives)
    candidates = torch.cat([items[held_out].unsqueeze(1), negatives], dim=1)
    return users[in_train], items[in_train], candidates
