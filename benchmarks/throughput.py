"""Training throughput of the book's loop against that of a usual one, in one run.

Both train the same model, MF with k = 30, on the same 90,000 ratings of MovieLens 100K in
batches of 512. The baseline is what most ports do: a Dataset that returns one rating, a
`torch.utils.data.DataLoader` that collates them, and plain Adam. The book's way is
`BatchIterator` and Adam with `fused=True`. Epochs of the two take turns, so that a busy
machine slows both, and the ratio is the figure to quote.
"""

import statistics
import time

import torch
from torch import nn

from d2lrec import MF, BatchIterator, load_data_ml100k, read_data_ml100k, split_data_ml100k
from d2lrec.training import train_epoch

NUM_EPOCHS = 5
BATCH_SIZE = 512


class RatingDataset(torch.utils.data.Dataset):
    """Returns one rating at a time."""

    def __init__(self, users, items, ratings):
        self.users, self.items, self.ratings = users, items, ratings

    def __len__(self):
        return len(self.ratings)

    def __getitem__(self, index):
        return self.users[index], self.items[index], self.ratings[index]


def seconds_of(function):
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def main():
    data, num_users, num_items = read_data_ml100k()
    train_data, _ = split_data_ml100k(data, num_users, num_items)
    columns = load_data_ml100k(train_data, num_users, num_items)[:3]
    lists = [column.tolist() for column in columns]  # faster for it than tensors
    dataset = RatingDataset(*lists)
    loader = torch.utils.data.DataLoader(dataset, BATCH_SIZE, shuffle=True)
    iterator = BatchIterator(*columns, BATCH_SIZE, device="cpu")
    ways = {"per-item DataLoader, Adam": (loader, False), "the book's loop": (iterator, True)}
    seconds, steps = {way: [] for way in ways}, {}
    for way, (batches, fused) in ways.items():
        torch.manual_seed(0)
        model = MF(30, num_users, num_items, global_mean=train_data.rating.mean())
        optimizer = torch.optim.Adam(model.parameters(), 0.002, weight_decay=2e-4, fused=fused)
        steps[way] = (model, batches, nn.MSELoss(), optimizer)
        train_epoch(*steps[way])  # to warm up
    for _ in range(NUM_EPOCHS):
        for way in ways:
            seconds[way].append(seconds_of(lambda way=way: train_epoch(*steps[way])))
    rates = {way: len(train_data) / statistics.median(seconds[way]) for way in ways}
    print(f"{torch.get_num_threads()} thread(s), median of {NUM_EPOCHS} epochs in turns")
    for way, rate in rates.items():
        print(f"{way:26} {rate:>10,.0f} examples/s")
    baseline, book = rates.values()
    print(f"ratio {book / baseline:.1f}")


if __name__ == "__main__":
    main()
