"""MF on split tables, trained by one and by two processes (`make sharded`).

For each of five seeds, of split, first parameters and order: the number of epochs is
chosen on a validation set by one process (the best of 40), then one process and two
train so long on the full training set, and test once (benchmarks/sharded.py). With the
seed 0 two processes do it once more, one of them is killed halfway, which ends the run,
and the same command continues it from the newest checkpoint. Beside them, d2lrec's MF
with Adam as on the page mf, its epochs chosen in the same way.

Seconds are those of an epoch's training alone, the median of a run, with one thread a
process; all processes share the cores of one machine. Bytes are those of the tables, of
the process that has more. The figures go to d2lrec/results/sharded.csv. Takes about six
minutes on two cores.
"""

import itertools
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

import d2lrec
from d2lrec import load_batches, read_data_ml100k, rmse, split_data_ml100k, train_mf
from d2lrec.files import write_atomically

SCRIPT = Path(__file__).with_name("sharded.py")
RESULTS = Path(d2lrec.__file__).parent / "results" / "sharded.csv"
NUM_SEEDS, MOST_EPOCHS = 5, 40


def run(num_processes, seed, epochs, *options, kill_after=None):
    """Run the script: what it prints. After epoch `kill_after` a process is killed."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, f"--nproc-per-node={num_processes}", SCRIPT]
    command += [f"--seed={seed}", f"--epochs={epochs}", *options]
    complaints = subprocess.DEVNULL if kill_after else None  # of a death that is wanted
    pipes = {"stdout": subprocess.PIPE, "stderr": complaints, "text": True}
    output = ""
    with subprocess.Popen(command, **pipes) as started:
        for line in started.stdout:
            output += line
            if line.startswith(f"epoch {kill_after}:"):
                pids = re.findall(r"pid (\d+)", output)
                os.kill(int(pids[-1]), signal.SIGKILL)
    if (started.returncode != 0) != (kill_after is not None):
        raise subprocess.CalledProcessError(started.returncode, command, output)
    return output


def read_figures(output):
    """Of a run that tested: epochs, test RMSE, seconds per epoch, largest bytes."""
    found = re.findall(r"^epoch \d+: ([\d.]+) s", output, re.M)
    seconds = [float(text) for text in found]
    owned = Counter()
    for pid, size in re.findall(r"pid (\d+): .* (\d+) bytes$", output, re.M):
        owned[pid] += int(size)
    test_rmse = float(re.search(r"^test RMSE ([\d.]+)", output, re.M)[1])
    return len(seconds), test_rmse, statistics.median(seconds), max(owned.values())


def choose_epochs(seed):
    """The number of epochs that is best on the validation set."""
    output = run(1, seed, MOST_EPOCHS, "--validate")
    curve = [float(text) for text in re.findall(r"valid RMSE ([\d.]+)", output)]
    return curve.index(min(curve)) + 1


def by_d2lrec(seed):
    """The same columns for the book's own MF and loop, with Adam as on the page mf."""
    data, *sizes = read_data_ml100k()
    rest, test_data = split_data_ml100k(data, *sizes, seed=seed)
    train_data, valid_data = split_data_ml100k(rest, *sizes, seed=seed)
    valid_iter = load_batches(valid_data, *sizes, shuffle=False)
    test_iter = load_batches(test_data, *sizes, shuffle=False)
    settings = {"weight_decay": 2e-4, "seed": seed, "progress": False}

    def validate(model):
        return {"rmse": rmse(model, valid_iter)}

    _, history = train_mf(train_data, *sizes, 30, evaluate=validate, **settings)
    num_epochs = history.rmse.idxmin()
    ends = []  # of the epochs, in seconds

    def note(model):
        ends.append(time.perf_counter())
        return {}

    model, _ = train_mf(rest, *sizes, num_epochs, evaluate=note, **settings)
    seconds = statistics.median(b - a for a, b in itertools.pairwise(ends))
    size = sum(table.nbytes for table in model.parameters())
    return num_epochs, rmse(model, test_iter), seconds, size


def main():
    torch.set_num_threads(1)
    rows = []
    for seed in range(NUM_SEEDS):
        rows.append(("d2lrec", 1, False, seed, *by_d2lrec(seed)))
        epochs = choose_epochs(seed)
        for num_processes in (1, 2):
            figures = read_figures(run(num_processes, seed, epochs))
            rows.append(("TorchRec", num_processes, False, seed, *figures))
        if seed == 0:
            with tempfile.TemporaryDirectory() as folder:
                keep = f"--checkpoints={folder}"
                killed = run(2, seed, epochs, keep, kill_after=epochs // 2)
                figures = read_figures(killed + run(2, seed, epochs, keep))
            rows.append(("TorchRec", 2, True, seed, *figures))
    columns = ["tables", "processes", "killed", "seed"]
    columns += ["epochs", "test_rmse", "seconds_per_epoch", "bytes_per_process"]
    table = pd.DataFrame(rows, columns=columns)
    print(table.to_string(index=False))
    write_atomically(RESULTS, table.to_csv(index=False, float_format="%.5f").encode())


if __name__ == "__main__":
    main()
