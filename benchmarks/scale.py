"""What grows with interactions, rows and factors, for the page scale (`make scale`).

The data are drawn, so that the truth is known: a rating is the score of a planted MF of
rank 8 plus noise, which no model gets below; users and items follow a power law.
Nothing is stored: a chunk of 100,000 interactions is made from its number, when it is
its turn. On average there are 100 interactions for a user and 400 for an item, whatever
the size. MF learns them by the book's loop, in batches of 4,000, with torch.optim.Adam,
fused, which moves all rows in each step, with CatchUpAdam, compiled, or with row-wise
Adagrad on sparse gradients. Their learning rates are those that did well at 10^6
interactions. The sweeps:

- size: 10^5 to 10^8 interactions and three epochs, the median of which counts; then the
  RMSE on a held-out chunk, and how much of the planted scores is found. Row-wise
  Adagrad does so at every size; beyond 10^7 Adam does 50 steps three times, and the
  time is scaled to an epoch, and CatchUpAdam does nothing.
- data: what the data alone take, streamed, or kept in memory and shuffled by
    BatchIterator.
- rows: a step with tables of 10^4 to 10^7 rows.
- k: a step with 8 to 128 factors, with the tables of 10^7 interactions.

Seconds of an epoch include making the data, milliseconds of a step do not. Every run
has a process of its own, whose peak memory is what the operating system says at the
end, less what it said before the run and after the imports; it includes the planted
truth, and for CatchUpAdam the compiler. Takes about 17 minutes on a CPU core, and 3 GB.
The figures go to d2lrec/results/scale.csv, which the page reads.
"""

import itertools
import multiprocessing
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

import d2lrec
from d2lrec import MF, BatchIterator, CatchUpAdam, train_epoch_by_rows
from d2lrec.files import write_atomically
from d2lrec.training import train_epoch

RANK, NOISE = 8, 0.5
CHUNK, BATCH = 100_000, 4_000
HELD_OUT = 1_000_000  # the number of a chunk that nothing is trained on
EPOCHS, SAMPLE = 3, 2  # SAMPLE: the chunks of an epoch that is timed in part
SIZES = [10**5, 3 * 10**5, 10**6, 3 * 10**6, 10**7, 3 * 10**7, 10**8]
ROWS = [10**4, 10**5, 10**6, 10**7]
FACTORS = [8, 16, 32, 64, 128]
WAYS = ["Adam", "CatchUpAdam", "row-wise Adagrad"]
RESULTS = Path(d2lrec.__file__).parent / "results"


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
    """A new MF for the planted data; sparse: its gradients have the rows in use alone."""
    torch.manual_seed(1)
    num_rows = truth.P.num_embeddings, truth.Q.num_embeddings
    model = MF(num_factors, *num_rows, init_std=0.1, global_mean=3.5)
    for table in model.children():
        table.sparse = sparse
    return model


@torch.no_grad()
def recovery(model, truth, number=HELD_OUT):
    """On a held-out chunk: RMSE, and the share of the planted scores' variance found."""
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


def num_bytes(tensors):
    """The memory of tensors; a sparse one consists of indices and values."""
    parts = [(t._indices(), t._values()) if t.is_sparse else (t,) for t in tensors]
    return sum(part.nbytes for part in itertools.chain(*parts))


def make_optimizer(way, model):
    if way == "Adam":
        return torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    if way == "CatchUpAdam":
        return CatchUpAdam(model, lr=0.01)
    return RowWiseAdagrad(model.parameters(), lr=0.3)


def memory_of(model, optimizer):
    """The megabytes of parameters, gradients and what the optimizer keeps beside them."""
    if isinstance(optimizer, CatchUpAdam):  # its gradients have a place in its states
        states = optimizer.states.values()
        gradients = [state.grad for state in states]
        kept = [
            tensor
            for state in states
            for tensor in (state.mean, state.square, state.done)
        ]
    else:
        gradients = [table.grad for table in model.parameters()]
        kept = [
            t for state in optimizer.state.values() for t in state.values() if t.dim()
        ]
    tensors = {"parameter": model.parameters(), "gradient": gradients, "state": kept}
    return {f"{name}_mb": num_bytes(parts) / 1e6 for name, parts in tensors.items()}


def peak_bytes():
    """The largest memory that this process has had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def median_seconds(function):
    """The median over EPOCHS calls, the first of which may allocate memory, or compile."""
    seconds = []
    for _ in range(EPOCHS):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def time_epochs(way, truth, k, num_chunks):
    """Train on all chunks; Adam on a SAMPLE, if they are more than 100."""
    model, loss = learner(truth, k, sparse=way == "row-wise Adagrad"), nn.MSELoss()
    optimizer = make_optimizer(way, model)
    timed = SAMPLE if way == "Adam" and num_chunks > 100 else num_chunks
    batches = Stream(truth, timed)
    epoch = train_epoch_by_rows if way == "CatchUpAdam" else train_epoch
    seconds = median_seconds(lambda: epoch(model, batches, loss, optimizer))
    figures = {"seconds": seconds * num_chunks / timed, **memory_of(model, optimizer)}
    return figures | (recovery(model, truth) if timed == num_chunks else {})


def time_steps(way, truth, k):
    """Train on the batches of a SAMPLE, which are made before."""
    model, loss = learner(truth, k, sparse=way == "row-wise Adagrad"), nn.MSELoss()
    optimizer = make_optimizer(way, model)
    batches = list(Stream(truth, SAMPLE))

    def step(batch):
        if way == "CatchUpAdam":
            optimizer.take_step(model, loss, *batch)
        else:
            train_epoch(model, [batch], loss, optimizer)

    seconds = median_seconds(lambda: [step(batch) for batch in batches])
    return {"step_ms": 1000 * seconds / len(batches), **memory_of(model, optimizer)}


def time_data(way, truth, num_chunks):
    """Go through the data, and do nothing with them."""
    batches = Stream(truth, num_chunks)
    if way == "kept":
        columns = [torch.empty(num_chunks * CHUNK, dtype=t) for t in (torch.int64,) * 2]
        columns.append(torch.empty(num_chunks * CHUNK))
        for number in range(num_chunks):
            for column, part in zip(columns, make_chunk(truth, number), strict=True):
                column[number * CHUNK : (number + 1) * CHUNK] = part
        batches = BatchIterator(*columns, BATCH, device="cpu")
    return {"seconds": median_seconds(lambda: [None for _ in batches])}


def measure(sweep, way, interactions, users, items, k):
    """One run, in a process of its own: a row of the table."""
    before = peak_bytes()
    truth = plant(users, items)
    if sweep == "size":
        figures = time_epochs(way, truth, k, interactions // CHUNK)
    elif sweep == "data":
        figures = time_data(way, truth, interactions // CHUNK)
    else:
        figures = time_steps(way, truth, k)
    setting = {"sweep": sweep, "way": way, "interactions": interactions}
    sizes = {"users": users, "items": items, "k": k}
    return setting | sizes | {"peak_mb": (peak_bytes() - before) / 1e6} | figures


def settings():
    """The arguments of all runs, the quick ones first."""
    for n in SIZES:
        rows = n // 100, n // 400
        yield "data", "streamed", n, *rows, RANK
        if n < 10**8:
            yield "data", "kept", n, *rows, RANK
    for rows, way in itertools.product(ROWS, WAYS):
        yield "rows", way, SAMPLE * CHUNK, rows * 4 // 5, rows // 5, RANK
    for k, way in itertools.product(FACTORS, WAYS):
        yield "k", way, SAMPLE * CHUNK, 100_000, 25_000, k
    for n, way in itertools.product(SIZES, WAYS):
        if way != "CatchUpAdam" or n <= 10**7:
            yield "size", way, n, n // 100, n // 400, RANK


def main():
    began = time.perf_counter()
    rows = []
    for setting in settings():
        # a new process, begun by this one, which is small itself
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            rows.append(pool.submit(measure, *setting).result())
        print(
            ", ".join(map(str, setting)),
            f"{time.perf_counter() - began:.0f} s",
            flush=True,
        )
    table = pd.DataFrame(rows)
    print(f"{torch.get_num_threads()} thread(s)")
    print(table.round(3).to_string(index=False))
    write_atomically(
        RESULTS / "scale.csv", table.to_csv(index=False, float_format="%.4g").encode()
    )


if __name__ == "__main__":
    main()
