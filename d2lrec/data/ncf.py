"""MovieLens 1M as pairs of user and film, one film of each user held out."""

import hashlib
import io

import pandas as pd
import torch

from ..arguments import as_ids
from .sources import fetch_ml1m
from .splits import leave_one_out

NUM_PAIRS, NUM_USERS, NUM_ITEMS = 994_169, 6040, 3706  # the pairs are those to train on
# Of NCF's training pairs, user * NUM_ITEMS + item, sorted, as little-endian int64: the
# file is passed on with two columns and with four, so its own bytes differ.
PAIRS_SHA256 = "1659603a201b335ccb5db58e078e06e9b7a7376759403742f370008246b39530"


def read_data_ml1m():
    """Read MovieLens 1M, split for Neural Collaborative Filtering (NCF), and say where
    from.

    Returns:
        users, items: int64 tensors (994169,), counted from 0, sorted by user and then
            by item.
        candidates: int64 tensor (6040, 100): in row u the held-out item of user u, then
            99 negatives. For 156 users NCF has the held-out item among these 99 too.
        num_users, num_items: 6040 and 3706.
    Raises:
        OSError: no source gave the right files; says how to put them in place by hand.
    Source: He et al. 2017, section 4.1.
    """
    (users, items, candidates, split), source = fetch_ml1m(parse_ml1m)
    print(f"MovieLens 1M read from {source}, {split}")
    return users, items, candidates, NUM_USERS, NUM_ITEMS


def parse_ml1m(files):
    """Turn NCF's files, or else ratings.dat, into users, items, candidates, and say
    how.

    Raises ValueError, naming the file, if they are not those of MovieLens 1M. NCF's
    pairs are known by their SHA-256. Those of ratings.dat may differ from them, where a
    user's latest times are equal, and are known by their counts: its archive has a
    SHA-256, the file alone, in a folder, has none.
    """
    if "ratings.dat" in files:
        split = "split by NCF's rule with seeded negatives of our own"
        users, items, candidates = cut_ratings(files["ratings.dat"], NUM_ITEMS)
    else:
        split = "with NCF's negatives"
        users, items, candidates = parse_ncf(files, NUM_USERS, NUM_ITEMS)
    pairs = (users * NUM_ITEMS + items).unique()  # (n,), sorted
    users, items = pairs // NUM_ITEMS, pairs % NUM_ITEMS
    found = (
        len(pairs),
        len(users.unique()),
        len(torch.cat([items, candidates[:, 0]]).unique()),
    )
    right = NUM_PAIRS, NUM_USERS, NUM_ITEMS
    if found != right:
        raise ValueError(
            f"{next(iter(files))} gives {found} pairs, users and items, not {right}"
        )
    sha256 = hashlib.sha256(pairs.numpy().astype("<i8").tobytes()).hexdigest()
    if "ratings.dat" not in files and sha256 != PAIRS_SHA256:
        raise ValueError(
            f"ml-1m.train.rating has other pairs than it should: SHA-256 {sha256}"
        )
    return users, items, candidates, split


def parse_ncf(files, num_users, num_items):
    """Read NCF's files: users, items (n,) in the file's order, candidates (num_users, 100)."""
    train, test, negative = (
        "ml-1m.train.rating",
        "ml-1m.test.rating",
        "ml-1m.test.negative",
    )
    for number, line in enumerate(files[negative].splitlines(), start=1):
        if line.count(b"\t") != 99:  # a line is like b"(0,25)\t1064\t174..."
            raise ValueError(f"{negative}, line {number}: there must be 99 negatives")
    users, items = read_ids(files, train, 2, num_users, num_items).T
    held_out = read_ids(files, test, 2, num_users, num_items)
    rows = read_ids(files, negative, 101, num_users, num_items)
    if not held_out[:, 0].equal(torch.arange(num_users)):
        raise ValueError(
            f"{test} must hold out one item of each user, in the users' order"
        )
    if not held_out.equal(rows[:, :2]):
        raise ValueError(f"{test} and {negative} hold out different pairs")
    if torch.isin(
        held_out @ torch.tensor([num_items, 1]), users * num_items + items
    ).any():
        raise ValueError(f"{train} has a held-out pair")
    return users, items, rows[:, 1:]


def read_ids(files, name, width, num_users, num_items):
    """Read a column of users, then columns of items: int64 (rows, width)."""
    try:
        ids = read_table(
            files[name].translate(bytes.maketrans(b",", b"\t"), b"()"), width
        )
        as_ids("users", ids[:, 0], num_users)
        as_ids("items", ids[:, 1:], num_items, dim=2)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name}: {error}") from error
    return ids


def cut_ratings(content, num_items):
    """Split ratings.dat, items numbered by first appearance: users, items, candidates."""
    try:
        users, items, _, times = read_table(content.replace(b"::", b"\t"), 4).T
        items = torch.tensor(pd.factorize(items.numpy())[0])
        return leave_one_out(users - 1, items, times, num_items)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"ratings.dat: {error}") from error


def read_table(content, width):
    """Read the first columns of lines of integers with tabs between: int64 (rows, width)."""
    options = {"sep": "\t", "header": None, "usecols": range(width), "dtype": "int64"}
    return torch.tensor(pd.read_csv(io.BytesIO(content), **options).to_numpy())
