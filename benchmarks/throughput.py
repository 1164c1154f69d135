"""Training throughput of the book's loop against that of a usual one, in one run.

Both train the same model, MF with k = 30, on the same 90,000 ratings of MovieLens 100K in
batches of 1024. The usual way is a Dataset that returns one rating at a time, a
`torch.utils.data.DataLoader` that collates them, and plain Adam. How fast that is depends on
what the Dataset holds: tensors, as in `TensorDataset`, or Python lists, which are quicker to
index. The book's way is `BatchIterator` and Adam with `fused=True`. Epochs of all take turns,
so that a busy machine slows all of them, and the ratios are the figures to quote.
"""

import statistics
import time

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from d2lrec import MF, BatchIterator, load_data_ml100k, read_data_ml100k, split_data_ml100k
from d2lrec.training import train_epoch

NUM_EPOCHS = 7
BATCH_SIZE = 1024  # as on the page mf


class RatingDataset(Dataset):
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
    of_tensors = RatingDataset(*columns)
    of_lists = RatingDataset(*(column.tolist() for column in columns))
    from_tensors = DataLoader(of_tensors, BATCH_SIZE, shuffle=True)
    from_lists = DataLoader(of_lists, BATCH_SIZE, shuffle=True)
    ways = {
        "DataLoader, per item of tensors, Adam": (from_tensors, False),
        "DataLoader, per item of lists, Adam": (from_lists, False),
        "BatchIterator, fused Adam (the book)": (
            BatchIterator(*columns, BATCH_SIZE, device="cpu"),
            True,
        ),
    }
    seconds, steps = {way: [] for way in ways}, {}
    for way, (batches, fused) in ways.items():
        torch.manual_seed(0)
        model = MF(30, num_users, num_items, global_mean=train_data.rating.mean())
        optimizer = torch.optim.Adam(model.parameters(), 0.003, weight_decay=2e-4, fused=fused)
        steps[way] = (model, batches, nn.MSELoss(), optimizer)
        train_epoch(*steps[way])  # to warm up
    for _ in range(NUM_EPOCHS):
        for way in ways:
            seconds[way].append(seconds_of(lambda way=way: train_epoch(*steps[way])))
    rates = {way: len(train_data) / statistics.median(seconds[way]) for way in ways}
    print(f"{torch.get_num_threads()} thread(s), median of {NUM_EPOCHS} epochs in turns")
    for way, rate in rates.items():
        print(f"{way:38} {rate:>9,.0f} examples/s")
    *baselines, book = rates.values()
    print("ratios:", ", ".join(f"{book / rate:.1f}" for rate in baselines))


if __name__ == "__main__":
    main()
