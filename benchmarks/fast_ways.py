"""The ways to train an epoch, from the usual loop to the book's, for the page fast."""

import time
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from usual_loops import (
    SetDifferenceDataset,
    UsualDataset,
    evaluate_as_usual,
    evaluate_with_loader,
    train_as_usual,
    train_with_workers,
)

from d2lrec import (
    GMF,
    CatchUpAdam,
    ImplicitIterator,
    evaluate_ranking,
    train_epoch_by_rows,
)
from d2lrec.training import train_epoch

SHARE = 0.1  # of an epoch, which is timed and scaled up
USUAL, QUICKER = "the usual loop", "usual loop, quicker parts"
WORKERS = "usual loop, 4 workers"  # timed whole: what starts them must not be scaled


def seconds_of(function):
    """Call a function: the seconds that it takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


class Ways:
    """The ways to train GMF on a share of the interactions and evaluate it.

    Takes what `read_data_ml1m` gives.
    """

    def __init__(self, users, items, candidates, num_users, num_items, part=SHARE):
        self.seen = set(zip(users.tolist(), items.tolist(), strict=True))
        self.seen_of = [x.tolist() for x in items.split(torch.bincount(users).tolist())]
        self.num_items = num_items
        share = torch.randperm(len(users))[: round(part * len(users))]  # (n,)
        users, items = users[share], items[share]
        self.pairs = list(zip(users.tolist(), items.tolist(), strict=True))
        self.batches = ImplicitIterator(
            users, items, num_users, num_items, 256, device="cpu"
        )
        self.candidates = candidates[: round(part * num_users)]
        self.model = GMF(32, num_users, num_items)
        self.bce, self.by_rows = nn.BCEWithLogitsLoss(), CatchUpAdam(self.model)

    def usual(self, draw, container):
        """Draw negatives one by one, and collate examples one by one."""
        dataset = UsualDataset(self.pairs, self.seen, draw, container)
        dataset.sample_negatives()
        loader = DataLoader(dataset, batch_size=256, shuffle=True)
        self.train_and_evaluate_as_usual(loader)

    def set_difference(self):
        """Make the set of a user's unseen items anew for each interaction."""
        dataset = SetDifferenceDataset(self.pairs, self.seen_of, self.num_items)
        loader = DataLoader(dataset, batch_size=51, shuffle=True)  # 255 examples
        self.train_and_evaluate_as_usual(loader)

    def train_and_evaluate_as_usual(self, loader, evaluate=evaluate_as_usual):
        """Take a step per batch with Adam in its plain form, then evaluate."""
        adam = torch.optim.Adam(self.model.parameters(), lr=0.001)
        train_as_usual(self.model, loader, adam)
        evaluate(self.model, self.candidates)

    def with_workers(self):
        """Four processes collate the examples, which begin as lists."""
        adam = torch.optim.Adam(self.model.parameters(), lr=0.001)
        train_with_workers(self.model, self.pairs, self.seen, self.num_items, adam)
        evaluate_with_loader(self.model, self.candidates)

    def negatives_at_once(self, evaluate):
        """Draw all negatives at once; a DataLoader still collates the examples."""
        examples = TensorDataset(*self.batches.examples())
        loader = DataLoader(examples, batch_size=256, shuffle=True)
        self.train_and_evaluate_as_usual(loader, evaluate)

    def batches_of_tensors(self, fused):
        """Cut the batches from tensors."""
        adam = torch.optim.Adam(self.model.parameters(), lr=0.001, fused=fused)
        train_epoch(self.model, self.batches, self.bce, adam)
        evaluate_ranking(self.model, self.candidates)

    def rows_in_use(self):
        """Move only the rows in use, by `CatchUpAdam`."""
        train_epoch_by_rows(self.model, self.batches, self.bce, self.by_rows)
        evaluate_ranking(self.model, self.candidates)


def ways_to_train(*data):
    """The ways to train, for what `read_data_ml1m` gives: a dict of functions."""
    ways = Ways(*data)
    num_items = data[-1]
    legacy, all_items = np.random.RandomState(0), np.arange(num_items)
    choose, quicker = (
        partial(legacy.choice, all_items),
        partial(legacy.randint, num_items),
    )
    return {
        USUAL: partial(ways.usual, choose, torch.tensor),
        "negatives drawn at once": partial(ways.negatives_at_once, evaluate_as_usual),
        "users evaluated at once": partial(ways.negatives_at_once, evaluate_ranking),
        "batches cut from tensors": partial(ways.batches_of_tensors, fused=False),
        "fused Adam": partial(ways.batches_of_tensors, fused=True),
        "rows in use, compiled": ways.rows_in_use,
        QUICKER: partial(ways.usual, quicker, list),
        "usual loop, set difference": ways.set_difference,
    }
