"""Ratings whose truth is known, made when their turn comes, for the page scale.

A rating is the prediction of a planted MF of rank 8 plus noise, which no model gets
below; users and items follow a power law. A chunk of 100,000 interactions is made from
its number, so that nothing needs to be stored.
"""

import numpy as np
import torch

from d2lrec import MF

RANK, NOISE = 8, 0.5
CHUNK, BATCH = 100_000, 4_000
HELD_OUT = 1_000_000  # the number of a chunk that nothing is trained on


def draw_rows(rng, count, num_rows):
    """Row numbers, int64 (count,): r is as likely as 1 / (r + num_rows / 100) says."""
    return torch.from_numpy((101 ** rng.random(count) - 1) / 100 * num_rows).long()


def plant(num_users, num_items):
    """The truth: an MF whose parameters are drawn, and not learned."""
    torch.manual_seed(0)
    truth = MF(RANK, num_users, num_items, init_std=0.5, global_mean=3.5)
    return truth.requires_grad_(False)


def make_chunk(truth, number):
    """Users, items and ratings, each (CHUNK,), the same whenever the number is."""
    rng = np.random.default_rng([0, number])
    users = draw_rows(rng, CHUNK, truth.P.num_embeddings)
    items = draw_rows(rng, CHUNK, truth.Q.num_embeddings)
    noise = torch.from_numpy(rng.standard_normal(CHUNK, dtype=np.float32))
    return users, items, truth(users, items) + NOISE * noise


class Stream:
    """Batches of the chunks 0, 1, ..., each of which is made when it is its turn."""

    def __init__(self, truth, num_chunks):
        self.truth, self.num_chunks = truth, num_chunks

    def __iter__(self):
        for number in range(self.num_chunks):
            columns = make_chunk(self.truth, number)
            yield from zip(*(column.split(BATCH) for column in columns), strict=True)


def learner(truth, num_factors, sparse):
    """A new MF for the planted data, with sparse gradients where `sparse` is true."""
    torch.manual_seed(1)
    num_rows = truth.P.num_embeddings, truth.Q.num_embeddings
    model = MF(num_factors, *num_rows, init_std=0.1, global_mean=3.5)
    for table in model.children():
        table.sparse = sparse
    return model


@torch.no_grad()
def recovery(model, truth, number=HELD_OUT):
    """On a held-out chunk: RMSE, and the share of the planted variance found."""
    users, items, ratings = make_chunk(truth, number)
    score, planted = model(users, items), truth(users, items)
    r2 = 1 - (score - planted).square().mean() / planted.var()
    return {"rmse": (score - ratings).square().mean().sqrt().item(), "r2": r2.item()}


class RowWiseAdagrad(torch.optim.Optimizer):
    """Adagrad on sparse gradients, with one sum for each row of a table."""

    def __init__(self, tables, lr=0.01, eps=1e-8):
        super().__init__(tables, {"lr": lr, "eps": eps})

    @torch.no_grad()
    def step(self):
        """Move the rows that have a gradient, each at a rate of its own."""
        [group] = self.param_groups
        for table in group["params"]:
            grad = table.grad.coalesce()  # a row that occurs twice has the sum of both
            rows, values = grad.indices()[0], grad.values()  # (n,), (n, num_factors)
            if table not in self.state:
                self.state[table]["sum"] = torch.zeros(len(table), device=table.device)
            sums = self.state[table]["sum"]
            sums[rows] += values.square().mean(dim=1)
            rates = group["lr"] / (sums[rows].sqrt() + group["eps"])  # (n,)
            table.index_add_(0, rows, -rates[:, None] * values)
