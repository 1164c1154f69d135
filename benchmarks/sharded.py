"""MF whose tables are split over processes: TorchRec's sharded embeddings under
torchrun.

    pip install '.[scale]'
    torchrun --nproc-per-node 2 benchmarks/sharded.py --epochs 30 --checkpoints DIR

Model: the book's MF, mu + b_u + b_i + P_u . Q_i with k = 30, on a random split of
MovieLens 100K. A user's factors and bias are one row of the table `user`, an item's of
`item`; a row is filled up with a zero, as FBGEMM wants multiples of four. Each table is
cut by rows: of two processes the first one owns the upper half of both tables and the
optimizer's state of these rows.

Step: every process has its part of the batch. It sends the ids to the processes that
own their rows and gets the rows back; then the gradients go to the owners, and these
take the step.

Objective: the mean over the ratings of (r - prediction)^2 + 0.07 (|row of u|^2 + |row
    of i|^2).
Optimizer: row-wise Adagrad (a single sum of squares for each row) with the learning
rate 0.07, within the backward pass, which moves the rows of the batch alone. FBGEMM has
no Adam for the CPU. The batch, first parameters and order are the same for any number
of processes; the rounding is not. Learning rate and penalty were chosen on the
validation parts of the seeds 0 and 1.

Checkpoint: after each epoch, tables, optimizer, epoch and the state of the generator
that shuffles. All processes write into one folder, which gets its name when it is
whole. A run continues from the newest one, also with another number of processes; what
a death costs is the epoch in flight. To have torchrun start all processes anew after a
death, add --standalone --max-restarts 1, and set
TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1: else the new ones may find the addresses of the
    dead.
"""

import argparse
import json
import os
import shutil
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn

from d2lrec import load_data_ml100k, read_data_ml100k, split_data_ml100k

try:
    from fbgemm_gpu.split_embedding_configs import EmbOptimType
    from torchrec import EmbeddingCollection, EmbeddingConfig, KeyedJaggedTensor
    from torchrec.distributed import DistributedModelParallel
    from torchrec.distributed.embedding import EmbeddingCollectionSharder
    from torchrec.distributed.sharding_plan import (
        construct_module_sharding_plan,
        row_wise,
    )
    from torchrec.distributed.types import ShardingEnv, ShardingPlan
except ImportError as error:
    sys.exit(
        f"{error}: TorchRec is an extra; in the repository, run pip install '.[scale]'"
    )

TABLES, NUM_FACTORS, ROW_LENGTH, INIT_STD = ("user", "item"), 30, 32, 0.01


class ShardedMF(nn.Module):
    """MF on two tables that have no memory yet: they get it where their rows will be."""

    def __init__(self, sizes, global_mean):
        super().__init__()
        tables = [
            EmbeddingConfig(size, ROW_LENGTH, name, feature_names=[name])
            for name, size in zip(TABLES, sizes, strict=True)
        ]
        self.tables = EmbeddingCollection(tables=tables, device=torch.device("meta"))
        self.global_mean = global_mean

    def forward(self, user_id, item_id):
        """Ratings, float32 (batch,), and the squares to penalise, from int64 ids (batch,)."""
        one_each = torch.ones(2 * len(user_id), dtype=torch.int32)
        ids = torch.cat([user_id, item_id])
        rows = self.tables(KeyedJaggedTensor.from_lengths_sync(TABLES, ids, one_each))
        u, i = (
            rows["user"].values(),
            rows["item"].values(),
        )  # (batch, ROW_LENGTH), wherever from
        k = NUM_FACTORS
        score = self.global_mean + (u[:, :k] * i[:, :k]).sum(dim=1) + u[:, k] + i[:, k]
        return score, u.square().sum(dim=1) + i.square().sum(dim=1)


def shard(model, lr):
    """Split the tables by rows over all processes, each row with its part of the optimizer."""
    adagrad = {
        "optimizer": EmbOptimType.EXACT_ROWWISE_ADAGRAD,
        "learning_rate": lr,
        "eps": 1e-8,
    }
    sharder = EmbeddingCollectionSharder(fused_params=adagrad)
    by_rows = dict.fromkeys(TABLES, row_wise(compute_kernel="fused"))
    plan = construct_module_sharding_plan(
        model.tables, by_rows, sharder, device_type="cpu"
    )
    world = dist.group.WORLD
    env = ShardingEnv(world.size(), world.rank(), world, output_dtensor=True)
    return DistributedModelParallel(
        model, env, torch.device("cpu"), ShardingPlan({"tables": plan}), [sharder]
    )


def owned_rows(model):
    """The rows that this process owns: (name, number of the first, tensor) for each table."""
    for name, table in model.state_dict().items():
        part = table.to_local()
        for rows, (first, _) in zip(
            part.local_shards(), part.local_offsets(), strict=True
        ):
            yield name.split(".")[-2], first, rows


def init_rows(model, sizes, seed):
    """Draw all rows, keep one's own: the same ones for any number of processes.

    These tables are small; one that no process can hold would be drawn block by block.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = {
        name: torch.zeros(size, ROW_LENGTH)
        for name, size in zip(TABLES, sizes, strict=True)
    }
    for table in drawn.values():
        table[:, : NUM_FACTORS + 1].normal_(std=INIT_STD, generator=generator)
    for name, first, rows in owned_rows(model):
        rows.copy_(drawn[name][first : first + len(rows)])


def my_part(count):
    """The places in a batch that fall to this process."""
    return slice(dist.get_rank(), count, dist.get_world_size())


def train_epoch(model, ratings, batch_size, penalty, generator):
    """One pass in steps that all processes take together, each on its part of the batch."""
    count = (
        len(ratings[0]) // dist.get_world_size() * dist.get_world_size()
    )  # equal parts
    order = torch.randperm(len(ratings[0]), generator=generator)[:count]
    for batch in order.split(batch_size):
        user_id, item_id, stars = (
            column[batch[my_part(len(batch))]] for column in ratings
        )
        score, squares = model(user_id, item_id)
        loss = ((score - stars).square() + penalty * squares).mean()  # ()
        if not loss.isfinite():
            raise FloatingPointError(f"the training loss is {loss.item()}")
        loss.backward()  # TorchRec averages over the processes and takes the step


@torch.no_grad()
def rmse(model, ratings):
    """The RMSE over all ratings, of which each process predicts its part."""
    user_id, item_id, stars = (column[my_part(len(column))] for column in ratings)
    squared_error = (model(user_id, item_id)[0] - stars).double().square().sum()
    dist.all_reduce(squared_error)
    return (squared_error / len(ratings[0])).sqrt().item()


def save(folder, state, settings):
    """Write a checkpoint; until it is whole, its name ends in .part."""
    whole = folder / f"epoch-{state['epoch']:04}"
    part = whole.with_suffix(".part")
    if dist.get_rank() == 0:
        shutil.rmtree(part, ignore_errors=True)  # of a run that died here
    dist.barrier()
    dcp.save(state, checkpoint_id=part)
    if dist.get_rank() == 0:
        (part / "settings.json").write_text(json.dumps(settings))
        older = list(folder.glob("epoch-????"))
        part.rename(whole)
        for checkpoint in older:
            shutil.rmtree(checkpoint)


def resume(folder, num_epochs, state, settings):
    """Read the newest whole checkpoint, if there is one, into `state`, which the model shares."""
    newest = max(folder.glob("epoch-????"), default=None)
    if newest is None:
        return
    written = json.loads((newest / "settings.json").read_text())
    if written != settings:
        differs = [f"{name} {written[name]}, not {settings[name]}"
                   for name in settings if written[name] != settings[name]]  # fmt: skip
        sys.exit(f"{newest} is of another run, which had {'; '.join(differs)}")
    dcp.load(state, checkpoint_id=newest)
    if state["epoch"] > num_epochs:
        sys.exit(f"{newest} is beyond --epochs {num_epochs}")


def say(text, from_all=False):
    """Print a line; in one piece, as the processes share the output."""
    if from_all or dist.get_rank() == 0:
        print(text + "\n", end="", flush=True)


def parse():
    parser = argparse.ArgumentParser(
        description="Train MF on tables split over processes."
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of split, parameters and order"
    )
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument(
        "--batch-size", type=int, default=1024, help="of all processes together"
    )
    parser.add_argument("--lr", type=float, default=0.07)
    parser.add_argument("--penalty", type=float, default=0.07)
    parser.add_argument(
        "--validate", action="store_true", help="test on a part of the rest"
    )
    parser.add_argument(
        "--checkpoints", type=Path, help="a folder, to continue from too"
    )
    args = parser.parse_args()
    num_processes = int(os.environ.get("WORLD_SIZE", 0))  # set by torchrun
    if num_processes == 0:
        parser.error("start it so: torchrun --nproc-per-node 2 benchmarks/sharded.py")
    if args.batch_size < 1 or args.batch_size % num_processes:
        parser.error(
            f"--batch-size {args.batch_size} is not a multiple of {num_processes}"
        )
    return args


def main():
    args = parse()
    torch.set_num_threads(
        1
    )  # torchrun sees to it only where there are several processes
    dist.init_process_group("gloo")
    rank, world_size = dist.get_rank(), dist.get_world_size()
    data, *sizes = read_data_ml100k()
    rest, held_out = split_data_ml100k(data, *sizes, seed=args.seed)
    if args.validate:
        rest, held_out = split_data_ml100k(rest, *sizes, seed=args.seed)
    ratings, held_out = (
        load_data_ml100k(part, *sizes)[:3] for part in (rest, held_out)
    )

    model = shard(ShardedMF(sizes, ratings[2].mean().item()), args.lr)
    init_rows(model, sizes, args.seed)
    for name, first, rows in owned_rows(model):
        last = first + len(rows) - 1
        say(f"process {rank} of {world_size}, pid {os.getpid()}: rows {first} to {last} of {name}, "
            f"{rows.nbytes} bytes", from_all=True)  # fmt: skip
    generator = torch.Generator().manual_seed(args.seed)
    state = {
        "epoch": 0,
        "order": generator.get_state(),
        "tables": model.state_dict(),
        "optimizer": model.fused_optimizer.state_dict(),
    }
    may_change = ("epochs", "checkpoints")
    settings = {
        name: value for name, value in vars(args).items() if name not in may_change
    }
    if args.checkpoints:
        resume(args.checkpoints, args.epochs, state, settings)
        generator.set_state(state["order"])

    for epoch in range(state["epoch"] + 1, args.epochs + 1):
        began = time.perf_counter()
        train_epoch(model, ratings, args.batch_size, args.penalty, generator)
        line = f"epoch {epoch}: {time.perf_counter() - began:.3f} s"
        if args.checkpoints:
            state |= {"epoch": epoch, "order": generator.get_state()}
            save(args.checkpoints, state, settings)
        if args.validate:
            line += f", valid RMSE {rmse(model, held_out):.5f}"
        say(line)
    if not args.validate:
        say(f"test RMSE {rmse(model, held_out):.5f}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
