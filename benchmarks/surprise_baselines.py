"""Test RMSE of another library, Surprise, for the page mf-better (`make surprise`).

None of its three models shares code with the book's. They are an item-based k-nearest-
neighbours model with baselines, and a biased matrix factorization (SVD) at the
library's own settings and at tuned ones, which are fixed below: this script chooses
nothing, so it needs no validation set. The splits are the book's random ones of
MovieLens 100K with the seeds 0 to 4; each model is trained once on the 90,000 ratings
of the training set and tested once on the other 10,000. The seed also draws SVD's first
parameters; the neighbours have nothing random. The RMSE is pooled, over all ratings of
a test set at once, and Surprise clips its predictions to 1...5.

Surprise 1.1.5 is in the extra `bench`. This takes about 20 seconds on a CPU core. The
figures go to d2lrec/results/surprise.csv; the seconds of each fit are only printed, so
that another run writes the same bytes.
"""

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
MODELS = {  # each a function of the seed
    "item kNN": lambda seed: KNNBaseline(k=40, sim_options=SIMILARITY, verbose=False),
    "SVD, defaults": lambda seed: SVD(random_state=seed),
    "SVD, tuned": lambda seed: SVD(
        n_factors=100, n_epochs=50, reg_all=0.08, random_state=seed
    ),
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


def main():
    data, num_users, num_items = read_data_ml100k()
    splits = [
        for_surprise(*split_data_ml100k(data, num_users, num_items, seed=seed))
        for seed in range(5)
    ]
    rows = []
    for name, make in MODELS.items():
        runs = [fit_and_test(make(seed), *parts) for seed, parts in enumerate(splits)]
        figures, seconds = zip(*runs, strict=True)
        rows += [(name, seed, test_rmse) for seed, test_rmse in enumerate(figures)]
        mean, spread = statistics.mean(figures), statistics.stdev(figures)
        median = statistics.median(seconds)
        print(f"{name}: {mean:.3f} ± {spread:.4f}, fit {median:.1f} s", flush=True)
    table = pd.DataFrame(rows, columns=["model", "seed", "test_rmse"])
    write_atomically(RESULTS, table.to_csv(index=False, float_format="%.5f").encode())
    print(f"written to {RESULTS.name}")


if __name__ == "__main__":
    main()
