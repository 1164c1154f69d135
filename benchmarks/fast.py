"""Cost of an epoch of GMF on MovieLens 1M against that of a usual loop, in one run.

Both train GMF at NCF's settings (k = 32, batches of 256, four negatives per interaction,
Adam with learning rate 0.001) and evaluate it on the held-out films. The usual loop is
written as in public PyTorch ports of NCF: negatives are drawn one by one with NumPy until one
is not among the seen pairs, a Dataset returns one example at a time, a DataLoader collates
them, and users are evaluated one by one. How fast that is depends on two details, so it is
done twice: `np.random.choice` over the list of items and a Dataset that indexes tensors, as in
much-copied tutorials, and the quicker `randint` and lists. A third form is that of D2L's
chapter on NCF: the Dataset makes the set of a user's unseen items anew for each interaction.
All ways do the same share of an epoch, in turns, and the time is scaled up. Also printed: the
time to draw the negatives of an epoch, and to evaluate all users.
"""

import math
import random
import statistics
import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from d2lrec import GMF, ImplicitIterator, evaluate_ranking, read_data_ml1m
from d2lrec.training import train_epoch

SHARE, REPEATS = 0.04, 3


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
        self.users, self.items, self.labels = map(self.container, zip(*examples, strict=True))

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
        return torch.full_like(items, user), items, torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0])


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


def main():
    num_users, num_items, users, items, candidates = read_data_ml1m()
    seen = set(zip(users.tolist(), items.tolist(), strict=True))
    seen_of = [part.tolist() for part in items.split(torch.bincount(users).tolist())]
    some = torch.randperm(len(users))[: round(SHARE * len(users))]
    some_candidates = candidates[: round(SHARE * num_users)]
    pairs = list(zip(users[some].tolist(), items[some].tolist(), strict=True))
    batches = ImplicitIterator(users[some], items[some], num_users, num_items, 256, device="cpu")
    model = GMF(32, num_users, num_items)

    def usual(draw, container):
        dataset = UsualDataset(pairs, seen, draw, container)
        dataset.sample_negatives()
        loader = DataLoader(dataset, batch_size=256, shuffle=True)
        train_as_usual(model, loader, torch.optim.Adam(model.parameters(), lr=0.001))
        evaluate_as_usual(model, some_candidates)

    def set_difference():
        dataset = SetDifferenceDataset(pairs, seen_of, num_items)
        loader = DataLoader(dataset, batch_size=51, shuffle=True)  # 255 examples
        train_as_usual(model, loader, torch.optim.Adam(model.parameters(), lr=0.001))
        evaluate_as_usual(model, some_candidates)

    def book():
        adam = torch.optim.Adam(model.parameters(), lr=0.001, fused=True)
        train_epoch(model, batches, nn.BCEWithLogitsLoss(), adam)
        evaluate_ranking(model, some_candidates)

    book()  # to warm up
    legacy, all_items = np.random.RandomState(0), np.arange(num_items)
    ways = {
        "usual loop, choice and tensors": lambda: usual(
            lambda: legacy.choice(all_items), torch.tensor
        ),
        "usual loop, randint and lists": lambda: usual(lambda: legacy.randint(num_items), list),
        "usual loop, set difference": set_difference,
        "the book": book,
    }
    seconds = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, way in ways.items():
            seconds[name].append(seconds_of(way) / SHARE)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{torch.get_num_threads()} thread(s), an epoch of {5 * len(users):,} examples")
    for name, median in medians.items():
        print(f"{name}: {median:.1f} s, {median / medians['the book']:.1f} times the book's")
    everything = ImplicitIterator(users, items, num_users, num_items, 256, device="cpu")
    parts = {
        "negatives of an epoch": everything.examples,
        "evaluation of all users": lambda: evaluate_ranking(model, candidates),
    }
    for name, function in parts.items():
        print(f"{name}: {statistics.median(seconds_of(function) for _ in range(5)):.2f} s")


if __name__ == "__main__":
    main()
