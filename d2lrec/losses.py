"""Losses on the scores of positives and negatives, each a mean: pairs, and lists."""

import torch
from torch import nn


class BPRLoss(nn.Module):
    """Mean of -log sigmoid(positive - negative) over the pairs (Rendle et al. 2009).

    D2L's class of this name (section 21.5) sums over the batch; a mean does not change
    with its size. `forward(positive, negative)` takes and raises as `differences`, and
    returns a scalar tensor.
    """

    def forward(self, positive, negative):
        return nn.functional.softplus(-differences(positive, negative)).mean()


class HingeLossbRec(nn.Module):
    """Mean of max(0, margin - (positive - negative)) over the pairs.

    D2L's class of this name (section 21.5) sums. `forward(positive, negative, margin)`
    takes and raises as `differences`, and returns a scalar tensor.
    """

    def forward(self, positive, negative, margin=1.0):
        return (margin - differences(positive, negative)).relu().mean()


class SampledSoftmaxLoss(nn.Module):
    """Mean of -log softmax of the positive beside its negatives, by rows.

    With `log_q`, the logarithm of how often each negative is expected among the n, a
    negative's score is lowered by it (logQ correction; Bengio and Senecal 2008): the
    sum of the exponentials then estimates that over all items. With one negative and no
    correction it is the BPR loss. `forward(positive, negative, log_q)` takes and raises
    as `differences`, and returns a scalar tensor.
    """

    def forward(self, positive, negative, log_q=0.0):
        table = differences(positive, negative, log_q)  # (batch, n)
        return nn.functional.pad(-table, (1, 0)).logsumexp(dim=1).mean()


def differences(positive, negative, log_q=0.0):
    """Return positive - (negative - log_q) for all pairs, (batch, n).

    Takes scores of positives, float32 (batch, 1) or (batch,), and of their negatives,
    (batch, n) or (batch,), and a number or a tensor of negative's shape, or (n,) for
    negatives that all rows share. ValueError for other shapes, and for no scores.
    """
    one, many, q = (torch.as_tensor(x).shape for x in (positive, negative, log_q))
    pairs = one in (many[:1], (*many[:1], 1)) and 1 <= len(many) <= 2 and 0 not in many
    if not pairs or q not in (many, many[1:], ()):
        shapes = f"{[*one]}, {[*many]}, log_q {[*q]}"
        raise ValueError(f"scores are not (batch, 1) and (batch, n): {shapes}")
    return positive.reshape(-1, 1) - (negative - log_q).reshape(len(negative), -1)
