"""Seconds and memory for a reader's own ratings, at the sizes of MovieLens 20M and 32M.

The ratings are made up: as many ratings, users and films as these sets have, ids with
gaps, half stars, users and films drawn by a power law, and every pair once. They are
written to a ratings.csv, and a process of its own does with it what the page own-data
does: read it, number the ids, split twice, make tensors, train MF (k = 30) for an epoch
with batches of 65,536, save it with its ids, and load both. Peak memory is what the
operating system says of the process after each step. Takes about four minutes on a CPU
core, 8 GB of memory and 1.5 GB of disk. The figures go to d2lrec/results/own-data.csv,
which the page reads.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from planted import draw_rows
from processes import in_own_process, peak_bytes
from torch import nn

import d2lrec
from d2lrec import (
    MF,
    IdMap,
    load_batches,
    load_checkpoint,
    load_ids,
    save_checkpoint,
    split_data_ml100k,
    train,
)
from d2lrec.files import write_atomically

SIZES = {20_000_263: (138_493, 26_744), 32_000_204: (200_948, 87_585)}  # users, films
RESULTS = Path(d2lrec.__file__).parent / "results"


def draw_pairs(rng, num_pairs, num_users, num_items):
    """Pairs in random order, each once, as user * num_items + item: (num_pairs,)."""
    pairs = np.empty(0, dtype=np.int64)
    while len(pairs) < num_pairs:
        count = int(1.2 * (num_pairs - len(pairs))) + 1000  # some are drawn twice
        users = draw_rows(rng, count, num_users).numpy()
        items = draw_rows(rng, count, num_items).numpy()
        pairs = np.unique(np.concatenate([pairs, users * num_items + items]))
    return rng.permutation(pairs)[:num_pairs]


def make_ratings(num_ratings, num_users, num_items):
    """Made-up ratings in random order, each pair of user and film once: a DataFrame."""
    rng = np.random.default_rng(0)
    pairs = draw_pairs(rng, num_ratings, num_users, num_items)
    return pd.DataFrame(
        {
            "userId": pairs // num_items * 3 + 1,
            "movieId": pairs % num_items * 5 + 2,
            "rating": rng.integers(1, 11, num_ratings) / 2,
            "timestamp": rng.integers(8 * 10**8, 17 * 10**8, num_ratings),
        }
    )


def measure(folder):
    """Do the page's steps: a list of (step, its seconds, peak MiB so far)."""
    torch.set_num_threads(1)
    rows, began = [], time.perf_counter()

    def done(step):
        nonlocal began
        seconds, peak_mib = time.perf_counter() - began, peak_bytes() / 2**20
        rows.append((step, round(seconds, 2), round(peak_mib)))
        print(*rows[-1], sep="\t", flush=True)
        began = time.perf_counter()

    names = {"userId": "user_id", "movieId": "item_id"}
    ratings = pd.read_csv(folder / "ratings.csv").rename(columns=names)
    done("read ratings.csv")
    ids = IdMap(ratings.user_id, ratings.item_id)
    data = ids.number(ratings)
    del ratings
    done("number the ids")
    sizes = ids.num_users, ids.num_items
    rest, _ = split_data_ml100k(data, *sizes)
    train_data, _ = split_data_ml100k(rest, *sizes)
    del data, rest
    done("split, twice")
    batches = load_batches(train_data, *sizes, batch_size=65_536, device="cpu")
    del train_data
    done("make batches")
    model = MF(30, *sizes, global_mean=3.5)
    adam = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    train(model, batches, nn.MSELoss(), adam, 1, progress=False)
    done("train, an epoch")
    save_checkpoint(model, folder / "own.pt", ids)
    done("save model and ids")
    again = load_ids(folder / "own.pt")
    load_checkpoint(MF(30, again.num_users, again.num_items), folder / "own.pt")
    done("load both")
    return rows


def write_ratings(size, folder):
    """Write the ratings.csv of a size."""
    make_ratings(size, *SIZES[size]).to_csv(folder / "ratings.csv", index=False)


def main():
    tables = []
    for size in SIZES:
        with tempfile.TemporaryDirectory() as name:
            in_own_process(write_ratings, size, Path(name))
            rows = in_own_process(measure, Path(name))
        table = pd.DataFrame(rows, columns=["step", "seconds", "peak_mib"])
        tables.append(table.assign(ratings=size))
    content = pd.concat(tables).to_csv(index=False)
    write_atomically(RESULTS / "own-data.csv", content.encode())


if __name__ == "__main__":
    main()
