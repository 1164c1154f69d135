"""A table of ratings in plain numbers, or one clear error."""

import numpy as np
import pandas as pd

from ..arguments import as_integer


def plain_ratings(data, num_users, num_items):
    """Read a table of ratings, in whatever form its numbers plainly are.

    Numbers may be integers of any width, whole floats, nullable or in strings ("3.5").

    Args:
        data: DataFrame with the columns user_id, item_id, rating; further ones do not
            matter.
        num_users, num_items: the largest ids allowed.
    Returns:
        users, items: int64 arrays (n,), counted from 1.
        ratings: float32 array (n,).
    Raises:
        ValueError: a column or all rows are missing, an id is no integer from 1 to the
            count, a rating is no finite number (the message has column, value and row),
            or a pair of user and item occurs twice.
    """
    num_users = as_integer("num_users", num_users, 1)
    num_items = as_integer("num_items", num_items, 1)
    if num_users * num_items >= 2**62:
        raise ValueError(
            f"{num_users} users x {num_items} items are too many for int64"
        )
    check_columns("data", data, ["user_id", "item_id", "rating"])
    if data.empty:
        raise ValueError("data is empty: it has no ratings")
    users, items = (
        plain_ids(data.user_id, num_users),
        plain_ids(data.item_id, num_items),
    )
    ratings = plain_numbers(data.rating).astype(np.float32)  # (n,)
    refuse(data.rating, ~np.isfinite(ratings), "a finite number")
    check_no_repeats(users, items, num_items)
    return users, items, ratings


def plain_ids(column, count):
    """Read ids, integers from 1 to `count`, from a column: int64 (n,)."""
    numbers = plain_numbers(column)  # (n,)
    wrong = ~((numbers >= 1) & (numbers <= count) & (numbers == np.trunc(numbers)))
    refuse(column, wrong, f"from 1 to {count} (number your own ids with IdMap first)")
    return numbers.astype(np.int64, copy=False)


def plain_times(column):
    """Read times to be compared, (n,): numbers, or dates of one time zone, in strings
    in ISO 8601.

    Raises ValueError for all others, with column, row and value.
    """
    times = plain_numbers(column)
    if np.isnan(times).all():
        dates = pd.to_datetime(column, format="ISO8601", errors="coerce")
        # Several zones: an error of newer pandas, a column of objects in older ones.
        mixed = dates.dtype.kind != "M"
        refuse(
            column,
            dates.isna() | mixed,
            "a number or a date as 2026-08-31, in one zone",
        )
        return dates.astype(np.int64).to_numpy()
    refuse(column, ~np.isfinite(times), "a number, as those in other rows")
    return times


def plain_numbers(column):
    """A column's numbers as int64, uint64 or float64 (n,), and NaN for what is no number."""
    if column.dtype.kind in "OU" and not isinstance(column.dtype, pd.PeriodDtype):
        if not isinstance(column.dtype, pd.StringDtype):  # where True would become 1
            column = column.mask(column.map(type).isin([bool, np.bool_]))
        column = pd.to_numeric(column, errors="coerce")
    kind = column.dtype.kind
    if kind not in "iuf":  # dates and booleans
        return np.full(len(column), np.nan)
    if column.hasnans:
        return column.to_numpy(np.float64, na_value=np.nan)
    return column.to_numpy({"i": np.int64, "u": np.uint64, "f": np.float64}[kind])


def refuse(column, wrong, right):
    """Raise ValueError for the first value that `wrong`, bool (n,), marks, if there is one."""
    if wrong.any():
        first = [wrong.argmax()]
        [value], [row] = column.iloc[first].tolist(), column.index[first].tolist()
        raise ValueError(f"{column.name} must be {right}, got {value!r} in row {row!r}")


def check_columns(name, table, columns):
    """Raise ValueError if a table lacks one of these columns, or has it twice."""
    found = list(table.columns) if isinstance(table, pd.DataFrame) else [type(table)]
    if any(found.count(column) != 1 for column in columns):
        raise ValueError(
            f"{name} must be a DataFrame with one each of {columns}, got {found}"
        )


def check_no_repeats(users, items, num_items):
    """Raise ValueError if a pair of user and item, both (n,) from 1, occurs twice."""
    pairs = users * num_items  # (n,), and in place from here on, as n may be large
    pairs += items - 1
    pairs.sort()
    repeated = pairs[1:][pairs[1:] == pairs[:-1]]
    if len(repeated):
        user, item = divmod(int(repeated[0]), num_items)
        raise ValueError(
            f"user {user} has item {item + 1} more than once; keep one rating of each pair, as the "
            "latest: sort by time, then drop_duplicates(['user_id', 'item_id'], keep='last')"
        )
