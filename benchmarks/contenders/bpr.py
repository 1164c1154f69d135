"""BPR with negatives drawn uniformly, as the metric draws them, in plain PyTorch."""

import torch

from d2lrec import UnseenItems
from d2lrec.data.negatives import draw_below

from .book import pairs_of

NUM_FACTORS, LR, PENALTY, NUM_EPOCHS, BATCH = 64, 0.05, 0.005, 50, 512


def bpr(data, seed, watch):
    """One unseen item for each interaction, new in each epoch, and a step of SGD.

    The steps of a batch are added up instead of being averaged, so each has its length.
    Source: Rendle et al. 2009, https://arxiv.org/abs/1205.2618.
    """
    users, items, num_users, num_items = pairs_of(data)
    generator = torch.Generator().manual_seed(seed)
    P, Q = (
        torch.randn(rows, NUM_FACTORS, generator=generator) * 0.1
        for rows in (num_users, num_items)
    )
    watch.start()
    unseen = UnseenItems(users, items, num_users, num_items)
    for epoch in range(1, NUM_EPOCHS + 1):
        negatives = unseen.look_up(users, draw_below(unseen.counts[users], generator))
        triples = torch.stack([users, items, negatives])  # (3, n)
        order = torch.randperm(len(users), generator=generator)  # (n,)
        for u, i, j in triples[:, order].split(BATCH, dim=1):
            p = P.index_select(0, u)  # (batch, k), as the next four
            q_i, q_j = Q.index_select(0, i), Q.index_select(0, j)
            gap = q_i - q_j
            pull = torch.sigmoid(-(p * gap).sum(dim=1, keepdim=True))  # (batch, 1)
            pulled = pull * p
            P.index_add_(0, u, (pull * gap).sub_(p, alpha=PENALTY), alpha=LR)
            Q.index_add_(0, i, pulled.sub(q_i, alpha=PENALTY), alpha=LR)
            Q.index_add_(0, j, pulled.add_(q_j, alpha=PENALTY), alpha=-LR)
        if epoch % 10 == 0:
            watch.lap(lambda: {"P": P.numpy(), "Q": Q.numpy()}, epoch)
