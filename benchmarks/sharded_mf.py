"""MF whose tables are split by rows over processes: TorchRec's sharded embeddings.

The model is the book's MF, mu + b_u + b_i + P_u . Q_i with k = 30. A user's factors and
bias are one row of the table `user`, an item's of `item`; a row is filled up with a
zero, as FBGEMM wants multiples of four. Of two processes the first one owns the upper
half of both tables and the optimizer's state of these rows.
"""

import sys

import torch
import torch.distributed as dist
from torch import nn

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
    command = "pip install . -r benchmarks/requirements-scale.txt"
    sys.exit(f"{error}: TorchRec is missing; in the repository, run {command}")

TABLES, NUM_FACTORS, ROW_LENGTH, INIT_STD = ("user", "item"), 30, 32, 0.01


class ShardedMF(nn.Module):
    """MF on two tables without memory: they get it where their rows will be."""

    def __init__(self, sizes, global_mean):
        super().__init__()
        tables = [
            EmbeddingConfig(size, ROW_LENGTH, name, feature_names=[name])
            for name, size in zip(TABLES, sizes, strict=True)
        ]
        self.tables = EmbeddingCollection(tables=tables, device=torch.device("meta"))
        self.global_mean = global_mean

    def forward(self, user_id, item_id):
        """Predictions, and squares to penalize, float32 (batch,), of ids (batch,)."""
        one_each = torch.ones(2 * len(user_id), dtype=torch.int32)
        ids = torch.cat([user_id, item_id])
        rows = self.tables(KeyedJaggedTensor.from_lengths_sync(TABLES, ids, one_each))
        # Both (batch, ROW_LENGTH), from whatever process owns the rows.
        u, i = rows["user"].values(), rows["item"].values()
        k = NUM_FACTORS
        dots = (u[:, :k] * i[:, :k]).sum(dim=1)  # (batch,)
        prediction = self.global_mean + dots + u[:, k] + i[:, k]  # (batch,)
        return prediction, u.square().sum(dim=1) + i.square().sum(dim=1)


def shard(model, lr):
    """Split the tables by rows over all processes, and the optimizer with them."""
    adagrad = {"optimizer": EmbOptimType.EXACT_ROWWISE_ADAGRAD}
    adagrad |= {"learning_rate": lr, "eps": 1e-8}
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
    """The rows that this process owns: (table, number of the first, tensor)."""
    for name, table in model.state_dict().items():
        part = table.to_local()
        shards, offsets = part.local_shards(), part.local_offsets()
        for rows, (first, _) in zip(shards, offsets, strict=True):
            yield name.split(".")[-2], first, rows


def init_rows(model, sizes, seed):
    """Draw all rows, keep one's own: the same ones for any number of processes.

    These tables are small; one that no process can hold would be drawn block by block.
    """
    generator = torch.Generator().manual_seed(seed)
    tables = [torch.zeros(size, ROW_LENGTH) for size in sizes]
    drawn = dict(zip(TABLES, tables, strict=True))
    for table in drawn.values():
        table[:, : NUM_FACTORS + 1].normal_(std=INIT_STD, generator=generator)
    for name, first, rows in owned_rows(model):
        rows.copy_(drawn[name][first : first + len(rows)])


def my_part(count):
    """The places in a batch that fall to this process."""
    return slice(dist.get_rank(), count, dist.get_world_size())


def train_sharded_epoch(model, ratings, batch_size, penalty, generator):
    """One pass in steps that all processes take together, each on its part."""
    count = len(ratings[0])
    order = torch.randperm(count, generator=generator)  # (count,)
    order = order[: count - count % dist.get_world_size()]  # in equal parts
    for batch in order.split(batch_size):
        mine = batch[my_part(len(batch))]
        user_id, item_id, rating = (column[mine] for column in ratings)  # (mine,) each
        prediction, squares = model(user_id, item_id)  # (mine,), (mine,)
        loss = ((prediction - rating).square() + penalty * squares).mean()  # ()
        if not loss.isfinite():
            raise FloatingPointError(f"the training loss is {loss.item()}")
        loss.backward()  # TorchRec averages over the processes and takes the step


@torch.no_grad()
def sharded_rmse(model, ratings):
    """The RMSE over all ratings, of which each process predicts its part."""
    user_id, item_id, rating = (column[my_part(len(column))] for column in ratings)
    prediction, _ = model(user_id, item_id)
    squared_error = (prediction - rating).double().square().sum()  # ()
    dist.all_reduce(squared_error)
    return (squared_error / len(ratings[0])).sqrt().item()
