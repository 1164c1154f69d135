"""RMSE of predicted ratings; hit rate and NDCG of rankings, with ties; full rankings."""

import math
from typing import NamedTuple

import torch
from torch import nn

from .arguments import as_ids, as_integer
from .data.negatives import as_pairs
from .models import device_of, in_mode, to_device_of


class RMSELoss(nn.Module):
    """Root of the mean squared error, as a loss: sqrt(MSE + eps).

    `eps` keeps the gradient finite where every prediction is exact. The mean of this
    loss over batches is not the RMSE of the whole set: that is `rmse`.
    """

    def __init__(self, eps=1e-6):
        super().__init__()
        self.eps = eps

    def forward(self, prediction, rating):
        """Compare two float32 tensors (batch,): a scalar tensor; ValueError for two shapes."""
        check_shapes(prediction, rating)
        return torch.sqrt(nn.functional.mse_loss(prediction, rating) + self.eps)


@torch.inference_mode()
def rmse(model, data_iter):
    """RMSE over a whole set: the root of (sum of squared errors / number of ratings).

    Takes a model (its training mode is left as it was) and an iterator over batches
    (users, items, ratings) on its device; returns a float, in stars (D2L, section
    21.3.3). Raises ValueError if there is no rating, if predictions and ratings differ
    in shape, or if an id is beyond the model's.
    """
    squared_errors = []
    with in_mode(model, training=False):
        for batch in data_iter:
            user_id, item_id, rating = to_device_of(model, batch)  # (batch,) each
            prediction = model(user_id, item_id)  # (batch,)
            check_shapes(prediction, rating)
            squared_errors.append((prediction - rating).square())  # (batch,)
    if not sum(map(len, squared_errors)):
        raise ValueError("there are no ratings to compare with")
    return math.sqrt(torch.cat(squared_errors).cpu().double().mean())


def check_shapes(prediction, rating):
    """Raise ValueError for two shapes, which might broadcast to a table of differences."""
    if prediction.shape != rating.shape:
        shapes = f"{tuple(prediction.shape)} and {tuple(rating.shape)}"
        raise ValueError(
            f"predictions and ratings must have one shape, (batch,); got {shapes}"
        )


class Ranks(NamedTuple):
    """How many candidates score above the held-out item of each user, and how many as high."""

    better: torch.Tensor  # int64 (num_users,)
    tied: torch.Tensor  # int64 (num_users,)


def rank_held_out(scores, candidates):
    """Count the candidates that score above the held-out item, and those that tie with
    it.

    Args:
        scores: float tensor (num_users, n).
        candidates: integers (num_users, n), the held-out item first. Where it occurs
            again among the others, as for some users of NCF's file, it does not count.
    Returns:
        `Ranks(better, tied)`, both int64 (num_users,), for `hit_rate` and `ndcg`.
    Raises:
        ValueError: a score is NaN, a candidate no integer from 0, the shapes differ, or
            there is nothing to rank.
    """
    candidates = as_ids("candidates", candidates, dim=2)
    if scores.shape != candidates.shape or not scores.numel():
        shapes = f"{tuple(scores.shape)} and {tuple(candidates.shape)}"
        raise ValueError(
            f"scores and candidates must have one shape, not empty; got {shapes}"
        )
    if scores.isnan().any():
        raise ValueError("a score is NaN, so there is no ranking")
    others = candidates != candidates[:, :1]  # (num_users, n)
    better = ((scores > scores[:, :1]) & others).sum(dim=1)  # (num_users,)
    tied = ((scores == scores[:, :1]) & others).sum(dim=1)  # (num_users,)
    return Ranks(better, tied)


def hit_rate(ranks, k=10):
    """HR@k: the share of users whose held-out item is among the first k.

    Ties are broken at random: the result is the mean over all orders of the tied items,
    so a model that scores all n candidates alike gets k / n. Takes what `rank_held_out`
    gives; returns a float (He et al. 2017, section 4.1).
    Raises ValueError without users, or if k is no integer from 1.
    """
    better, tied = ranks  # (num_users,), (num_users,)
    k = as_integer("k", k, 1)
    return mean_over_users(((k - better) / (tied + 1)).clamp(0, 1))


def ndcg(ranks, k=10):
    """NDCG@k with one relevant item: the mean of 1 / log2(place + 1), 0 beyond place k.

    Ties are broken at random, and ValueError raised, as in `hit_rate`; returns a float.
    """
    better, tied = ranks  # (num_users,), (num_users,)
    k = as_integer("k", k, 1)
    places = torch.arange(1, k + 1, device=better.device)  # (k,)
    gains = 1 / torch.log2(places + 1)  # (k,)
    summed = torch.cat(
        [gains.new_zeros(1), gains.cumsum(0)]
    )  # (k + 1,): the first 0 ... k
    first, last = better.clamp(max=k), (better + tied + 1).clamp(max=k)  # (num_users,)
    return mean_over_users((summed[last] - summed[first]) / (tied + 1))


def mean_over_users(gains):
    """The mean of one gain per user, (num_users,), as a float."""
    if gains.dim() != 1 or not len(gains):
        raise ValueError(
            f"need ranks of some users, (num_users,); got {tuple(gains.shape)}"
        )
    return gains.mean().item()


@torch.inference_mode()
def evaluate_ranking(model, candidates, k=10, num_at_once=64):
    """HR@k and NDCG@k among candidates.

    Args:
        candidates: integers (num_users, n), the held-out item first; row u belongs to
            user u.
        num_at_once: users per call of the model; few of them stay in the processor's
            cache.
    Returns:
        {"hit_rate": float, "ndcg": float}.
    Raises:
        ValueError: there are no users, an id is beyond the model's or no integer, a
            score is NaN, or k or `num_at_once` is no integer from 1.
    """
    num_at_once = as_integer("num_at_once", num_at_once, 1)
    candidates = as_ids("candidates", candidates, dim=2).to(device_of(model))
    users = torch.arange(len(candidates), device=candidates.device).unsqueeze(1)
    parts = zip(users.split(num_at_once), candidates.split(num_at_once), strict=True)
    with in_mode(model, training=False):
        scores = torch.cat([model(u, i) for u, i in parts])  # (num_users, n)
    ranks = rank_held_out(scores, candidates)
    return {"hit_rate": hit_rate(ranks, k), "ndcg": ndcg(ranks, k)}


@torch.inference_mode()
def evaluate_full_ranking(
    model, held_out, users, items, num_items, k=10, num_at_once=16
):
    """HR@k and NDCG@k among all items but those that the user has interacted with.

    Args:
        held_out: integers (num_users,), an item per user.
        users, items: integers (n,), the interactions to leave out.
        num_at_once: users per call of the model; memory grows with it times
            `num_items`.
    Returns:
        {"hit_rate": float, "ndcg": float}.
    Raises:
        ValueError: as `evaluate_ranking`, and where an item is not below `num_items`, a
            user has no row in `held_out`, or users and items differ in length.
    Source: Krichene and Rendle 2020, who show that sampled candidates can mislead.
    """
    num_at_once = as_integer("num_at_once", num_at_once, 1)
    held_out = as_ids("held_out", held_out, num_items)  # (num_users,)
    pairs = as_pairs(users, items, len(held_out), num_items)
    held_out, users, items = to_device_of(model, [held_out, *pairs])
    all_items, parts = (
        torch.arange(num_items, device=held_out.device),
        [],
    )  # (num_items,)
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
