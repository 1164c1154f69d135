"""The Bayesian factorization machine of the library myFM."""

import os

import numpy as np
from scipy.sparse import csr_matrix

from .rounds import NUM_ROUNDS, MeanOfRounds

os.environ["TQDM_DISABLE"] = "1"  # else each round writes a line


def one_hot(data, part):
    """A 1 for the user and one for the film: sparse (n, num_users + num_items)."""
    columns = [data[f"{part}_users"], data["num_users"] + data[f"{part}_items"]]
    columns = np.stack(columns, axis=1)  # (n, 2)
    starts = np.arange(0, columns.size + 1, 2)  # (n + 1,)
    width = data["num_users"] + data["num_items"]
    ones = np.ones(columns.size)
    return csr_matrix((ones, columns.ravel(), starts), (len(columns), width))


def gibbs_fm(data, seed, watch, num_factors):
    """Users and films as two groups, each with a mean and a variance of its own.

    On the validation ratings of the same splits that came lower than one group, which
    is the library's own setting.
    """
    from myfm import MyFMRegressor

    X, asked, mean = one_hot(data, "train"), one_hot(data, "test"), MeanOfRounds(watch)

    def note(iteration, model, hyper, history):
        mean.add(model.predict_score(asked, []))
        return False, None  # go on, with nothing to say

    model = MyFMRegressor(rank=num_factors, random_seed=seed)
    groups = [data["num_users"], data["num_items"]]
    stars = data["train_ratings"].astype(float)
    watch.start()
    model.fit(
        X,
        stars,
        n_iter=NUM_ROUNDS,
        n_kept_samples=1,
        group_shapes=groups,
        callback=note,
    )
