"""What processes of their own do in `make bench`: write the data, and compete.

Imports stand in the functions: compare.py, which imports this module, must stay small,
and a contender's memory is that of the libraries that it needs.
"""

import importlib
import tempfile
from pathlib import Path

from contenders import CONTENDERS, ML1M, ML100K
from processes import peak_bytes


def write_data(folder, rounds):
    """Write both data sets of each round as arrays, which every contender can read.

    Of MovieLens 1M: users, items, candidates, num_users, num_items, as in d2lrec.
    Of MovieLens 100K: train_users, train_items, train_ratings, test_users and so on,
    num_users, num_items.
    """
    import numpy as np

    from d2lrec import (
        load_data_ml100k,
        read_data_ml1m,
        read_data_ml100k,
        split_data_ml100k,
    )

    names = "users", "items", "candidates", "num_users", "num_items"
    pairs = dict(zip(names, read_data_ml1m(), strict=True))
    data, num_users, num_items = read_data_ml100k()
    for seed in range(rounds):
        np.savez(folder / f"{ML1M} {seed}.npz", **pairs)
        parts = split_data_ml100k(data, num_users, num_items, seed=seed)
        arrays = {"num_users": num_users, "num_items": num_items}
        for part, table in zip(("train", "test"), parts, strict=True):
            columns = load_data_ml100k(table, num_users, num_items)[:3]
            for name, column in zip(
                ("users", "items", "ratings"), columns, strict=True
            ):
                arrays[f"{part}_{name}"] = column.numpy()
        np.savez(folder / f"{ML100K} {seed}.npz", **arrays)


def compete(name, seed, folder):
    """Let one contender train: a dict per epoch, with its curve and memory."""
    contender = CONTENDERS[name]
    module = importlib.import_module(f"contenders.{contender.module}")
    from clock import Stopwatch

    figures = {"libraries_mib": peak_bytes() / 2**20}
    data = arrays_in(folder / f"{contender.data} {seed}.npz")
    about = {"data": contender.data, "contender": name, "seed": seed}
    with tempfile.TemporaryDirectory(dir=folder) as states:
        watch = Stopwatch(Path(states))
        getattr(module, contender.function)(data, seed, watch, **contender.settings)
        figures["peak_mib"] = peak_bytes() / 2**20
        figures["seconds_compiling"] = watch.seconds_compiling
        for point in watch.points:
            path = watch.path_of(point["epoch"])
            if path.exists():  # else the quality is known already
                point |= evaluate(data, arrays_in(path))
    return [{**about, **figures, **point} for point in watch.points]


def arrays_in(path):
    """The arrays in a file, and its numbers: a dict."""
    import numpy as np

    with np.load(path) as arrays:
        return {name: x if x.ndim else x.item() for name, x in arrays.items()}


def evaluate(data, state):
    """The quality of factors, or of predictions, on the test set: a dict."""
    import torch

    from d2lrec import MF, evaluate_ranking

    if "predictions" in state:
        squared_errors = (state["predictions"] - data["test_ratings"]) ** 2
        return {"test_rmse": float(squared_errors.mean() ** 0.5)}
    P, Q = torch.from_numpy(state["P"]), torch.from_numpy(state["Q"])
    model = MF(P.shape[1], len(P), len(Q), biases=False)
    model.P.weight.data, model.Q.weight.data = P, Q
    return evaluate_ranking(model, torch.from_numpy(data["candidates"]))
