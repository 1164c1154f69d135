"""Which ratings a model learns from, and which ones test it (D2L, section 21.2)."""

import numpy as np
import pandas as pd

from .arguments import whole_number
from .tables import check_columns, plain_ratings, plain_times


def split_data_ml100k(data, num_users, num_items, split_mode="random", test_ratio=None, seed=0):
    """Split ratings into a training and a test set.

    Args:
        data: DataFrame as `read_data_ml100k` gives it, or a table of your own: see
            `plain_ratings` for the forms that its numbers may have. Of further columns,
            "seq-aware" reads timestamp: numbers, or dates (see `plain_times`).
        split_mode: "random" tests on a share `test_ratio` of all ratings (0.1 unless told),
            drawn with `seed`, the same on every machine; "seq-aware" tests on the latest
            rating of each user.
    Returns:
        train_data, test_data: rows of `data`, unchanged and in its order. Splitting
            `train_data` once more gives a validation set.
    Raises:
        ValueError: unknown `split_mode`; `test_ratio` outside (0, 1), or given where it has
            no meaning; not a table of ratings (see `plain_ratings`), or one with a pair twice,
            which could be in both parts; a timestamp that is missing, or neither; an empty
            part.
    """
    users, _, _ = plain_ratings(data, num_users, num_items)
    if split_mode == "random":
        in_test = draw_at_random(len(data), 0.1 if test_ratio is None else test_ratio, seed)
    elif split_mode == "seq-aware" and test_ratio is None:
        check_columns("data", data, ["timestamp"])
        in_test = latest_of_each_user(users, plain_times(data.timestamp))
    elif split_mode == "seq-aware":
        raise ValueError(
            f"test_ratio={test_ratio} has no meaning with split_mode='seq-aware', which tests "
            "on one rating per user, the latest; leave test_ratio out, or split at 'random'"
        )
    else:
        raise ValueError(f"split_mode must be 'random' or 'seq-aware', got {split_mode!r}")
    train_data, test_data = data[~in_test], data[in_test]
    if train_data.empty or test_data.empty:
        raise ValueError(
            f"an empty part: {len(train_data)} ratings to train on, {len(test_data)} to test on"
        )
    return train_data, test_data


def draw_at_random(num_ratings, test_ratio, seed):
    """Mark a share of the ratings: a bool array (num_ratings,)."""
    if not 0 < test_ratio < 1:
        raise ValueError(f"test_ratio must lie between 0 and 1, got {test_ratio}")
    # Of NumPy's generators only RandomState promises the same numbers in every version.
    order = np.random.RandomState(whole_number("seed", seed, 0)).permutation(num_ratings)
    in_test = np.zeros(num_ratings, dtype=bool)
    in_test[order[: round(test_ratio * num_ratings)]] = True
    return in_test


def latest_of_each_user(users, times):
    """Mark the latest rating of each user (as in D2L, of a tie the first): bool (n,)."""
    in_test = np.zeros(len(users), dtype=bool)
    in_test[pd.Series(times).groupby(users).idxmax()] = True
    return in_test
