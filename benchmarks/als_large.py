"""ALS at the size of MovieLens 20M, beside that of the library implicit: `make bench`.

The interactions are made up: as many as the set has, of as many users and films, both
drawn by a power law, each pair once. Both libraries have k = 64, alpha 5 and one
thread, and in each of three rounds a process of their own, in which they take two
iterations. Measured are the seconds of the second one, those of all before the first
(as if that took as long as the second), and the peak memory, that of the libraries and
of the pairs, two of int32, included. What is done is kept, as by compare.py. Writes
d2lrec/results/als-large.csv; takes some three minutes.
"""

import os
import tempfile
import time
from functools import partial
from pathlib import Path

from kept import Kept
from processes import in_own_process, peak_bytes

RESULTS = Path(__file__).parent.parent / "d2lrec" / "results"
NUM_PAIRS, NUM_USERS, NUM_ITEMS = 20_000_263, 138_493, 26_744
K, ALPHA, ITERATIONS, ROUNDS = 64, 5, 2, 3


def write_pairs(folder, num_pairs=NUM_PAIRS):
    """Write users and items, int32 (n,) each, sorted by users."""
    import numpy as np
    from own_data import draw_pairs

    rng = np.random.default_rng(0)
    pairs = np.sort(draw_pairs(rng, num_pairs, NUM_USERS, NUM_ITEMS))
    columns = {"users": pairs // NUM_ITEMS, "items": pairs % NUM_ITEMS}
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", column.astype(np.int32))


def measure(fit, folder):
    """Let a function train, and note when its iterations end: a dict."""
    import numpy as np

    libraries = peak_bytes()
    users, items = (np.load(folder / f"{name}.npy") for name in ("users", "items"))
    began, ends = time.perf_counter(), []
    fit(users, items, lambda *_: ends.append(time.perf_counter()))
    iteration = ends[1] - ends[0]
    return {
        "seconds_of_iteration": iteration,
        "seconds_before": ends[0] - began - iteration,
        "peak_mib": peak_bytes() / 2**20,
        "libraries_mib": libraries / 2**20,
    }


def of_the_book(folder):
    """d2lrec's ALS: from pairs to the sparse table, the SVD, and the iterations."""
    import torch

    from d2lrec import sparse_interaction_matrix, train_als

    def fit(users, items, note):
        users, items = torch.from_numpy(users), torch.from_numpy(items)
        R = sparse_interaction_matrix(users, items, NUM_USERS, NUM_ITEMS)
        train_als(R, K, 0.01, ALPHA, ITERATIONS, evaluate=note)

    return measure(fit, folder)


def of_implicit(folder):
    """The library's ALS, from pairs to its sparse table, and the iterations."""
    import numpy as np
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    def fit(users, items, note):
        ones = np.ones(len(users), np.float32)
        R = csr_matrix((ones, (users, items)), (NUM_USERS, NUM_ITEMS))
        settings = {"regularization": 30, "alpha": ALPHA, "iterations": ITERATIONS}
        model = AlternatingLeastSquares(K, **settings, num_threads=1)
        model.fit(R, show_progress=False, callback=note)

    return measure(fit, folder)


def main():
    kept = Kept("als-large")
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        in_own_process(write_pairs, folder)
        contenders = {"ALS": of_the_book, "implicit: ALS": of_implicit}
        rows = [
            {"contender": name, "round": round_}
            | kept.get(f"{round_} {name}", partial(in_own_process, fit, folder))[0]
            for round_ in range(ROUNDS)
            for name, fit in contenders.items()
        ]
    import pandas as pd

    from d2lrec.files import write_atomically

    table = pd.DataFrame(rows)
    content = table.to_csv(index=False, float_format="%.5g")
    write_atomically(RESULTS / "als-large.csv", content.encode())
    kept.forget()
    print(table.groupby("contender").median().round(2).to_string())


if __name__ == "__main__":
    main()
