"""MovieLens 1M as pairs of user and film, one film of each user held out."""

import hashlib
import io

import pandas as pd
import torch

from .sources import fetch_ml1m
from .splits import leave_one_out

NUM_PAIRS, NUM_USERS, NUM_ITEMS = 994_169, 6040, 3706  # the pairs are those to train on
# Of NCF's training pairs, user * NUM_ITEMS + item, sorted, as little-endian int64: the
# file is passed on with two columns and with four, so its own bytes differ.
PAIRS_SHA256 = "1659603a201b335ccb5db58e078e06e9b7a7376759403742f370008246b39530"


def read_data_ml1m():
    """Read MovieLens 1M in the split of Neural Collaborative Filtering (NCF).

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
    """Turn NCF's files, or else ratings.dat, into users, items, candidates, split.

    Raises ValueError, naming the file, if they are not those of MovieLens 1M. NCF's
    negatives are not checked here: `fetch_ml1m` knows the SHA-256 of their file.
    """
    try:
        if "ratings.dat" in files:
            name = "ratings.dat"
            split = "split by NCF's rule with seeded negatives of our own"
            pairs, candidates = cut_ratings(files[name])
        else:
            name, split = "ml-1m.train.rating", "with NCF's negatives"
            pairs, candidates = read_ncf(files[name], files["ml-1m.test.negative"])
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name}: {error}") from error
    return pairs // NUM_ITEMS, pairs % NUM_ITEMS, candidates, split


def read_ncf(train, negative):
    """Read NCF's files: pairs (n,), known by their SHA-256, and candidates."""
    users, items = read_table(train, 2).T  # (n,), (n,)
    pairs = (users * NUM_ITEMS + items).unique()  # (n,)
    sha256 = hashlib.sha256(pairs.numpy().astype("<i8").tobytes()).hexdigest()
    if sha256 != PAIRS_SHA256:
        raise ValueError(f"its pairs are others than they should be: SHA-256 {sha256}")
    negative = negative.translate(bytes.maketrans(b",", b"\t"), b"()")
    rows = read_table(negative, 101)  # of lines like (0,25) 1064 174 ...
    return pairs, rows[:, 1:]


def cut_ratings(content):
    """Split ratings.dat, items numbered by first appearance: pairs (n,) and candidates.

    Where a user's latest times are equal, the pairs may differ from NCF's, so they are
    known by their counts only.
    """
    users, items, _, times = read_table(content.replace(b"::", b"\t"), 4).T
    items = torch.tensor(pd.factorize(items.numpy())[0])  # (n + NUM_USERS,)
    found = len(users), len(users.unique()), len(items.unique())
    if found != (NUM_PAIRS + NUM_USERS, NUM_USERS, NUM_ITEMS):
        raise ValueError(f"{found} ratings, users and films are not MovieLens 1M's")
    users, items, candidates = leave_one_out(users - 1, items, times, NUM_ITEMS)
    return (users * NUM_ITEMS + items).unique(), candidates


def read_table(content, width):
    """Read the first columns of lines of integers between tabs: int64 (rows, width)."""
    options = {"sep": "\t", "header": None, "usecols": range(width), "dtype": "int64"}
    return torch.tensor(pd.read_csv(io.BytesIO(content), **options).to_numpy())
