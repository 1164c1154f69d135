"""Who competes in `make bench`, and on which data.

The functions stand in modules of their own, by library, so that each process imports
only what its contender needs. A function is called with the data, a dict of arrays (see
contest.py), the seed, a `Stopwatch` and the settings.
"""

from typing import NamedTuple

ML1M, ML100K = "MovieLens 1M", "MovieLens 100K"
TARGETS = {ML1M: 0.704, ML100K: 0.92}  # HR@10, test RMSE


class Contender(NamedTuple):
    """Where a contender's function is, what it trains on, and its settings.

    `target` is its own, where it is not that of its data in TARGETS.
    """

    data: str
    module: str
    function: str
    settings: dict
    target: float | None = None


def target_of(name):
    """What the contender of this name has to reach: HR@10, or a test RMSE."""
    contender = CONTENDERS[name]
    return TARGETS[contender.data] if contender.target is None else contender.target


TUNED = {"n_factors": 100, "reg_all": 0.08}
LARGER_STEPS = {"batch_size": 2048, "lr": 0.03, "num_epochs": 8, "schedule": True}
BAYESIAN = {"num_factors": 10}
CONTENDERS = {
    "usual loop": Contender(ML1M, "usual", "gmf", {"quicker": False}),
    "usual loop, quicker parts": Contender(ML1M, "usual", "gmf", {"quicker": True}),
    "GMF, by rows": Contender(ML1M, "book", "gmf", {}),
    "ALS, k = 64": Contender(ML1M, "book", "als", {"num_factors": 64}),
    "ALS, k = 256": Contender(ML1M, "book", "als", {"num_factors": 256}),
    "softmax, k = 64": Contender(ML1M, "book", "softmax_mf", {}),
    "implicit: ALS": Contender(ML1M, "of_implicit", "als", {}),
    "implicit: BPR": Contender(ML1M, "of_implicit", "bpr", {}),
    "BPR, uniform negatives": Contender(ML1M, "bpr", "bpr", {}),
    "MF, tensors one at a time": Contender(ML100K, "usual", "mf", {"lists": False}),
    "MF, lists one at a time": Contender(ML100K, "usual", "mf", {"lists": True}),
    "MF": Contender(ML100K, "book", "mf", {}),
    "MF, larger steps": Contender(ML100K, "book", "mf", LARGER_STEPS),
    "Surprise: SVD, defaults": Contender(
        ML100K, "of_surprise", "svd", {"epochs": [5, 10, 15, 20]}
    ),
    "Surprise: SVD, tuned": Contender(
        ML100K, "of_surprise", "svd", {"epochs": [10, 20, 30, 40, 50], **TUNED}
    ),
    "Bayesian MF (Gibbs)": Contender(ML100K, "drawn", "gibbs_mf", BAYESIAN, 0.89),
    "myFM": Contender(ML100K, "of_myfm", "gibbs_fm", BAYESIAN, 0.89),
}
