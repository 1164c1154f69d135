"""MovieLens 100K as tables and as tensors (D2L, section 21.2)."""

import io
from collections import namedtuple

import numpy as np
import pandas as pd
import torch

from .batches import BatchIterator
from .sources import fetch_ml100k
from .splits import split_data_ml100k
from .tables import plain_ratings


def read_data_ml100k():
    """Read the ratings of MovieLens 100K from wherever they can be had, and say where.

    Returns:
        data: DataFrame of 100,000 rows, in the file's order, with the int64 columns
            user_id (1...943), item_id (1...1682), rating (1...5), timestamp (s since
            1970).
        num_users, num_items: 943 and 1682.
    Raises:
        OSError: no source could be reached; says how to put the file in place by hand.
    """
    files, source = fetch_ml100k()
    print(f"MovieLens 100K read from {source}")
    names = ["user_id", "item_id", "rating", "timestamp"]
    data = pd.read_csv(io.BytesIO(files["u.data"]), sep="\t", names=names)
    return data, data.user_id.nunique(), data.item_id.nunique()


def read_films_ml100k():
    """Read the titles of the films (raises OSError as `read_data_ml100k` does).

    Returns a DataFrame whose row number is the film's index in a model (0...1681), with
    the columns item_id (1...1682), title (str) and year (Int64; one film has none).
    """
    lines = fetch_ml100k()[0]["u.item"].decode("latin-1").splitlines()
    films = pd.DataFrame(
        [line.split("|")[:2] for line in lines], columns=["item_id", "title"]
    )
    title_and_year = films.title.str.strip().str.extract(
        r"^(.*?)(?:\s*\((\d{4})\)(?: \(V\))?)?$"
    )
    films["title"], films["year"] = title_and_year[0], title_and_year[1].astype("Int64")
    return films.astype({"item_id": np.int64})


def load_data_ml100k(data, num_users, num_items, feedback="explicit"):
    """Turn a table of ratings into tensors, with users and items counted from 0.

    Args:
        data: DataFrame with the columns user_id, item_id (both from 1) and rating; see
            `plain_ratings` for the forms that their numbers may have.
        feedback: "explicit" keeps the ratings, "implicit" makes a 1 of each.
    Returns:
        users, items: int64 tensors (n,).
        ratings: float32 tensor (n,), which D2L calls scores.
        inter: for "explicit" a sparse float32 tensor (num_items, num_users) of the
            ratings, which `inter.to_dense()` makes D2L's matrix, with 0 for no rating;
            for "implicit" a dict from each user to the list of their items.
    Raises:
        ValueError: unknown `feedback`, or not a table of ratings (see `plain_ratings`).
    """
    if feedback not in ("explicit", "implicit"):
        raise ValueError(f"feedback must be 'explicit' or 'implicit', got {feedback!r}")
    users, items, ratings = plain_ratings(data, num_users, num_items)
    users, items = (
        torch.from_numpy(users - 1),
        torch.from_numpy(items - 1),
    )  # (n,), (n,)
    ratings = torch.from_numpy(ratings)  # (n,)
    if feedback == "explicit":
        pairs, shape = torch.stack([items, users]), (num_items, num_users)
        inter = torch.sparse_coo_tensor(pairs, ratings, shape, check_invariants=False)
    else:
        ratings = torch.ones_like(ratings)
        inter = pd.Series(items.numpy()).groupby(users.numpy()).agg(list).to_dict()
    return users, items, ratings, inter


def load_batches(
    data,
    num_users,
    num_items,
    batch_size=256,
    *,
    shuffle=True,
    seed=0,
    device=None,
    feedback="explicit",
):
    """Load a part of the ratings as batches: `load_data_ml100k`, then `BatchIterator`."""
    users, items, ratings, _ = load_data_ml100k(data, num_users, num_items, feedback)
    return BatchIterator(users, items, ratings, batch_size, shuffle, seed, device)


class Loaded(namedtuple("Loaded", "num_users num_items train_iter test_iter")):
    """What `split_and_load_ml100k` returns: D2L's four results, and by name `valid_iter`."""

    valid_iter = None


def split_and_load_ml100k(
    split_mode="random",
    feedback="explicit",
    test_ratio=None,
    batch_size=256,
    seed=0,
    validation=False,
    device=None,
):
    """Read MovieLens 100K, split it (`split_data_ml100k`) and load it
    (`load_data_ml100k`).

    Args:
        batch_size, device: of the batches; see `BatchIterator`.
        seed: of the split and of the order of the training batches.
        validation: split the training set once more, in the same way.
    Returns:
        num_users, num_items, train_iter, test_iter, to be unpacked or read by name;
        with `validation`, the batches of that set are `valid_iter`, by name only.
    """
    data, num_users, num_items = read_data_ml100k()
    sizes, options = (num_users, num_items), {"device": device, "feedback": feedback}
    rest, test_data = split_data_ml100k(data, *sizes, split_mode, test_ratio, seed)
    if validation:
        rest, valid_data = split_data_ml100k(rest, *sizes, split_mode, test_ratio, seed)
    train_iter = load_batches(rest, *sizes, batch_size, seed=seed, **options)
    test_iter = load_batches(test_data, *sizes, batch_size, shuffle=False, **options)
    loaded = Loaded(*sizes, train_iter, test_iter)
    if validation:
        loaded.valid_iter = load_batches(
            valid_data, *sizes, batch_size, shuffle=False, **options
        )
    return loaded
