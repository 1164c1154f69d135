"""MF on split tables, trained by one and by two processes, for the page scale (`make
sharded`).

For each of five seeds, of split, first parameters and order: the number of epochs is
chosen on a validation set by one process (the best of 40), then one process and two
train so long on the whole training set, and test once (benchmarks/sharded.py). With the
seed 0 two processes do it once more, one of them is killed halfway, which ends the run,
and the same command continues it from the newest checkpoint. Beside them, d2lrec's MF
with Adam as on the page mf, its epochs chosen in the same way.

Seconds are those of an epoch's training alone, the median of a run, with one thread a
process; all processes share the cores of one machine. Bytes are those of the tables, of
the process that has more. The figures go to d2lrec/results/sharded.csv. Takes about six
minutes on two cores.
"""

import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import torch
from torch import nn

import d2lrec
from d2lrec import MF, rmse, split_and_load_ml100k, train
from d2lrec.files import write_atomically

SCRIPT = Path(__file__).with_name("sharded.py")
RESULTS = Path(d2lrec.__file__).parent / "results" / "sharded.csv"
NUM_SEEDS, MOST_EPOCHS = 5, 40


def run(num_processes, seed, epochs, *options, kill_after=None):
    """What the script prints; `kill_after` is the epoch after which one process is killed."""
    torchrun = "-m", "torch.distributed.run", "--standalone"
    of_script = f"--seed={seed}", f"--epochs={epochs}", *options
    command = [
        sys.executable,
        *torchrun,
        f"--nproc-per-node={num_processes}",
        SCRIPT,
        *of_script,
    ]
    output = ""
    complaints = subprocess.DEVNULL if kill_after else None  # of a death that is wanted
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=complaints, text=True
    ) as started:
        for line in started.stdout:
            output += line
            if line.startswith(f"epoch {kill_after}:"):
                pids = re.findall(r"pid (\d+)", output)
                os.kill(int(pids[-1]), signal.SIGKILL)
    if (started.returncode != 0) != (kill_after is not None):
        raise subprocess.CalledProcessError(started.returncode, command, output)
    return output


def figures_of(output):
    """Of a run that tested: the columns epochs, test_rmse, seconds_per_epoch, bytes_per_process."""
    seconds = [
        float(each) for each in re.findall(r"^epoch \d+: ([\d.]+) s", output, re.M)
    ]
    owned = Counter()
    for pid, size in re.findall(r"pid (\d+): .* (\d+) bytes$", output, re.M):
        owned[pid] += int(size)
    test_rmse = float(re.search(r"^test RMSE ([\d.]+)", output, re.M)[1])
    return len(seconds), test_rmse, statistics.median(seconds), max(owned.values())


def choose_epochs(seed):
    """The number of epochs that is best on the validation set."""
    output = run(1, seed, MOST_EPOCHS, "--validate")
    curve = [float(each) for each in re.findall(r"valid RMSE ([\d.]+)", output)]
    return curve.index(min(curve)) + 1


def by_d2lrec(seed):
    """The same columns for the book's own MF and loop, with Adam as on the page mf."""
    options = {"batch_size": 1024, "seed": seed, "device": "cpu"}

    def fit(train_iter, num_epochs, **options):
        torch.manual_seed(seed)
        model = MF(30, num_users, num_items, global_mean=train_iter.ratings.mean())
        adam = torch.optim.Adam(
            model.parameters(), lr=0.003, weight_decay=2e-4, fused=True
        )
        return model, train(
            model, train_iter, nn.MSELoss(), adam, num_epochs, progress=False, **options
        )

    num_users, num_items, train_iter, valid_iter, test_iter = split_and_load_ml100k(
        validation=True, **options
    )
    _, history = fit(
        train_iter, 30, evaluate=lambda model: {"rmse": rmse(model, valid_iter)}
    )
    num_epochs = history.rmse.idxmin()
    *_, train_iter, test_iter = split_and_load_ml100k(**options)
    began = time.perf_counter()
    model, _ = fit(train_iter, num_epochs)
    seconds = (time.perf_counter() - began) / num_epochs
    size = sum(table.nbytes for table in model.parameters())
    return num_epochs, rmse(model, test_iter), seconds, size


def main():
    torch.set_num_threads(1)
    rows = []
    for seed in range(NUM_SEEDS):
        rows.append(("d2lrec", 1, False, seed, *by_d2lrec(seed)))
        epochs = choose_epochs(seed)
        for num_processes in (1, 2):
            figures = figures_of(run(num_processes, seed, epochs))
            rows.append(("TorchRec", num_processes, False, seed, *figures))
        if seed == 0:
            with tempfile.TemporaryDirectory() as folder:
                keep = f"--checkpoints={folder}"
                killed = run(2, seed, epochs, keep, kill_after=epochs // 2)
                figures = figures_of(killed + run(2, seed, epochs, keep))
            rows.append(("TorchRec", 2, True, seed, *figures))
    columns = ["tables", "processes", "killed", "seed"]
    columns += ["epochs", "test_rmse", "seconds_per_epoch", "bytes_per_process"]
    table = pd.DataFrame(rows, columns=columns)
    print(table.to_string(index=False))
    write_atomically(RESULTS, table.to_csv(index=False, float_format="%.5f").encode())


if __name__ == "__main__":
    main()
