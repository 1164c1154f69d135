"""The measurements of `make scale`: seconds, memory and what a model has learned."""

import itertools
import statistics
import time

import torch
from planted import (
    BATCH,
    CHUNK,
    RowWiseAdagrad,
    Stream,
    learner,
    make_chunk,
    plant,
    recovery,
)
from processes import peak_bytes
from torch import nn

from d2lrec import BatchIterator, CatchUpAdam, train_epoch_by_rows
from d2lrec.training import train_epoch

REPEATS = 3  # epochs, or passes over a sample
SAMPLE = 2  # the chunks of an epoch that is timed in part


def num_bytes(tensors):
    """The memory of tensors; a sparse one consists of indices and values."""
    parts = [(t._indices(), t._values()) if t.is_sparse else (t,) for t in tensors]
    return sum(part.nbytes for part in itertools.chain(*parts))


def make_optimizer(way, model):
    """The optimizer of a way, with the rate that did well at 10^6 interactions."""
    if way == "Adam":
        return torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    if way == "CatchUpAdam":
        return CatchUpAdam(model, lr=0.01)
    return RowWiseAdagrad(model.parameters(), lr=0.3)


def memory_of(model, optimizer):
    """The megabytes of parameters, gradients and of what the optimizer keeps."""
    if isinstance(optimizer, CatchUpAdam):  # its gradients have a place in its states
        states = optimizer.states.values()
        gradients = [state.grad for state in states]
        kept = [x for state in states for x in (state.mean, state.square, state.done)]
    else:
        gradients = [table.grad for table in model.parameters()]
        states = optimizer.state.values()
        kept = [x for state in states for x in state.values() if x.dim()]
    tensors = {"parameter": model.parameters(), "gradient": gradients, "state": kept}
    return {f"{name}_mb": num_bytes(parts) / 1e6 for name, parts in tensors.items()}


def median_seconds(function):
    """The median of REPEATS calls, the first of which may allocate or compile."""
    seconds = []
    for _ in range(REPEATS):
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
