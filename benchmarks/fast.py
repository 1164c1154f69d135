"""From the usual loop to the fast one, for the page fast (`make fast`).

GMF is trained at NCF's settings (k = 32, batches of 256, four negatives per
interaction, Adam with learning rate 0.001) on MovieLens 1M, and evaluated on the
held-out films. It begins with the usual loop (usual_loops.py); from there one thing is
changed at a time, up to what the book does. How fast a usual loop is depends on
details, so there are two more: the quicker `randint` and lists instead of
`np.random.choice` and tensors; and the form of D2L's chapter on NCF, whose Dataset
makes the set of a user's unseen items anew for each interaction. All do the same share
of an epoch, in turns, and the time is scaled up; functions are compiled before. One
more loop has a DataLoader with four workers, as the best-known port of NCF: it does a
whole epoch and may use two cores, all others one.

Where a step of the fastest way spends its time, now and before, goes to fast-steps.csv.

Then GMF is trained for 20 epochs with larger batches, the learning rate growing with
the root of the batch size, three seeds each. The figures go to d2lrec/results/fast.csv
and batches.csv, which the page reads. Takes about 15 minutes on two CPU cores. Also
printed: the time to draw the negatives of an epoch, and to evaluate all users.
"""

import itertools
import os
import statistics
import tempfile
from pathlib import Path

import pandas as pd
import torch
from fast_steps import profile_steps
from fast_ways import SHARE, USUAL, WORKERS, Ways, seconds_of, ways_to_train

import d2lrec
from d2lrec import (
    GMF,
    ImplicitIterator,
    evaluate_ranking,
    read_data_ml1m,
    train_implicit,
)
from d2lrec.files import write_atomically

REPEATS, NUM_SEEDS = 3, 3
BATCH_SIZES = 1024, 4096, 16384
RESULTS = Path(d2lrec.__file__).parent / "results"


def time_ways(ways):
    """The median seconds of a full epoch for each way, taken in turns, as a table."""
    for name, way in ways.items():
        if name != WORKERS:
            way()  # to warm up and to compile
    share_of = dict.fromkeys(ways, SHARE) | {WORKERS: 1.0}
    seconds = pd.DataFrame(
        [
            {name: seconds_of(way) / share_of[name] for name, way in ways.items()}
            for _ in range(REPEATS)
        ]
    ).median()
    table = pd.DataFrame({"seconds": seconds, "times_faster": seconds[USUAL] / seconds})
    return table.rename_axis("way").reset_index()


def move_the_bytes(num_examples, num_rows, num_factors=32):
    """Copy as many bytes as an epoch must move, between tensors as large as the state.

    For each example Adam reads and writes a row of P and one of Q, each with its m and
    v.
    """
    state = torch.zeros(3 * num_rows * num_factors)  # parameters, m and v
    target = torch.zeros_like(state)
    for _ in range(round(num_examples * 2 * 3 * num_factors / len(state))):
        target.copy_(state)


def train_with_batches(
    batch_size, seed, users, items, candidates, num_users, num_items
):
    """Train GMF for 20 epochs, and measure them: the history as a table."""
    torch.manual_seed(seed)
    model = GMF(32, num_users, num_items)
    settings = {"batch_size": batch_size, "lr": 0.001 * (batch_size / 256) ** 0.5}
    settings["seed"] = seed

    def evaluate(model):
        return evaluate_ranking(model, candidates)

    history = train_implicit(
        model, users, items, 20, evaluate=evaluate, progress=False, **settings
    )
    return history.reset_index().assign(**settings)


def write(name, table, digits):
    """Write a table that the page reads."""
    content = table.to_csv(index=False, float_format=f"%.{digits}f")
    write_atomically(RESULTS / name, content.encode())


def print_parts(users, items, candidates, num_users, num_items):
    """Print the seconds of two parts of an epoch, the medians of five."""
    model = GMF(32, num_users, num_items)
    batches = ImplicitIterator(users, items, num_users, num_items, 256, device="cpu")
    parts = {
        "negatives of an epoch": batches.examples,
        "evaluation of all users": lambda: evaluate_ranking(model, candidates),
    }
    for name, function in parts.items():
        seconds = statistics.median(seconds_of(function) for _ in range(5))
        print(f"{name}: {seconds:.2f} s")


def main():
    data = read_data_ml1m()
    users, _, _, num_users, num_items = data
    ways = ways_to_train(*data)
    ways[WORKERS] = Ways(*data, part=1.0).with_workers
    num_examples, num_rows = round(SHARE * 5 * len(users)), num_users + num_items
    ways["moving the bytes alone"] = lambda: move_the_bytes(num_examples, num_rows)
    table = time_ways(ways)
    threads = torch.get_num_threads()
    print(f"{threads} thread(s), an epoch of {5 * len(users):,} examples")
    print(table.round(1).to_string(index=False))
    write("fast.csv", table, digits=3)
    with tempfile.TemporaryDirectory() as folder:  # nothing is compiled in it already
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        steps = profile_steps(*data)
        del os.environ["TORCHINDUCTOR_CACHE_DIR"]
    print(steps.round(2).to_string(index=False))
    write("fast-steps.csv", steps, digits=4)
    print_parts(*data)
    settings = itertools.product(BATCH_SIZES, range(NUM_SEEDS))
    histories = [train_with_batches(*setting, *data) for setting in settings]
    columns = ["batch_size", "lr", "seed", "epoch", "hit_rate", "ndcg"]
    write("batches.csv", pd.concat(histories)[columns], digits=5)


if __name__ == "__main__":
    main()
