"""Loops as in public PyTorch ports of NCF, which the book's are compared with.

Negatives are drawn one by one with NumPy until one is not among the seen pairs, a
Dataset returns one example at a time, a DataLoader collates them, and users are
evaluated one by one. `with_workers` reads the examples, and those of the evaluation, as
the best-known port does: from a list of lists, by four processes beside the one that
trains, and by none.
"""

import math
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


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


class ListedDataset(Dataset):
    """Examples [user, item, label] in one list, one example at a time."""

    def __init__(self, examples):
        self.examples = examples

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        user, item, label = self.examples[index]
        return user, item, label


def train_with_workers(model, pairs, seen, num_items, optimizer):
    """An epoch whose batches four processes put together, with new negatives."""
    examples = [[user, item, 1.0] for user, item in pairs]
    randint = np.random.RandomState(0).randint  # as the global one: quick, if old
    for user, _ in pairs:
        for _ in range(4):
            item = randint(num_items)
            while (user, item) in seen:
                item = randint(num_items)
            examples.append([user, item, 0.0])
    options = {"batch_size": 256, "shuffle": True, "num_workers": 4}
    train_as_usual(model, DataLoader(ListedDataset(examples), **options), optimizer)


def evaluate_with_loader(model, candidates):
    """Hit rate and NDCG; a user's candidates are a batch of single examples."""
    of_users = enumerate(candidates.tolist())
    examples = [[user, item, 0.0] for user, items in of_users for item in items]
    hits, gains = [], []
    size = candidates.shape[1]
    for users, items, _ in DataLoader(ListedDataset(examples), batch_size=size):
        scores = model(users, items)
        top = torch.take(items, scores.topk(10).indices).tolist()
        hits.append(items[0].item() in top)
        gains.append(1 / math.log2(top.index(items[0].item()) + 2) if hits[-1] else 0.0)
    return np.mean(hits), np.mean(gains)
