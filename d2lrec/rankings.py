"""How high a model ranks the held-out item: hit rate and NDCG, full and sampled."""

from collections import namedtuple

import torch

from .arguments import as_ids, as_integer
from .data.negatives import as_pairs
from .models import device_of, in_mode, to_device_of

# Of each user, how many candidates score above the held-out item, and how many as high.
Ranks = namedtuple("Ranks", ["better", "tied"])  # int64 (num_users,) each


def rank_held_out(scores, candidates):
    """Count the candidates that score above the held-out item, and those that tie.

    Takes scores, floats (num_users, n), and candidates, integers of the same shape, the
    held-out item first; where it occurs again, as in NCF's file, it does not count.
    ValueError for a NaN, for no integers from 0, two shapes, or nothing to rank.
    """
    candidates = as_ids("candidates", candidates, dim=2).to(scores.device)
    if scores.shape != candidates.shape or not scores.numel():
        got = f"{tuple(scores.shape)} and {tuple(candidates.shape)}"
        raise ValueError(f"scores and candidates must have one shape, not empty: {got}")
    if scores.isnan().any():
        raise ValueError("a score is NaN, so there is no ranking")
    others = candidates != candidates[:, :1]  # (num_users, n)
    better = ((scores > scores[:, :1]) & others).sum(dim=1)  # (num_users,)
    tied = ((scores == scores[:, :1]) & others).sum(dim=1)  # (num_users,)
    return Ranks(better, tied)


def hit_rate(ranks, k=10, per_user=False):
    """HR@k: the share of users whose held-out item is among the first k, a float.

    Ties are broken at random: this is the mean over all orders of the tied, k / n where
    all n score alike (He et al. 2017, section 4.1). With `per_user`, what each user
    adds to the mean, float32 (num_users,). ValueError for no users or a bad k.
    """
    k, (better, tied) = as_integer("k", k, 1), ranks  # (num_users,) each
    return over_users(((k - better) / (tied + 1)).clamp(0, 1), per_user)


def ndcg(ranks, k=10, per_user=False):
    """NDCG@k with one relevant item: the mean of 1 / log2(place + 1), 0 beyond place k.

    Ties, what is returned and what is raised: as `hit_rate`.
    """
    k, (better, tied) = as_integer("k", k, 1), ranks  # (num_users,) each
    gains = 1 / torch.log2(torch.arange(1, k + 1, device=better.device) + 1)  # (k,)
    summed = torch.cat([gains.new_zeros(1), gains.cumsum(0)])  # of the first 0 ... k
    first, last = better.clamp(max=k), (better + tied + 1).clamp(max=k)  # (num_users,)
    return over_users((summed[last] - summed[first]) / (tied + 1), per_user)


def over_users(gains, per_user):
    """The mean of one gain per user, (num_users,), as a float; or the gains."""
    if gains.dim() != 1 or not len(gains):
        raise ValueError(f"need ranks (num_users,), got {tuple(gains.shape)}")
    return gains.cpu() if per_user else gains.mean().item()


@torch.inference_mode()
def evaluate_ranking(model, candidates, k=10, num_at_once=64, per_user=False):
    """HR@k and NDCG@k among candidates: {"hit_rate": float, "ndcg": float}.

    With `per_user`, each is a tensor (num_users,) in the place of its mean.
    Takes integers (num_users, n), row u for user u, the held-out item first; calls the
    model with `num_at_once` users, who fit into a processor's cache. ValueError for no
    users, ids that the model does not have, scores of NaN, or no integers from 1.
    """
    num_at_once = as_integer("num_at_once", num_at_once, 1)
    candidates = as_ids("candidates", candidates, dim=2).to(device_of(model))
    users = torch.arange(len(candidates), device=candidates.device).unsqueeze(1)
    parts = zip(users.split(num_at_once), candidates.split(num_at_once), strict=True)
    with in_mode(model, training=False):
        scores = torch.cat([model(user, item) for user, item in parts])
    ranks = rank_held_out(scores, candidates)  # of (num_users, n)
    return {"hit_rate": hit_rate(ranks, k, per_user), "ndcg": ndcg(ranks, k, per_user)}


@torch.inference_mode()
def evaluate_full_ranking(model, held_out, users, items, num_items,
                          k=10, num_at_once=16, per_user=False):  # fmt: skip
    """HR@k and NDCG@k among all items but those that the user has interacted with.

    Takes `held_out`, integers (num_users,), an item per user, and the interactions to
    leave out, users and items, integers (n,). Returns and raises as `evaluate_ranking`;
    ValueError also for items not below `num_items`, users without a held-out item, and
    lengths that differ. Krichene and Rendle 2020: sampled candidates can mislead.
    """
    num_at_once = as_integer("num_at_once", num_at_once, 1)
    held_out = as_ids("held_out", held_out, num_items)  # (num_users,)
    pairs = as_pairs(users, items, len(held_out), num_items)
    held_out, users, items = to_device_of(model, [held_out, *pairs])
    all_items = torch.arange(num_items, device=users.device)  # (num_items,)
    users, order = users.sort()  # (n,), so that the pairs of a part are one slice
    parts = torch.arange(len(held_out), device=users.device).split(num_at_once)
    sizes = torch.bincount(users // num_at_once, minlength=len(parts)).tolist()
    slices = zip(parts, users.split(sizes), items[order].split(sizes), strict=True)
    ranks = []
    with in_mode(model, training=False):
        for part, owners, seen in slices:
            user, item = part.unsqueeze(1), held_out[part].unsqueeze(1)  # (part, 1)
            candidates = torch.cat([item, all_items.expand(len(part), -1)], dim=1)
            # What was seen is no rival, as the held-out item is none of its own.
            candidates[owners - part[0], 1 + seen] = held_out[owners]
            scores = torch.cat([model(user, item), model(user, all_items)], dim=1)
            ranks.append(rank_held_out(scores, candidates))  # (part, 1 + num_items)
    ranks = Ranks(*map(torch.cat, zip(*ranks, strict=True)))
    return {"hit_rate": hit_rate(ranks, k, per_user), "ndcg": ndcg(ranks, k, per_user)}
