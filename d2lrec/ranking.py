"""How high a model ranks the item that a user turned to next."""

import torch


def rank_held_out(scores, candidates):
    """Count the candidates that score above the held-out item, and those that tie with it.

    Args:
        scores: float tensor (num_users, n).
        candidates: int64 tensor (num_users, n), the held-out item first. Where it occurs
            again among the others, as for some users of NCF's file, it does not count.
    Returns:
        better, tied: int64 tensors (num_users,).
    Raises:
        ValueError: a score is NaN.
    """
    if scores.isnan().any():
        raise ValueError("a score is NaN, so there is no ranking")
    others = candidates != candidates[:, :1]  # (num_users, n)
    better = ((scores > scores[:, :1]) & others).sum(dim=1)  # (num_users,)
    tied = ((scores == scores[:, :1]) & others).sum(dim=1)  # (num_users,)
    return better, tied


def hit_rate(better, tied, k=10):
    """HR@k: the share of users whose held-out item is among the first k.

    Ties are broken at random: the result is the mean over all orders of the tied items, so a
    model that scores all n candidates alike gets k / n. Takes what `rank_held_out` gives;
    returns a float (He et al. 2017, section 4.1).
    """
    return ((k - better) / (tied + 1)).clamp(0, 1).mean().item()


def ndcg(better, tied, k=10):
    """NDCG@k with one relevant item: the mean of 1 / log2(place + 1), 0 beyond place k.

    Ties are broken at random, as in `hit_rate`; returns a float.
    """
    places = torch.arange(1, k + 1, device=better.device)  # (k,)
    gains = 1 / torch.log2(places + 1)  # (k,)
    summed = torch.cat([gains.new_zeros(1), gains.cumsum(0)])  # (k + 1,): the first 0 ... k
    first, last = better.clamp(max=k), (better + tied + 1).clamp(max=k)  # (num_users,)
    return ((summed[last] - summed[first]) / (tied + 1)).mean().item()


@torch.inference_mode()
def evaluate_ranking(model, candidates, k=10, num_at_once=64):
    """HR@k and NDCG@k among candidates.

    Args:
        candidates: int64 tensor (num_users, n), the held-out item first, on the model's
            device; row u belongs to user u.
        num_at_once: users per call of the model; few of them stay in the processor's cache.
    Returns:
        {"hit_rate": float, "ndcg": float}.
    """
    was_training = model.training
    model.eval()
    users = torch.arange(len(candidates), device=candidates.device).unsqueeze(1)
    parts = zip(users.split(num_at_once), candidates.split(num_at_once), strict=True)
    scores = torch.cat([model(u, i) for u, i in parts])  # (num_users, n)
    model.train(was_training)
    ranks = rank_held_out(scores, candidates)
    return {"hit_rate": hit_rate(*ranks, k), "ndcg": ndcg(*ranks, k)}


@torch.inference_mode()
def evaluate_full_ranking(model, held_out, users, items, num_items, k=10, num_at_once=16):
    """HR@k and NDCG@k among all items but those that the user has interacted with.

    Args:
        held_out: int64 tensor (num_users,), an item per user, on the model's device.
        users, items: int64 tensors (n,), the interactions to leave out.
        num_at_once: users per call of the model; memory grows with it times `num_items`.
    Returns:
        {"hit_rate": float, "ndcg": float}.
    Source: Krichene and Rendle 2020, who show that sampled candidates can mislead.
    """
    was_training = model.training
    model.eval()
    ranks = torch.empty(2, len(held_out), dtype=torch.int64, device=held_out.device)
    all_items = torch.arange(num_items, device=held_out.device)  # (num_items,)
    for some in torch.arange(len(held_out), device=held_out.device).split(num_at_once):
        user, item = some.unsqueeze(1), held_out[some].unsqueeze(1)  # (some, 1)
        candidates = torch.cat([item, all_items.expand(len(some), -1)], dim=1)
        scores = torch.cat([model(user, item), model(user, all_items)], dim=1)
        seen = (users >= some[0]) & (users <= some[-1])  # (n,)
        scores[users[seen] - some[0], 1 + items[seen]] = -torch.inf  # (some, 1 + num_items)
        ranks[:, some] = torch.stack(rank_held_out(scores, candidates))
    model.train(was_training)
    return {"hit_rate": hit_rate(*ranks, k), "ndcg": ndcg(*ranks, k)}
