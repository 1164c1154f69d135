"""The ids in a reader's own files, and the rows that a model gives them."""

from contextlib import suppress

import pandas as pd

from ..checkpoints import read_checkpoint
from .tables import check_columns


class IdMap:
    """Raw ids of users and items, numbered as a model needs them: from raw ids to rows
    and back.

    A model has a row for each user and item, counted from 0 without gaps, while the ids
    in a file have gaps or are strings. Sorted, they are the rows: `user_ids[row]` and
    `item_ids[row]` are the way back. In tables, user_id and item_id are counted from 1,
    as in MovieLens 100K.

    Args:
        user_ids, item_ids: columns of a table of ratings; integers or strings, each as
            often as it likes.
    Raises:
        ValueError: no ids, one that is missing, numbers among strings, or parts of a
            number.
    """

    def __init__(self, user_ids, item_ids):
        self.user_ids = sorted_ids("user_id", user_ids)  # (num_users,)
        self.item_ids = sorted_ids("item_id", item_ids)  # (num_items,)
        self.num_users, self.num_items = len(self.user_ids), len(self.item_ids)

    def user(self, user_id):
        """Return the row of a user, an int; raises ValueError for one who is not known."""
        return int(rows_of("user_id", self.user_ids, [user_id])[0])

    def item(self, item_id):
        """Return the row of an item, an int; raises ValueError for one that is not known."""
        return int(rows_of("item_id", self.item_ids, [item_id])[0])

    def number(self, ratings):
        """Return a table whose raw user_id and item_id are replaced by numbers from 1.

        All else, columns, rows and their order, stays as it is. Raises ValueError, with
        the id, for a user or an item that is not known, and for a table without one of
        the columns.
        """
        check_columns("ratings", ratings, ["user_id", "item_id"])
        return ratings.assign(
            user_id=rows_of("user_id", self.user_ids, ratings.user_id) + 1,
            item_id=rows_of("item_id", self.item_ids, ratings.item_id) + 1,
        )

    def order(self, films):
        """Return a row for each item, in the order of the model's rows, for
        `recommend`.

        Args:
            films: DataFrame with the raw item_id of each film once, in any order. Films
                without ratings are left out; an item that is not in it gets a row of
                missing values.
        Returns:
            DataFrame with the raw ids as row labels, item_id from 1, and the other
            columns.
        Raises:
            ValueError: no column item_id, an id twice, or not one of the items.
        """
        raw = check_films(films, self.item_ids)  # (number of films,)
        films = films.set_axis(raw, axis="index").reindex(self.item_ids)
        return films.assign(item_id=range(1, self.num_items + 1))

    def state_dict(self):
        """Return what `save_checkpoint` keeps: a dict of two lists of raw ids."""
        return {"user_ids": self.user_ids.tolist(), "item_ids": self.item_ids.tolist()}


def load_ids(path):
    """Read the IdMap that `save_checkpoint(model, path, ids)` has kept beside the
    parameters.

    Raises FileNotFoundError, or ValueError for a file that is no checkpoint or has no
    ids.
    """
    _, kept = read_checkpoint(path)
    if kept is None:
        raise ValueError(
            f"{path} has no ids: write it with save_checkpoint(model, path, ids)"
        )
    return IdMap(**kept)


def sorted_ids(name, ids):
    """The different ids, sorted: a pandas Index of integers or of strings."""
    ids = raw_ids(name, ids).unique()
    if ids.empty:
        raise ValueError(f"there is no {name} at all")
    return ids.sort_values()


def raw_ids(name, ids):
    """Ids as an Index of int64 or of strings; a ValueError names one that is neither."""
    ids = pd.Index(pd.Series(ids).to_numpy())
    if ids.hasnans:
        raise ValueError(
            f"{name} is missing in row {ids.isna().argmax()}, counted from 0"
        )
    kind = pd.api.types.infer_dtype(ids)
    if kind in ("string", "empty"):
        return ids.astype(object)
    if kind in ("integer", "floating"):  # pandas may have read 3 as 3.0
        with suppress(ValueError, OverflowError):  # infinite, or beyond int64
            whole = ids.astype("int64")
            if (whole == ids).all():
                return whole
    wanted = "integers of 64 bits, or strings"
    raise ValueError(f"{name} must be {wanted}, not {kind} as {first_of(ids)!r}")


def rows_of(name, known, ids):
    """The rows of ids, int64 (n,); a ValueError names the first that is not known."""
    ids = raw_ids(name, ids)
    rows = known.get_indexer(ids)
    if (rows < 0).any():
        unknown, example = first_of(ids[rows < 0]), first_of(known)
        raise ValueError(
            f"{name} {unknown!r} is none of the {len(known)} known ones, as {example!r}"
        )
    return rows


def first_of(ids):
    """The first of some ids, as a number or string of Python."""
    return ids[:1].tolist()[0]


def check_films(films, known):
    """Return the raw ids of films, one of which must be known; raise ValueError for the rest."""
    check_columns("films", films, ["item_id"])
    ids = raw_ids("item_id", films.item_id)
    twice = ids[ids.duplicated()]
    if len(twice):
        raise ValueError(
            f"films has item_id {first_of(twice)!r} twice; keep one of its rows"
        )
    if not ids.isin(known).any():
        raise ValueError(
            f"films has no item as {first_of(known)!r} in its {len(films)} rows: "
            "are ids numbers in one file and strings in the other?"
        )
    return ids
