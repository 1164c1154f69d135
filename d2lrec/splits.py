"""Which ratings a model learns from, and which ones test it (D2L, section 21.2)."""

import numpy as np


def split_data_ml100k(data, num_users, num_items, split_mode="random", test_ratio=None, seed=0):
    """Split ratings into a training and a test part.

    Args:
        data: DataFrame as `read_data_ml100k` gives it.
        split_mode: "random" tests on a share `test_ratio` of all ratings (0.1 unless told),
            drawn with `seed`, the same on every machine; "seq-aware" tests on the latest
            rating of each user.
    Returns:
        train_data, test_data: DataFrames in the order of `data`. Splitting `train_data` once
            more gives a validation part.
    Raises:
        ValueError: unknown `split_mode`; `test_ratio` outside (0, 1), or given where it has
            no meaning; not a table of ratings (see `check_ratings`); an empty part.
    """
    check_ratings(data, num_users, num_items)
    if split_mode == "random":
        in_test = draw_at_random(len(data), 0.1 if test_ratio is None else test_ratio, seed)
    elif split_mode == "seq-aware" and test_ratio is None:
        in_test = latest_of_each_user(data)
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
    order = np.random.RandomState(seed).permutation(num_ratings)
    in_test = np.zeros(num_ratings, dtype=bool)
    in_test[order[: round(test_ratio * num_ratings)]] = True
    return in_test


def latest_of_each_user(data):
    """Mark the latest rating of each user (as in D2L, of a tie the first): bool (len(data),)."""
    if "timestamp" not in data.columns:
        raise ValueError("data lacks the column timestamp, so no rating is the latest")
    newest_first = np.argsort(-data.timestamp.to_numpy(), kind="stable")
    _, first_of_user = np.unique(data.user_id.to_numpy()[newest_first], return_index=True)
    in_test = np.zeros(len(data), dtype=bool)
    in_test[newest_first[first_of_user]] = True
    return in_test


def check_ratings(data, num_users, num_items):
    """Raise ValueError, naming the value, if `data` is not a table of ratings.

    That is: if a column or all rows are missing, an id is not a whole number from 1 to the
    count, or a rating is NaN or infinite.
    """
    missing = [name for name in ("user_id", "item_id", "rating") if name not in data.columns]
    if missing:
        raise ValueError(f"data lacks the column {', '.join(missing)}")
    if data.empty:
        raise ValueError("data is empty: it has no ratings")
    for column, count in (("user_id", num_users), ("item_id", num_items)):
        wrong = data[column][~data[column].isin(np.arange(1, count + 1))]
        if len(wrong):
            raise ValueError(f"{column} must be a number from 1 to {count}, got {wrong.iloc[0]}")
    wrong = data.rating[~np.isfinite(data.rating)]
    if len(wrong):
        raise ValueError(f"rating must be a finite number, got {wrong.iloc[0]}")
