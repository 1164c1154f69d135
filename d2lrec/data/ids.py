"""The ids in a reader's own files, and the rows that a model gives them."""

import numpy as np
import pandas as pd

from ..checkpoints import read_checkpoint
from .tables import check_columns, plain_numbers, refuse


def raw_ids(name, ids):
    """Return ids as a Series of int64 or of strings; a ValueError for all others."""
    ids = pd.Series(ids, name=name)
    refuse(ids, ids.isna(), "an integer or a string")
    kind = pd.api.types.infer_dtype(ids.to_numpy())
    if kind in ("string", "empty"):
        return ids.astype(object)
    if kind not in ("integer", "floating"):  # pandas may have read 3 as 3.0
        raise ValueError(f"{name} must be all integers or all strings, not {kind}")
    numbers = plain_numbers(ids)  # (n,)
    with np.errstate(invalid="ignore"):  # as of an infinite number
        integers = numbers.astype(np.int64, copy=False)  # (n,)
    refuse(ids, integers != numbers, "an integer of 64 bits")
    return ids.astype(np.int64)


def sorted_ids(name, ids):
    """Return the different ids, sorted: an Index of integers or of strings."""
    ids = raw_ids(name, ids)
    if ids.empty:
        raise ValueError(f"there is no {name} at all")
    different = ids.drop_duplicates().to_numpy()
    return pd.Index(different, dtype=ids.dtype).sort_values()


def rows_of(name, known, ids):
    """Return the rows of ids, int64 (n,); a ValueError for one that is not known."""
    ids = raw_ids(name, ids)
    rows = known.get_indexer(ids)
    refuse(ids, rows < 0, f"one of the {len(known)} known, as {known[:3].tolist()}")
    return rows


class IdMap:
    """Raw ids of users and items, numbered as a model needs them, and the way back.

    A model has a row for each user and item, counted from 0 without gaps, while the ids
    in a file have gaps or are strings. Sorted, they are the rows: `user_ids[row]` and
    `item_ids[row]` are the way back. In tables, user_id and item_id are counted from 1,
    as in MovieLens 100K.

    Args:
        user_ids, item_ids: columns of a table of ratings; integers or strings, each as
            often as it likes.
    Raises:
        ValueError: no ids, one that is missing, numbers among strings, or a number that
            is no integer.
    """

    def __init__(self, user_ids, item_ids):
        self.user_ids = sorted_ids("user_id", user_ids)  # (num_users,)
        self.item_ids = sorted_ids("item_id", item_ids)  # (num_items,)
        self.num_users, self.num_items = len(self.user_ids), len(self.item_ids)

    def user(self, user_id):
        """Return the row of a known user, an int; ValueError for others."""
        return int(rows_of("user_id", self.user_ids, [user_id])[0])

    def item(self, item_id):
        """Return the row of a known item, an int; ValueError for others."""
        return int(rows_of("item_id", self.item_ids, [item_id])[0])

    def number(self, ratings):
        """Return a table whose raw user_id and item_id are replaced by numbers from 1.

        All else, columns, rows and their order, stays as it is. Raises ValueError, with
        the id, for a user or an item that is not known, and for a table without one of
        the columns.
        """
        check_columns("ratings", ratings, ["user_id", "item_id"])
        users = rows_of("user_id", self.user_ids, ratings.user_id) + 1  # (n,)
        items = rows_of("item_id", self.item_ids, ratings.item_id) + 1  # (n,)
        return ratings.assign(user_id=users, item_id=items)

    def order(self, films):
        """Return films in the order of the model's rows, one each, for `recommend`.

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
        check_columns("films", films, ["item_id"])
        raw = raw_ids("item_id", films.item_id)  # (number of films,)
        refuse(raw, raw.duplicated(), "in one row only")
        if not raw.isin(self.item_ids).any():
            raise ValueError("films has no known item: numbers here, strings there?")
        films = films.set_axis(raw, axis="index").reindex(self.item_ids)
        return films.assign(item_id=range(1, self.num_items + 1))

    def state_dict(self):
        """Return what `save_checkpoint` keeps: a dict of two lists of raw ids."""
        return {"user_ids": self.user_ids.tolist(), "item_ids": self.item_ids.tolist()}


def load_ids(path):
    """Read the IdMap that `save_checkpoint(model, path, ids)` has kept with a model.

    Raises FileNotFoundError, or ValueError for a file that is no checkpoint or has no
    ids.
    """
    _, kept = read_checkpoint(path)
    if kept is None:
        raise ValueError(f"{path} has no ids: give them to save_checkpoint as well")
    return IdMap(**kept)
