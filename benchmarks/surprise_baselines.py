"""Test RMSE of another library, Surprise, for the page mf-better (`make surprise`).

None of its three models shares code with the book's. They are an item-based k-nearest-
neighbours model with baselines, and a biased matrix factorization (SVD) at the
library's own settings and at tuned ones. The tuned ones are chosen as the page chooses
its own: on the first split, whose seed is 0, by the RMSE on the 9,000 ratings of its
validation set, after training on the other 81,000. The grid is GRID, with 100 factors
and one seed. The splits are the book's random ones of MovieLens 100K with the seeds 0
to 4; each model is trained once on the 90,000 ratings of the training and validation
set and tested once on the other 10,000. So the settings are tested on the splits 1 to 4
too, whose test ratings they have partly been chosen on; the page counts them. The seed
also draws SVD's first parameters; the neighbours have nothing random. The RMSE is
pooled, over all ratings of a set at once, and Surprise clips its predictions to 1...5.

Surprise 1.1.5 is in the extra `bench`. This takes about two minutes on a CPU core. The
figures go to d2lrec/results/surprise.csv: the tests, with the chosen settings, and the
validation RMSE of each point of the grid. The seconds of each fit are only printed, so
that another run writes the same bytes.
"""

import itertools
import statistics
import time
from pathlib import Path

import pandas as pd
from surprise import SVD, Dataset, KNNBaseline, Reader, accuracy

import d2lrec
from d2lrec import read_data_ml100k, split_data_ml100k
from d2lrec.files import write_atomically

RESULTS = Path(d2lrec.__file__).parent / "results" / "surprise.csv"
SIMILARITY = {"name": "pearson_baseline", "user_based": False}
GRID = {"reg_all": (0.06, 0.08, 0.1, 0.12), "n_epochs": (30, 50, 80)}
MODELS = {  # each a function of the seed and of the tuned settings
    "item kNN": lambda seed, _: KNNBaseline(
        k=40, sim_options=SIMILARITY, verbose=False
    ),
    "SVD, defaults": lambda seed, _: SVD(random_state=seed),
    "SVD, tuned": lambda seed, tuned: SVD(n_factors=100, random_state=seed, **tuned),
}


def for_surprise(train_data, test_data):
    """Surprise's form of two parts: a Trainset, and a list of (user, item, rating)."""
    columns = ["user_id", "item_id", "rating"]
    ratings = Dataset.load_from_df(train_data[columns], Reader(rating_scale=(1, 5)))
    test_part = list(test_data[columns].itertuples(index=False, name=None))
    return ratings.build_full_trainset(), test_part


def fit_and_test(model, train_part, test_part):
    """Train a model once and test it once: its RMSE and the seconds of the fit."""
    began = time.perf_counter()
    model.fit(train_part)
    seconds = time.perf_counter() - began
    return accuracy.rmse(model.test(test_part), verbose=False), seconds


def tune(rest, num_users, num_items):
    """The validation RMSE of each point of the grid on split 0, a row each."""
    parts = for_surprise(*split_data_ml100k(rest, num_users, num_items, seed=0))
    rows = []
    for point in itertools.product(*GRID.values()):
        settings = dict(zip(GRID, point, strict=True))
        error, _ = fit_and_test(MODELS["SVD, tuned"](0, settings), *parts)
        rows.append({**settings, "valid_rmse": error})
        print(f"{settings}: validation {error:.4f}", flush=True)
    return pd.DataFrame(rows)


def main():
    data, num_users, num_items = read_data_ml100k()
    splits = [
        split_data_ml100k(data, num_users, num_items, seed=seed) for seed in range(5)
    ]
    grid = tune(splits[0][0], num_users, num_items)
    best = grid.loc[grid.valid_rmse.idxmin()]
    tuned = {"reg_all": float(best.reg_all), "n_epochs": int(best.n_epochs)}
    print(f"chosen: {tuned}", flush=True)
    splits = [for_surprise(*parts) for parts in splits]
    rows = []
    for name, make in MODELS.items():
        runs = [
            fit_and_test(make(seed, tuned), *parts) for seed, parts in enumerate(splits)
        ]
        figures, seconds = zip(*runs, strict=True)
        settings = tuned if name == "SVD, tuned" else {}
        rows += [
            {"model": name, "seed": seed, "test_rmse": test_rmse, **settings}
            for seed, test_rmse in enumerate(figures)
        ]
        mean, spread = statistics.mean(figures), statistics.stdev(figures)
        median = statistics.median(seconds)
        print(f"{name}: {mean:.4f} ± {spread:.4f}, fit {median:.1f} s", flush=True)
    tried = grid.assign(model="SVD, validation", seed=0)
    table = pd.concat([pd.DataFrame(rows), tried])
    table["n_epochs"] = table.n_epochs.astype("Int64")
    columns = ["model", "seed", "reg_all", "n_epochs", "valid_rmse", "test_rmse"]
    lines = table[columns].to_csv(index=False, float_format="%.5f")
    write_atomically(RESULTS, lines.encode())
    print(f"written to {RESULTS.name}")


if __name__ == "__main__":
    main()
