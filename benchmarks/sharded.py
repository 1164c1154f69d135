"""MF on MovieLens 100K, its tables split over processes (sharded_mf.py), by torchrun.

    pip install . -r benchmarks/requirements-scale.txt
    torchrun --nproc-per-node 2 benchmarks/sharded.py --epochs 30 --checkpoints DIR

Step: every process has its part of the batch. It sends the ids to the processes that
own their rows and gets the rows back; then the gradients go to the owners, and these
take the step.

Objective: the mean over the ratings of
(r - prediction)^2 + 0.07 (|row of u|^2 + |row of i|^2).

Optimizer: row-wise Adagrad (a single sum of squares for each row) with the learning
rate 0.07, within the backward pass, which moves the rows of the batch alone. FBGEMM has
no Adam for the CPU. The batch, first parameters and order are the same for any number
of processes; the rounding is not. Learning rate and penalty were chosen on the
validation parts of the seeds 0 and 1.

Checkpoint: after each epoch, tables, optimizer, epoch and the state of the generator
that shuffles. All processes write into one folder, which gets its name when it is
complete. A run continues from the newest one, also with another number of processes;
what a death costs is the epoch in flight. To have torchrun start all processes anew
after a death, add --standalone --max-restarts 1, and set
TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1: else the new ones may find the addresses of the
dead.
"""

import os
import time

import torch
import torch.distributed as dist
from sharded_checkpoints import resume, save
from sharded_mf import (
    ShardedMF,
    init_rows,
    owned_rows,
    shard,
    sharded_rmse,
    train_sharded_epoch,
)
from sharded_options import parse

from d2lrec import load_data_ml100k, read_data_ml100k, split_data_ml100k


def say(text, from_all=False):
    """Print a line; in one piece, as the processes share the output."""
    if from_all or dist.get_rank() == 0:
        print(text + "\n", end="", flush=True)


def load(args):
    """Users, items and ratings to train on, the same to test on, and the sizes."""
    data, *sizes = read_data_ml100k()
    train_data, held_out = split_data_ml100k(data, *sizes, seed=args.seed)
    if args.validate:
        train_data, held_out = split_data_ml100k(train_data, *sizes, seed=args.seed)
    parts = [load_data_ml100k(part, *sizes)[:3] for part in (train_data, held_out)]
    return *parts, sizes


def report_rows(model):
    """Say which rows this process owns."""
    process = f"process {dist.get_rank()} of {dist.get_world_size()}, pid {os.getpid()}"
    for name, first, rows in owned_rows(model):
        last = first + len(rows) - 1
        owned = f"rows {first} to {last} of {name}, {rows.nbytes} bytes"
        say(f"{process}: {owned}", from_all=True)


def train_from_newest(model, ratings, held_out, args):
    """Train up to the last epoch, from the newest checkpoint on."""
    generator = torch.Generator().manual_seed(args.seed)
    state = {
        "epoch": 0,
        "order": generator.get_state(),
        "tables": model.state_dict(),
        "optimizer": model.fused_optimizer.state_dict(),
    }
    settings = {**vars(args)}
    del settings["epochs"], settings["checkpoints"]  # these may change
    if args.checkpoints:
        resume(args.checkpoints, args.epochs, state, settings)
        generator.set_state(state["order"])
    for epoch in range(state["epoch"] + 1, args.epochs + 1):
        began = time.perf_counter()
        train_sharded_epoch(model, ratings, args.batch_size, args.penalty, generator)
        line = f"epoch {epoch}: {time.perf_counter() - began:.3f} s"
        if args.checkpoints:
            state |= {"epoch": epoch, "order": generator.get_state()}
            save(args.checkpoints, state, settings)
        if args.validate:
            line += f", valid RMSE {sharded_rmse(model, held_out):.5f}"
        say(line)


def main():
    args = parse()
    torch.set_num_threads(1)  # which torchrun does only for several processes
    dist.init_process_group("gloo")
    ratings, held_out, sizes = load(args)
    model = shard(ShardedMF(sizes, ratings[2].mean().item()), args.lr)
    init_rows(model, sizes, args.seed)
    report_rows(model)
    train_from_newest(model, ratings, held_out, args)
    if not args.validate:
        say(f"test RMSE {sharded_rmse(model, held_out):.5f}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
