"""MovieLens 100K as tables and as tensors (D2L, section 21.2)."""

import io

import numpy as np
import pandas as pd
import torch

from .iterators import BatchIterator
from .sources import fetch_ml100k
from .splits import split_data_ml100k
from .tables import plain_ratings


def read_data_ml100k():
    """Read the ratings of MovieLens 100K from wherever they can be had, and say where.

    Returns:
        data: DataFrame of 100,000 rows, in the file's order, with the int64 columns
            user_id (1...943), item_id (1...1682), rating (1...5), timestamp (s since 1970).
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

    Returns a DataFrame whose row number is the film's index in a model (0...1681), with the
    columns item_id (1...1682), title (str) and year (Int64; one film has none).
    """
    lines = fetch_ml100k()[0]["u.item"].decode("latin-1").splitlines()
    films = pd.DataFrame([line.split("|")[:2] for line in lines], columns=["item_id", "title"])
    title_and_year = films.title.str.strip().str.extract(r"^(.*?)(?:\s*\((\d{4})\)(?: \(V\))?)?$")
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
        scores: float32 tensor (n,).
        inter: for "explicit" a sparse float32 tensor (num_items, num_users) of the ratings,
            which `inter.to_dense()` makes D2L's matrix, with 0 for no rating; for "implicit"
            a dict from each user to the list of their items.
    Raises:
        ValueError: unknown `feedback`, or not a table of ratings (see `plain_ratings`).
    """
    if feedback not in ("explicit", "implicit"):
        raise ValueError(f"feedback must be 'explicit' or 'implicit', got {feedback!r}")
    users, items, scores = plain_ratings(data, num_users, num_items)
    users, items, scores = map(torch.from_numpy, (users - 1, items - 1, scores))  # each (n,)
    if feedback == "explicit":
        pairs, shape = torch.stack([items, users]), (num_items, num_users)
        inter = torch.sparse_coo_tensor(pairs, scores, shape, check_invariants=False)
    else:
        scores = torch.ones_like(scores)
        inter = pd.Series(items.numpy()).groupby(users.numpy()).agg(list).to_dict()
    return users, items, scores, inter


def split_and_load_ml100k(
    split_mode="random",
    feedback="explicit",
    test_ratio=None,
    batch_size=256,
    seed=0,
    validation=False,
    device=None,
):
    """Read MovieLens 100K, split it (`split_data_ml100k`) and load it (`load_data_ml100k`).

    Args:
        batch_size, device: of the batches; see `BatchIterator`.
        seed: of the split and of the order of the training batches.
        validation: split the training set once more, in the same way.
    Returns:
        num_users, num_items, train_iter, test_iter; with `validation` there are five
        results: num_users, num_items, train_iter, valid_iter, test_iter.
    """
    data, num_users, num_items = read_data_ml100k()
    how = (num_users, num_items, split_mode, test_ratio, seed)
    train_data, test_data = split_data_ml100k(data, *how)
    held_out = [test_data]
    if validation:
        train_data, valid_data = split_data_ml100k(train_data, *how)
        held_out = [valid_data, test_data]
    iterators = []
    for part in [train_data, *held_out]:
        tensors = load_data_ml100k(part, num_users, num_items, feedback)[:3]
        shuffle = part is train_data
        iterators.append(BatchIterator(*tensors, batch_size, shuffle, seed, device))
    return num_users, num_items, *iterators
