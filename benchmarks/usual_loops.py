"""Loops as in public PyTorch ports of NCF, which the book's are compared with.

Negatives are drawn one by one with NumPy until one is not among the seen pairs, a
Dataset returns one example at a time, a DataLoader collates them, and users are
evaluated one by one.
"""

import math
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset


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
