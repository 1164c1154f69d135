"""ALS and BPR of the library implicit."""

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from scipy.sparse import csr_matrix


def fit(model, data, watch, every=1):
    """Fit a model, with a lap after every so many iterations."""
    users, items = data["users"], data["items"]
    shape = data["num_users"], data["num_items"]
    R = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape)

    def factors():
        return {"P": model.user_factors, "Q": model.item_factors}

    def lap(iteration, *_):
        if (iteration + 1) % every == 0:
            watch.lap(factors, iteration + 1)

    watch.start()
    model.fit(R, show_progress=False, callback=lap)


def als(data, seed, watch):
    """ALS with the alpha of the page gmf and the library's own number of iterations."""
    settings = {"regularization": 30, "alpha": 5, "iterations": 15}
    model = AlternatingLeastSquares(64, **settings, num_threads=1, random_state=seed)
    fit(model, data, watch)


def bpr(data, seed, watch):
    """BPR with the library's own settings."""
    settings = {"learning_rate": 0.01, "regularization": 0.01, "iterations": 100}
    model = BayesianPersonalizedRanking(
        64, **settings, num_threads=1, random_state=seed
    )
    fit(model, data, watch, every=10)
