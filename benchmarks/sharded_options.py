"""The command line of sharded.py."""

import argparse
import os
from pathlib import Path


def parse():
    """Read the command line; an error ends the process and says what was wrong."""
    parser = argparse.ArgumentParser(description="Train MF on split tables.")
    add = parser.add_argument
    add("--seed", type=int, default=0, help="of split, parameters and order")
    add("--epochs", type=int, default=30)
    add("--batch-size", type=int, default=1024, help="of all processes together")
    add("--lr", type=float, default=0.07)
    add("--penalty", type=float, default=0.07)
    add("--validate", action="store_true", help="test on a part of the training set")
    add("--checkpoints", type=Path, help="a folder, to continue from too")
    args = parser.parse_args()
    num_processes = int(os.environ.get("WORLD_SIZE", 0))  # set by torchrun
    if num_processes == 0:
        parser.error("start it as: torchrun --nproc-per-node 2 benchmarks/sharded.py")
    size = args.batch_size
    if size < 1 or size % num_processes:
        parser.error(f"--batch-size {size} is not a multiple of {num_processes}")
    return args
