"""What a ranking model has to beat: popularity, nearest neighbors, a linear model."""

import math

import torch
from torch import nn

from .arguments import as_ids, as_integer
from .data.interactions import check_interactions
from .models import MF


def popularity(items, num_users, num_items):
    """An `MF` on the device of `items`, int64 (n,), that scores by their counts."""
    items = as_ids("items", items, as_integer("num_items", num_items, 1))
    model = MF(0, num_users, num_items, init_std=0.0).to(items.device)
    model.item_bias.weight.data[:, 0] = torch.bincount(items, minlength=num_items)
    return model


class ScoreTable(nn.Module):
    """A model whose scores have been computed beforehand: float32 (users, items)."""

    def __init__(self, scores):
        super().__init__()
        self.scores = nn.Embedding.from_pretrained(scores.contiguous())

    def forward(self, user_id, item_id):
        """Look up scores, float32 (batch,), for ids as `MF.forward` takes them."""
        n = self.scores.embedding_dim
        known = (item_id >= 0) & (item_id < n)  # -1 is beyond any table
        place = torch.where(known, user_id * n + item_id, -1)  # (batch,)
        return nn.functional.embedding(place, self.scores.weight.view(-1, 1))[..., 0]


def item_knn(R, num_neighbors=30):
    """Score an item by its similarity to the items of the user (Sarwar et al. 2001).

    The similarity of two items is the cosine of their columns of R. Of each item only
    the nearest neighbors count, and all that are as near as the last of these.

    Args:
        R: the interactions, float32 (num_users, num_items), see `interaction_matrix`.
    Returns a model of all scores, on the device of R. Raises ValueError for another R
    and for no neighbors.
    """
    R = R.to_dense()  # if it is sparse
    check_interactions(R)
    both = R.T @ R  # (num_items, num_items), how many users have both: exact
    n = R.sum(dim=0)  # (num_items,)
    similarity = both / torch.outer(n, n).sqrt().clamp(min=1)
    similarity.fill_diagonal_(0)
    count = min(as_integer("num_neighbors", num_neighbors, 1), R.shape[1])
    last = similarity.topk(count, dim=0).values[-1]  # (num_items,)
    B = similarity.where(similarity >= last, 0)  # of equal neighbors, all or none
    return ScoreTable(R @ B)


def ease(R, penalty=500.0):
    """Predict R from itself by ridge regression, no item from itself (Steck 2019).

    Minimizes |R - R B|^2 + penalty |B|^2 over B, (num_items, num_items), with a zero
    diagonal: B_ij = -P_ij / P_jj, where P is the inverse of R^T R + penalty I. Takes
    num_items^3 operations. Arguments, result and errors as of `item_knn`.
    """
    R = R.to_dense()
    check_interactions(R)
    if not 0 < penalty < math.inf:
        raise ValueError(f"{penalty=} must be a finite number above 0")
    gram = (R.T @ R).double()  # (num_items, num_items)
    gram.diagonal().add_(penalty)
    B = torch.linalg.inv(gram)
    B /= -B.diagonal().clone()  # of each column
    return ScoreTable(R @ B.fill_diagonal_(0).float())
