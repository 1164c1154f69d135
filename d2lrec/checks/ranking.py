"""Checks of the two metrics of a ranking."""

import math
from statistics import fmean

import torch

from ..data.batches import try_gpu
from ..rankings import Ranks
from .verdict import differs, hint_for, refuses, says_what_is_wrong, tried_number

# Better and tied of each user, and k: without ties, and with.
UNTIED = [([better], [0], k) for k in (2, 1, 3, 1000) for better in (0, 1, 2, 3, 40)]
UNTIED += [([2, 0, 3, 1, 1, 9], [0] * 6, 2), ([*range(200)], [0] * 200, 10)]
TIED = [([0], [3], 2), ([1], [2], 3), ([1], [2], 2), ([4], [3], 3), ([3], [2], 1000)]
TIED += [([0], [99], 10), ([0, 1, 4, 2], [3, 1, 2, 0], 3)]
TIED += [([*range(200)], [n % 7 for n in range(200)], 10)]


def mean_gain(gain):
    """Make a metric(better, tied, k) from gain(place, k): the mean over places."""

    def metric(better, tied, k):
        possible = [range(b + 1, b + t + 2) for b, t in zip(better, tied, strict=True)]
        return fmean(fmean(gain(place, k) for place in places) for places in possible)

    return metric


hit = mean_gain(lambda place, k: float(place <= k))
discounted = mean_gain(lambda place, k: (place <= k) / math.log2(place + 1))


@says_what_is_wrong
def check_hit_rate(hit_rate):
    """Check `hit_rate(ranks, k)`; ranks.better and .tied are int64 (num_users,)."""
    cut_off = "look at the cut-off: with k = 2, the places 1 and 2 are hits, no other."
    limits = (
        "a user counts 1 at the places up to k, never more, and 0 beyond, never less."
    )
    count = "this is a count; give the share of the users."
    mistakes = [
        (cut_off, lambda better, tied, k: hit(better, tied, k - 1)),
        (cut_off, lambda better, tied, k: hit(better, tied, k + 1)),
        (limits, mean_gain(lambda place, k: k - place + 1)),
        (limits, mean_gain(lambda place, k: max(k - place + 1, 0))),
        (limits, mean_gain(lambda place, k: min(k - place + 1, 1))),
        (count, lambda better, tied, k: len(better) * hit(better, tied, k)),
    ]
    return wrong_in_metric(hit_rate, hit, mistakes)


@says_what_is_wrong
def check_ndcg(ndcg):
    """Check `ndcg(ranks, k)`; ranks.better and .tied are int64 (num_users,)."""
    cut_off = "look at the cut-off: with k = 3, the places 1, 2 and 3 count, no other."
    base = "the right form, with another logarithm: the base is 2."
    half = "an item at place 1 gains 1; at which place does it gain one half?"
    mistakes = [
        (base, mean_gain(lambda place, k: (place <= k) / math.log(place + 1))),
        (base, mean_gain(lambda place, k: (place <= k) / math.log10(place + 1))),
        (cut_off, lambda better, tied, k: discounted(better, tied, k - 1)),
        (cut_off, lambda better, tied, k: discounted(better, tied, k + 1)),
        (half, mean_gain(lambda place, k: (place <= k) / math.log2(place + 2))),
        (half, mean_gain(lambda place, k: (place <= k) / place)),
    ]
    return wrong_in_metric(ndcg, discounted, mistakes)


def wrong_in_metric(metric, right, mistakes):
    """Give the first hint that applies; `mistakes` has pairs of a hint and a metric."""
    found = results_of(metric, UNTIED)
    if off := first_off(found, right, UNTIED):
        results = [(hint, [m(*case) for case in UNTIED]) for hint, m in mistakes]
        return hint_for(found, results) or off
    if off := first_off(results_of(metric, TIED), right, TIED):
        order = "What is the mean over all orders of the tied items?"
        return f"right, as long as no scores are equal; {off} {order}"
    if not refuses(metric, ranks([], []), 2):
        return "without any user there is nothing to average: raise a ValueError."


def results_of(metric, cases):
    """What a reader's metric gives in each case, a list of floats."""
    return [
        tried_number(metric, ranks(b, t), k, on=described(b, t, k)) for b, t, k in cases
    ]


def ranks(better, tied):
    both = torch.tensor([better, tied], dtype=torch.int64, device=try_gpu())
    return Ranks(*both)


def described(better, tied, k):
    if len(better) > 6:
        return f"for {len(better)} users and k = {k}"
    return f"for better = {better}, tied = {tied} and k = {k}"


def first_off(found, metric, cases):
    """Say where figures are first not those of a metric; None if all are."""
    for figure, case in zip(found, cases, strict=True):
        if differs(figure, metric(*case)):
            return f"{described(*case)} it gives {figure:.4g}, not {metric(*case):.4g}."
