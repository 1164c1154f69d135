"""MovieLens 100K as tables and as tensors (D2L, section 21.2)."""

import io
from dataclasses import dataclass

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
    files, source = fetch_ml100k("u.data")
    print(f"MovieLens 100K read from {source}")
    names = ["user_id", "item_id", "rating", "timestamp"]
    data = pd.read_csv(io.BytesIO(files["u.data"]), sep="\t", names=names)
    return data, data.user_id.nunique(), data.item_id.nunique()


def read_films_ml100k():
    """Read the titles of the films (raises OSError as `read_data_ml100k` does).

    Returns a DataFrame whose row number is the film's index in a model (0...1681), with
    the columns item_id (1...1682), title (str) and year (Int64; one film has none).
    """
    files, _ = fetch_ml100k("u.item")
    text = io.StringIO(files["u.item"].decode("latin-1"))
    films = pd.read_csv(text, sep="|", names=["item_id", "title"], usecols=[0, 1])
    # Some titles go on after the year: "(1995) (V)" is a film on video.
    parts = films.title.str.extract(r"^\s*(.*?)(?:\s*\((\d{4})\)(?: \(V\))?)?\s*$")
    return films.assign(title=parts[0], year=parts[1].astype("Int64"))


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
    users, items, ratings = map(torch.from_numpy, (users - 1, items - 1, ratings))
    if feedback == "explicit":
        pairs, shape = torch.stack([items, users]), (num_items, num_users)
        with torch.sparse.check_sparse_tensor_invariants(False):  # they hold
            inter = torch.sparse_coo_tensor(pairs, ratings, shape)
    else:
        ratings = torch.ones_like(ratings)
        inter = pd.Series(items.numpy()).groupby(users.numpy()).agg(list).to_dict()
    return users, items, ratings, inter


def load_batches(
    data, num_users, num_items, batch_size=256, *, feedback="explicit", **options
):
    """Load a part of the ratings as batches.

    Args:
        data, num_users, num_items, feedback: as `load_data_ml100k` takes them.
        batch_size, options: of the `BatchIterator`; the options are shuffle, seed and
            device, by name.
    Returns:
        a `BatchIterator` over users, items and ratings, for "implicit" over 1 each.
    Raises:
        ValueError: as both do.
    """
    users, items, ratings, _ = load_data_ml100k(data, num_users, num_items, feedback)
    return BatchIterator(users, items, ratings, batch_size, **options)


@dataclass
class Loaded:
    """What `split_and_load_ml100k` returns: by name, or unpacked as D2L's four."""

    num_users: int
    num_items: int
    train_iter: BatchIterator
    test_iter: BatchIterator
    valid_iter: BatchIterator | None = None

    def __iter__(self):
        yield from (self.num_users, self.num_items, self.train_iter, self.test_iter)


def split_and_load_ml100k(
    split_mode="random",
    feedback="explicit",
    test_ratio=None,
    batch_size=256,
    seed=0,
    validation=False,
    device=None,
):
    """Read MovieLens 100K, split it and load it.

    The name and the order of the arguments are D2L's; its default split is "seq-aware",
    while ours is "random". What they mean, and which errors they raise, is said at
    `split_data_ml100k` and `load_data_ml100k`.

    Args:
        batch_size, device: of the batches; see `BatchIterator`.
        seed: of the split and of the order of the training batches.
        validation: split the training set once more, in the same way.
    Returns:
        num_users, num_items, train_iter, test_iter, to be unpacked or read by name. By
        name only: valid_iter, the batches of the validation set (None without one).
    """
    data, *counts = read_data_ml100k()
    settings = (*counts, split_mode, test_ratio, seed)
    train_data, test_data = split_data_ml100k(data, *settings)
    options = {"batch_size": batch_size, "feedback": feedback, "device": device}
    valid_iter = None
    if validation:
        train_data, valid_data = split_data_ml100k(train_data, *settings)
        valid_iter = load_batches(valid_data, *counts, shuffle=False, **options)
    train_iter = load_batches(train_data, *counts, seed=seed, **options)
    test_iter = load_batches(test_data, *counts, shuffle=False, **options)
    return Loaded(*counts, train_iter, test_iter, valid_iter)
