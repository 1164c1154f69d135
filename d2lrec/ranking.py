"""How high a model ranks the item that a user turned to next."""

from typing import NamedTuple

import torch

from .arguments import as_ids, whole_number
from .interactions import as_pairs
from .models import in_mode


class Ranks(NamedTuple):
    """How many candidates score above the held-out item of each user, and how many as high."""

    better: torch.Tensor  # int64 (num_users,)
    tied: torch.Tensor  # int64 (num_users,)


def rank_held_out(scores, candidates):
    """Count the candidates that score above the held-out item, and those that tie with it.

    Args:
        scores: float tensor (num_users, n).
        candidates: whole numbers (num_users, n), the held-out item first. Where it occurs
            again among the others, as for some users of NCF's file, it does not count.
    Returns:
        `Ranks(better, tied)`, both int64 (num_users,), for `hit_rate` and `ndcg`.
    Raises:
        ValueError: a score is NaN, a candidate no whole number from 0, the shapes differ, or
            there is nothing to rank.
    """
    candidates = as_ids("candidates", candidates, dim=2)
    if scores.shape != candidates.shape or not scores.numel():
        shapes = f"{tuple(scores.shape)} and {tuple(candidates.shape)}"
        raise ValueError(f"scores and candidates must have one shape, not empty; got {shapes}")
    if scores.isnan().any():
        raise ValueError("a score is NaN, so there is no ranking")
    others = candidates != candidates[:, :1]  # (num_users, n)
    better = ((scores > scores[:, :1]) & others).sum(dim=1)  # (num_users,)
    tied = ((scores == scores[:, :1]) & others).sum(dim=1)  # (num_users,)
    return Ranks(better, tied)


def hit_rate(ranks, k=10):
    """HR@k: the share of users whose held-out item is among the first k.

    Ties are broken at random: the result is the mean over all orders of the tied items, so a
    model that scores all n candidates alike gets k / n. Takes what `rank_held_out` gives;
    returns a float (He et al. 2017, section 4.1).
    Raises ValueError without users, or if k is no whole number from 1.
    """
    better, tied = ranks  # (num_users,), (num_users,)
    k = whole_number("k", k, 1)
    return mean_over_users(((k - better) / (tied + 1)).clamp(0, 1))


def ndcg(ranks, k=10):
    """NDCG@k with one relevant item: the mean of 1 / log2(place + 1), 0 beyond place k.

    Ties are broken at random, and ValueError raised, as in `hit_rate`; returns a float.
    """
    better, tied = ranks  # (num_users,), (num_users,)
    k = whole_number("k", k, 1)
    places = torch.arange(1, k + 1, device=better.device)  # (k,)
    gains = 1 / torch.log2(places + 1)  # (k,)
    summed = torch.cat([gains.new_zeros(1), gains.cumsum(0)])  # (k + 1,): the first 0 ... k
    first, last = better.clamp(max=k), (better + tied + 1).clamp(max=k)  # (num_users,)
    return mean_over_users((summed[last] - summed[first]) / (tied + 1))


def mean_over_users(gains):
    """The mean of one gain per user, (num_users,), as a float."""
    if gains.dim() != 1 or not len(gains):
        raise ValueError(f"need ranks of some users, (num_users,); got {tuple(gains.shape)}")
    return gains.mean().item()


@torch.inference_mode()
def evaluate_ranking(model, candidates, k=10, num_at_once=64):
    """HR@k and NDCG@k among candidates.

    Args:
        candidates: whole numbers (num_users, n), the held-out item first, on the model's
            device; row u belongs to user u.
        num_at_once: users per call of the model; few of them stay in the processor's cache.
    Returns:
        {"hit_rate": float, "ndcg": float}.
    Raises:
        ValueError: there are no users, an id is beyond the model's or no whole number, a score
            is NaN, or k or `num_at_once` is no whole number from 1.
    """
    num_at_once = whole_number("num_at_once", num_at_once, 1)
    candidates = as_ids("candidates", candidates, dim=2)
    users = torch.arange(len(candidates), device=candidates.device).unsqueeze(1)
    parts = zip(users.split(num_at_once), candidates.split(num_at_once), strict=True)
    with in_mode(model, training=False):
        scores = torch.cat([model(u, i) for u, i in parts])  # (num_users, n)
    ranks = rank_held_out(scores, candidates)
    return {"hit_rate": hit_rate(ranks, k), "ndcg": ndcg(ranks, k)}


@torch.inference_mode()
def evaluate_full_ranking(model, held_out, users, items, num_items, k=10, num_at_once=16):
    """HR@k and NDCG@k among all items but those that the user has interacted with.

    Args:
        held_out: whole numbers (num_users,), an item per user, on the model's device.
        users, items: whole numbers (n,), the interactions to leave out.
        num_at_once: users per call of the model; memory grows with it times `num_items`.
    Returns:
        {"hit_rate": float, "ndcg": float}.
    Raises:
        ValueError: as `evaluate_ranking`, and where an item is not below `num_items`, a user
            has no row in `held_out`, or users and items differ in length.
    Source: Krichene and Rendle 2020, who show that sampled candidates can mislead.
    """
    num_at_once = whole_number("num_at_once", num_at_once, 1)
    held_out = as_ids("held_out", held_out, num_items)  # (num_users,)
    users, items = as_pairs(users, items, len(held_out), num_items)
    all_items, parts = torch.arange(num_items, device=held_out.device), []  # (num_items,)
    for some in torch.arange(len(held_out), device=held_out.device).split(num_at_once):
        user, item = some.unsqueeze(1), held_out[some].unsqueeze(1)  # (some, 1)
        candidates = torch.cat([item, all_items.expand(len(some), -1)], dim=1)
        seen = (users >= some[0]) & (users <= some[-1])  # (n,)
        # What was seen is no rival, as the held-out item is none of its own.
        candidates[users[seen] - some[0], 1 + items[seen]] = held_out[users[seen]]
        with in_mode(model, training=False):
            scores = torch.cat([model(user, item), model(user, all_items)], dim=1)
        parts.append(rank_held_out(scores, candidates))  # scores: (some, 1 + num_items)
    ranks = Ranks(*map(torch.cat, zip(*parts, strict=True)))
    return {"hit_rate": hit_rate(ranks, k), "ndcg": ndcg(ranks, k)}
