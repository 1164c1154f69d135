"""What `make gpu` times: the models of the book, on the device of `try_gpu`."""

import statistics
import time
from functools import partial
from itertools import pairwise

import pandas as pd
import torch
from softmax import train_softmax
from torch import nn

import d2lrec
from d2lrec import GMF, train_epoch_by_rows

NUM_FACTORS = 32  # NCF's


def card():
    """The name of the device, and the version that runs on it: a dict."""
    kind = d2lrec.try_gpu().type
    name = torch.cuda.get_device_name() if kind == "cuda" else kind
    return {"card": name, "torch": torch.__version__}


def now():
    """The time when the device has done all that was asked of it."""
    if d2lrec.try_gpu().type in ("cuda", "mps"):
        torch.accelerator.synchronize()
    return time.perf_counter()


class Clock:
    """An `evaluate` for training that notes the seconds, and does not count its own."""

    def __init__(self, evaluate):
        self.evaluate, self.rows, self.began = evaluate, [], now()

    def __call__(self, model):
        ended = now()
        self.rows.append({"seconds": ended - self.began} | self.evaluate(model))
        self.began += now() - ended
        return self.rows[-1]

    def figures(self, *start):
        """Seconds in all, of the first epoch and of a later one, and the last quality.

        The first row is the start, unless training evaluates only what is trained.
        """
        ends = [*start, *(row["seconds"] for row in self.rows)]
        first, *others = (end - begin for begin, end in pairwise(ends))
        return self.rows[-1] | {
            "seconds": ends[-1] - ends[0],
            "epochs": 1 + len(others),
            "first_epoch": first,
            "seconds_per_epoch": statistics.median(others),
        }


def interactions(quick):
    """Users and items of NCF's files, their numbers, and a clock that evaluates.

    If it is to be quick, something small and made up of the same form.
    """
    if quick:
        user, place = torch.arange(300).unsqueeze(1), torch.arange(120)
        films = (7 * user + 9 * place) % 200  # (300, 120), a user's all different
        users, items = user.expand(-1, 20).flatten(), films[:, :20].flatten()
        candidates, sizes = films[:, 20:], (300, 200)
    else:
        users, items, candidates, *sizes = d2lrec.read_data_ml1m()
    device = d2lrec.try_gpu()
    users, items, candidates = (x.to(device) for x in (users, items, candidates))
    clock = Clock(partial(d2lrec.evaluate_ranking, candidates=candidates))
    return users, items, *sizes, clock


def gmf(quick, batch_size, by_rows):
    """NCF's 20 epochs, the learning rate growing with the root of the batch's size."""
    users, items, *sizes, clock = interactions(quick)
    torch.manual_seed(0)
    model = GMF(NUM_FACTORS, *sizes).to(users.device)
    batches = d2lrec.ImplicitIterator(users, items, *sizes, batch_size)
    lr, options = 0.001 * (batch_size / 256) ** 0.5, {}
    if by_rows:
        adam = d2lrec.CatchUpAdam(model, lr=lr)
        options["train_epoch"] = train_epoch_by_rows
    else:
        adam = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    options |= {"evaluate": clock, "progress": False}
    num_epochs = 2 if quick else 20
    bce = nn.BCEWithLogitsLoss()
    d2lrec.train(model, batches, bce, adam, num_epochs, **options)
    # Adam reads and writes a row of P and one of Q for each example, with m and v.
    num_bytes = 5 * len(users) * 2 * 3 * NUM_FACTORS * 4
    return clock.figures() | {"batch_size": batch_size, "bytes_per_epoch": num_bytes}


def als(quick, num_factors):
    """ALS with the penalty of the page dot-product; making the table counts, too."""
    *pairs, clock = interactions(quick)
    R = d2lrec.interaction_matrix(*pairs)
    d2lrec.train_als(R, num_factors, penalty=0.01, evaluate=clock)
    return clock.figures(0.0)


def softmax(quick):
    """The softmax model with the weight decay of the page dot-product."""
    *pairs, clock = interactions(quick)
    R = d2lrec.interaction_matrix(*pairs)
    train_softmax(R, 1e-5, num_epochs=2 if quick else 20, evaluate=clock)
    return clock.figures()


def mf(quick, num_epochs, **settings):
    """MF on a random split of MovieLens 100K, or on something small."""
    if quick:
        users, items, *sizes, _ = interactions(quick)
        table = {"user_id": users.cpu() + 1, "item_id": items.cpu() + 1}
        train_data = test_data = pd.DataFrame({**table, "rating": 3})
    else:
        data, *sizes = d2lrec.read_data_ml100k()
        train_data, test_data = d2lrec.split_data_ml100k(data, *sizes)
    test_iter = d2lrec.load_batches(test_data, *sizes, shuffle=False)
    clock = Clock(lambda model: {"test_rmse": d2lrec.rmse(model, test_iter)})
    settings |= {"evaluate": clock, "progress": False}
    d2lrec.train_mf(train_data, *sizes, 2 if quick else num_epochs, **settings)
    return clock.figures()


def copy(quick):
    """The shortest of twenty copies of a gigabyte."""
    source = torch.zeros(2**18 if quick else 2**28, device=d2lrec.try_gpu())
    target, seconds = torch.empty_like(source), []
    for _ in range(20):
        began = now()
        target.copy_(source)
        seconds.append(now() - began)
    num_bytes = source.numel() * source.element_size()
    return {"seconds": min(seconds), "bytes_per_second": num_bytes / min(seconds)}


LARGER_STEPS = {"batch_size": 2048, "lr": 0.01, "num_epochs": 12}
SIZES = 16384, 4096, 1024, 256
TASKS = {"copy of a gigabyte": copy}
for size in SIZES:
    TASKS[f"GMF, by rows, {size}"] = partial(gmf, batch_size=size, by_rows=True)
for k in (64, 256):
    TASKS[f"ALS, k = {k}"] = partial(als, num_factors=k)
TASKS |= {"softmax, k = 64": softmax, "MF": partial(mf, num_epochs=30)}
TASKS["MF, larger steps"] = partial(mf, **LARGER_STEPS)
for size in SIZES:  # the last is likely to take longest of all
    TASKS[f"GMF, fused Adam, {size}"] = partial(gmf, batch_size=size, by_rows=False)


def measure(name, quick):
    """Measure one of the tasks: a dict of figures."""
    figures = TASKS[name](quick)
    if d2lrec.try_gpu().type == "cuda":
        figures["peak_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return figures
