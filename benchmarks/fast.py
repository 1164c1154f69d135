"""From the usual loop to the fast one: the cost of an epoch, for the page fast (`make
fast`).

GMF is trained at NCF's settings (k = 32, batches of 256, four negatives per
interaction, Adam with learning rate 0.001) on MovieLens 1M, and evaluated on the
held-out films. The usual loop is written as in public PyTorch ports of NCF: negatives
are drawn one by one with NumPy until one is not among the seen pairs, a Dataset returns
one example at a time, a DataLoader collates them, and users are evaluated one by one.
From there one thing is changed at a time, up to what the book does. How fast a usual
loop is depends on details, so there are two more: the quicker `randint` and lists
instead of `np.random.choice` and tensors; and the form of D2L's chapter on NCF, whose
Dataset makes the set of a user's unseen items anew for each interaction. All do the
same share of an epoch, in turns, and the time is scaled up; functions are compiled
before.

Then GMF is trained for 20 epochs with larger batches, the learning rate growing with
the root of the batch size, three seeds each. The figures go to d2lrec/results/fast.csv
and batches.csv, which the page reads. Takes about ten minutes on a CPU core. Also
printed: the time to draw the negatives of an epoch, and to evaluate all users.
"""

import itertools
import math
import random
import statistics
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

import d2lrec
from d2lrec import (
    GMF,
    CatchUpAdam,
    ImplicitIterator,
    evaluate_ranking,
    read_data_ml1m,
    train,
    train_epoch_by_rows,
)
from d2lrec.files import write_atomically
from d2lrec.training import train_epoch

SHARE, REPEATS, NUM_SEEDS = 0.1, 3, 3
BATCH_SIZES = 1024, 4096, 16384
USUAL = "the usual loop"
RESULTS = Path(d2lrec.__file__).parent / "results"


class UsualDataset(Dataset):
    """Interactions and new negatives of each epoch, one example at a time."""

    def __init__(self, pairs, seen, draw, container):
        self.pairs, self.seen, self.draw, self.container = pairs, seen, draw, container

    def sample_negatives(self, num_negatives=4):
        examples = [(user, item, 1) for user, item in self.pairs]
        for user, _ in self.pairs:
            for _ in range(num_negatives):
                item = self.draw()
                while (user, item) in self.seen:
                    item = self.draw()
                examples.append((user, item, 0))
        self.users, self.items, self.labels = map(
            self.container, zip(*examples, strict=True)
        )

    def __len__(self):
        return len(self.users)

    def __getitem__(self, index):
        return self.users[index], self.items[index], self.labels[index]


class SetDifferenceDataset(Dataset):
    """An interaction and its new negatives at a time, drawn from a set difference."""

    def __init__(self, pairs, seen_of, num_items):
        self.pairs, self.seen_of, self.all_items = pairs, seen_of, set(range(num_items))

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        user, item = self.pairs[index]
        unseen = list(self.all_items - set(self.seen_of[user]))
        items = torch.tensor([item, *random.choices(unseen, k=4)])
        return (
            torch.full_like(items, user),
            items,
            torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0]),
        )


def train_as_usual(model, batches, optimizer):
    for user_id, item_id, label in batches:
        user_id, item_id, label = user_id.flatten(), item_id.flatten(), label.flatten()
        score = model(user_id, item_id)
        loss = nn.functional.binary_cross_entropy_with_logits(score, label.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def evaluate_as_usual(model, candidates):
    hits, gains = [], []
    for user, items in enumerate(candidates):
        with torch.no_grad():
            scores = model(torch.full_like(items, user), items)
        top = items[scores.topk(10).indices].tolist()
        hits.append(items[0].item() in top)
        gains.append(1 / math.log2(top.index(items[0].item()) + 2) if hits[-1] else 0.0)
    return np.mean(hits), np.mean(gains)


def seconds_of(function):
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def ways_to_train(num_users, num_items, users, items, candidates):
    """The ways to train an epoch on some of the interactions: a dict from name to function."""
    seen = set(zip(users.tolist(), items.tolist(), strict=True))
    seen_of = [part.tolist() for part in items.split(torch.bincount(users).tolist())]
    some = torch.randperm(len(users))[: round(SHARE * len(users))]
    candidates = candidates[: round(SHARE * num_users)]
    pairs = list(zip(users[some].tolist(), items[some].tolist(), strict=True))
    batches = ImplicitIterator(
        users[some], items[some], num_users, num_items, 256, device="cpu"
    )
    model, bce = GMF(32, num_users, num_items), nn.BCEWithLogitsLoss()
    by_rows = CatchUpAdam(model)
    legacy, all_items = np.random.RandomState(0), np.arange(num_items)

    def usual(draw, container):
        dataset = UsualDataset(pairs, seen, draw, container)
        dataset.sample_negatives()
        loader = DataLoader(dataset, batch_size=256, shuffle=True)
        train_as_usual(model, loader, torch.optim.Adam(model.parameters(), lr=0.001))
        evaluate_as_usual(model, candidates)

    def set_difference():
        dataset = SetDifferenceDataset(pairs, seen_of, num_items)
        loader = DataLoader(dataset, batch_size=51, shuffle=True)  # 255 examples
        train_as_usual(model, loader, torch.optim.Adam(model.parameters(), lr=0.001))
        evaluate_as_usual(model, candidates)

    def negatives_at_once(evaluate):
        loader = DataLoader(
            TensorDataset(*batches.examples()), batch_size=256, shuffle=True
        )
        train_as_usual(model, loader, torch.optim.Adam(model.parameters(), lr=0.001))
        evaluate(model, candidates)

    def batches_of_tensors(fused):
        adam = torch.optim.Adam(model.parameters(), lr=0.001, fused=fused)
        train_epoch(model, batches, bce, adam)
        evaluate_ranking(model, candidates)

    def rows_in_use():
        train_epoch_by_rows(model, batches, bce, by_rows)
        evaluate_ranking(model, candidates)

    return {
        USUAL: partial(usual, lambda: legacy.choice(all_items), torch.tensor),
        "negatives drawn at once": partial(negatives_at_once, evaluate_as_usual),
        "users evaluated at once": partial(negatives_at_once, evaluate_ranking),
        "batches cut from tensors": partial(batches_of_tensors, False),
        "fused Adam": partial(batches_of_tensors, True),
        "rows in use, compiled": rows_in_use,
        "usual loop, quicker parts": partial(
            usual, lambda: legacy.randint(num_items), list
        ),
        "usual loop, set difference": set_difference,
    }


def time_ways(ways):
    """The median seconds of a whole epoch for each way, taken in turns, as a table."""
    for way in ways.values():
        way()  # to warm up and to compile
    seconds = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, way in ways.items():
            seconds[name].append(seconds_of(way) / SHARE)
    medians = pd.Series(
        {name: statistics.median(times) for name, times in seconds.items()}
    )
    table = pd.DataFrame({"seconds": medians, "times_faster": medians[USUAL] / medians})
    return table.rename_axis("way").reset_index()


def move_the_bytes(num_examples, num_rows, num_factors=32):
    """Copy as many bytes as an epoch must move, between tensors as large as the model's
    state.

    For each example Adam reads and writes a row of P and one of Q, each with its m and
    v.
    """
    state = torch.zeros(3 * num_rows * num_factors)  # parameters, m and v
    target = torch.zeros_like(state)
    for _ in range(round(num_examples * 2 * 3 * num_factors / len(state))):
        target.copy_(state)


def train_with_batches(
    batch_size, seed, num_users, num_items, users, items, candidates
):
    """Train GMF for 20 epochs, and measure them: the history as a table."""
    torch.manual_seed(seed)
    model = GMF(32, num_users, num_items)
    lr = 0.001 * (batch_size / 256) ** 0.5
    adam = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    batches = ImplicitIterator(
        users, items, num_users, num_items, batch_size, seed=seed, device="cpu"
    )
    history = train(
        model, batches, nn.BCEWithLogitsLoss(), adam, 20,
        evaluate=lambda model: evaluate_ranking(model, candidates), progress=False,
    )  # fmt: skip
    return history.reset_index().assign(batch_size=batch_size, lr=lr, seed=seed)


def main():
    data = read_data_ml1m()
    num_users, num_items, users, items, candidates = data
    ways = ways_to_train(*data)
    num_examples = round(SHARE * 5 * len(users))
    ways["moving the bytes alone"] = lambda: move_the_bytes(
        num_examples, num_users + num_items
    )
    table = time_ways(ways)
    print(
        f"{torch.get_num_threads()} thread(s), an epoch of {5 * len(users):,} examples"
    )
    print(table.round(1).to_string(index=False))
    write_atomically(
        RESULTS / "fast.csv", table.to_csv(index=False, float_format="%.3f").encode()
    )
    model = GMF(32, num_users, num_items)
    everything = ImplicitIterator(users, items, num_users, num_items, 256, device="cpu")
    parts = {
        "negatives of an epoch": everything.examples,
        "evaluation of all users": lambda: evaluate_ranking(model, candidates),
    }
    for name, function in parts.items():
        print(
            f"{name}: {statistics.median(seconds_of(function) for _ in range(5)):.2f} s"
        )
    settings = itertools.product(BATCH_SIZES, range(NUM_SEEDS))
    histories = [train_with_batches(*setting, *data) for setting in settings]
    table = pd.concat(histories)[
        ["batch_size", "lr", "seed", "epoch", "hit_rate", "ndcg"]
    ]
    write_atomically(
        RESULTS / "batches.csv", table.to_csv(index=False, float_format="%.5f").encode()
    )


if __name__ == "__main__":
    main()
