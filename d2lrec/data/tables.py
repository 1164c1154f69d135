"""A table of ratings in plain numbers, or one clear error."""

import numpy as np
import pandas as pd

from ..arguments import as_counts


def plain_numbers(column):
    """Return a column's numbers, (n,), with NaN for what is no number.

    They are int64, uint64 or float64, and may be nullable or strings in the column.
    """
    if column.dtype.kind not in "iuf":
        cells = column.astype(object)
        # To pandas, True is 1 and a complex number is one of its numbers.
        others = cells.map(type).isin([bool, np.bool_, complex, np.complex128])
        column = pd.to_numeric(cells.mask(others), errors="coerce")
    if column.hasnans:
        return column.to_numpy("f8", na_value=np.nan)
    return column.to_numpy(column.dtype.kind + "8")


def refuse(column, wrong, right):
    """Raise ValueError for the first value that `wrong`, bool (n,), marks, if any."""
    for row, value in column[wrong].items():
        raise ValueError(f"{column.name} must be {right}, got {value!r} in row {row!r}")


def plain_ids(column, count):
    """Read ids, integers from 1 to `count`, from a column: int64 (n,)."""
    numbers = plain_numbers(column)  # (n,)
    wrong = ~((numbers >= 1) & (numbers <= count) & (numbers == np.trunc(numbers)))
    refuse(column, wrong, f"from 1 to {count} (number your own ids with IdMap first)")
    return numbers.astype(np.int64, copy=False)


def plain_times(column):
    """Read times to be compared, (n,): numbers, or dates, also as ISO 8601 strings.

    Raises ValueError, with column, row and value, for all others, and for dates with
    several time zones.
    """
    times = plain_numbers(column)
    if not np.isnan(times).all():
        refuse(column, ~np.isfinite(times), "a number, as those in other rows")
        return times
    dates = pd.to_datetime(column, format="ISO8601", errors="coerce")
    # Several zones: an error of newer pandas, a column of objects in older ones.
    wrong = dates.isna() | (dates.dtype.kind != "M")
    refuse(column, wrong, "a number or a date as 2026-08-31, in one zone")
    return dates.astype(np.int64).to_numpy()


def check_columns(name, table, columns):
    """Raise ValueError unless a table has each of these columns once."""
    found = list(table.columns) if isinstance(table, pd.DataFrame) else [type(table)]
    if any(found.count(column) != 1 for column in columns):
        raise ValueError(f"{name} must be a DataFrame with {columns} once, got {found}")


def check_no_repeats(users, items, num_items):
    """Raise ValueError if a pair of user and item, both (n,) from 1, occurs twice."""
    pairs = users * num_items + items  # (n,), a number for each pair
    pairs.sort()  # so that equal ones are neighbors; DataFrame.duplicated is slower
    repeated = pairs[1:][pairs[1:] == pairs[:-1]]
    if len(repeated):
        user, item = divmod(int(repeated[0]) - 1, num_items)
        raise ValueError(f"user {user} has item {item + 1} more than once; keep one")


def plain_ratings(data, num_users, num_items):
    """Read a table of ratings, in whatever form its numbers plainly are.

    Numbers may be integers of any width, floats such as 3.0, nullable, or strings.

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
    num_users, num_items = as_counts(num_users, num_items)
    check_columns("data", data, ["user_id", "item_id", "rating"])
    if data.empty:
        raise ValueError("data is empty: it has no ratings")
    users = plain_ids(data.user_id, num_users)  # (n,)
    items = plain_ids(data.item_id, num_items)  # (n,)
    ratings = plain_numbers(data.rating).astype(np.float32)  # (n,)
    refuse(data.rating, ~np.isfinite(ratings), "a finite number")
    check_no_repeats(users, items, num_items)
    return users, items, ratings
