"""The usual loops: GMF as in public ports of NCF, MF with one rating at a time."""

import random
from pathlib import Path

import pandas as pd
import torch
from fast_ways import QUICKER, SHARE, USUAL, seconds_of, ways_to_train
from torch.utils.data import DataLoader, Dataset
from usual_loops import UsualDataset

import d2lrec

from .book import PORT_EPOCHS, fit_mf, pairs_of

NCF = Path(d2lrec.__file__).parent / "results" / "ncf.csv"


def gmf(data, seed, watch, quicker):
    """A form of the usual loop: a share of an epoch is timed, and scaled to all epochs.

    The quality is that of ncf.csv, of a GMF with the same settings and seed. In round 0
    all examples of an epoch are drawn once, for the memory that they take.
    """
    users, items, *sizes = pairs_of(data)
    torch.manual_seed(seed)
    candidates = torch.from_numpy(data["candidates"][:1])
    ways = ways_to_train(users, items, candidates, *sizes)
    way = ways[QUICKER if quicker else USUAL]
    seconds = seconds_of(way) / SHARE
    table = pd.read_csv(NCF).query("model == 'GMF' and seed == @seed")
    for row in table[table.epoch.between(1, PORT_EPOCHS)].itertuples():
        quality = {"hit_rate": row.hit_rate, "ndcg": row.ndcg}
        point = {"epoch": row.epoch, "seconds": row.epoch * seconds, **quality}
        watch.points.append(point)
    if seed == 0:
        draw_an_epoch(users, items, sizes[1], list if quicker else torch.tensor)


def draw_an_epoch(users, items, num_items, container):
    """Draw the examples of an epoch into a container."""
    pairs = list(zip(users.tolist(), items.tolist(), strict=True))
    generator = random.Random(0)

    def draw():  # in the quickest way, as this is not timed
        return int(generator.random() * num_items)

    UsualDataset(pairs, set(pairs), draw, container).sample_negatives()


class OneAtATime(Dataset):
    """Examples out of columns, one at a time."""

    def __init__(self, columns):
        self.columns = columns

    def __len__(self):
        return len(self.columns[0])

    def __getitem__(self, index):
        return [column[index] for column in self.columns]


def mf(data, seed, watch, lists):
    """MF with a Dataset that gives one rating at a time, out of lists or of tensors."""
    columns = [data[f"train_{name}"] for name in ("users", "items", "ratings")]
    columns = [x.tolist() if lists else torch.from_numpy(x) for x in columns]
    batches = DataLoader(OneAtATime(columns), 1024, shuffle=True)
    fit_mf(batches, data, seed, watch, fused=False)
