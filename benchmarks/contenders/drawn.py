"""Bayesian MF: the mean of what many drawn models predict."""

from itertools import islice

import torch
from bayesian_mf import gibbs

from .rounds import NUM_ROUNDS, MeanOfRounds


def gibbs_mf(data, seed, watch, num_factors):
    """The sampler of the page mf-better."""
    ratings, asked = (
        [torch.from_numpy(data[f"{part}_{x}"]) for x in ("users", "items", "ratings")]
        for part in ("train", "test")
    )
    sizes, mean = (data["num_users"], data["num_items"]), MeanOfRounds(watch)
    watch.start()
    draws = gibbs(ratings, asked[:2], sizes, num_factors, seed)
    for predictions in islice(draws, NUM_ROUNDS):
        mean.add(predictions.numpy())
