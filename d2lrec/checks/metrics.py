"""Checks of metrics and of an update, tried on small cases whose answer is known."""

import math

import torch

from .verdict import as_doubles, differs, refuses, says_what_is_wrong


@says_what_is_wrong
def check_rmse(rmse):
    """Check `rmse(batches)`, batches being a list of pairs (prediction, rating)."""
    one = [(torch.tensor([3.0, 5.0]), torch.tensor([4.0, 3.0]))]  # squared errors 1 and 4
    uneven = [*one, (torch.tensor([1.0]), torch.tensor([1.0]))]
    if differs(rmse(one), math.sqrt(2.5)):
        return "for one batch, take the root of the mean of the squared errors, in that order."
    if not differs(rmse(uneven), math.sqrt(2.5) / 2):
        return "this is the mean of the RMSEs of the batches; what if all were one batch?"
    if not differs(rmse(uneven), math.sqrt(2.5) * 2 / 3):
        return "the root comes last, after the mean over all ratings; here it came before."
    if differs(rmse(uneven), math.sqrt(5 / 3)):
        return "batches may differ in size: each rating counts once, whatever batch it is in."
    if not refuses(rmse, []):
        return "without any rating there is no error to report: raise a ValueError."


# The first score of each row is at place 3, 1, 4, 2, 2.
SCORES = torch.tensor([[5.0, 9, 8, 1], [5, 1, 2, 3], [5, 7, 8, 9], [5, 6, 1, 2], [5, 9, 1, 2]])
TIED = torch.tensor([[5.0, 5, 5, 5], [5, 9, 5, 1]])  # places 1 to 4, and 2 or 3


@says_what_is_wrong
def check_hit_rate(hit_rate):
    """Check `hit_rate(scores, k)`, the held-out item of each row of scores standing first."""
    if differs(hit_rate(SCORES, 2), 3 / 5):
        if not differs(hit_rate(SCORES, 2), 1 / 5) or not differs(hit_rate(SCORES, 2), 4 / 5):
            return "look at the cut-off: with k = 2, the places 1 and 2 are hits, and no other."
        return "it is the share of the rows whose first score is among the k highest."
    return check_ties_and_none(hit_rate, [(2 / 4 + 1 / 2) / 2, (3 / 4 + 1) / 2])


@says_what_is_wrong
def check_ndcg(ndcg):
    """Check `ndcg(scores, k)`, the held-out item of each row of scores standing first."""
    gains = [1 / math.log2(place + 1) for place in (1, 2, 3, 4)]
    up_to = [sum(gains[:place]) / 5 + gains[1] / 5 for place in (1, 2, 3, 4)]
    found, right = ndcg(SCORES, 3), up_to[2]
    if differs(found, right):
        if not differs(found, right / math.log(2)) or not differs(found, right / math.log10(2)):
            return "the right form, with another logarithm: the base is 2."
        if not differs(found, up_to[1]) or not differs(found, up_to[3]):
            return "look at the cut-off: with k = 3, the places 1, 2 and 3 count, and no other."
        return "an item at place 1 gains 1; at which place does it gain one half?"
    at_2 = (sum(gains[:2]) / 4 + gains[1] / 2) / 2
    at_3 = (sum(gains[:3]) / 4 + (gains[1] + gains[2]) / 2) / 2
    return check_ties_and_none(ndcg, [at_2, at_3])


def check_ties_and_none(metric, expected):
    """Give the first hint that applies to a ranking metric which is right without ties."""
    if differs(metric(TIED, 2), expected[0]) or differs(metric(TIED, 3), expected[1]):
        return (
            "right, as long as no scores are equal. For a row of equal scores the place is not "
            "known: what is the mean over all orders of the tied items?"
        )
    if not refuses(metric, torch.empty(0, 4), 2):
        return "without any user there is nothing to average: raise a ValueError."


@says_what_is_wrong
def check_sgd_step(sgd_step):
    """Check `sgd_step(P_u, Q_i, b_u, b_i, mu, rating, lr, weight_decay)` against autograd."""
    P_u, Q_i = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([1.5, 0.5, -0.5])
    b_u, b_i, mu, rating, lr, decay = torch.tensor(0.4), torch.tensor(-0.3), 3.5, 5.0, 0.1, 0.2

    def stepped(decay, decay_of_biases):
        leaves = [part.clone().requires_grad_() for part in (P_u, Q_i, b_u, b_i)]
        error = rating - (mu + leaves[2] + leaves[3] + leaves[0] @ leaves[1])
        squares = [leaf.square().sum() for leaf in leaves]
        penalty = decay * sum(squares[:2]) + decay_of_biases * sum(squares[2:])
        ((error**2 + penalty) / 2).backward()
        return torch.cat([(leaf - lr * leaf.grad).detach().flatten() for leaf in leaves])

    start = [P_u.numpy().copy(), Q_i.numpy().copy(), b_u.item(), b_i.item()]
    parts = sgd_step(*start, mu, rating, lr, decay)
    if not isinstance(parts, tuple | list) or len(parts) != 4:
        return "return four things: the new P_u, Q_i, b_u and b_i."
    if [as_doubles(part).numel() for part in parts] != [3, 3, 1, 1]:
        return "P_u and Q_i have k numbers, a bias has one: what is its derivative?"
    found = torch.cat([as_doubles(part).flatten() for part in parts])
    before = torch.cat([P_u, Q_i, b_u[None], b_i[None]]).double()
    right = stepped(decay, decay).double()
    if differs(start[0], P_u) or differs(start[1], Q_i):
        return "the old P_u or Q_i has been changed: return new arrays, and leave the old ones."
    if not differs(found, right):
        return None
    if not differs(found - before, 2 * (right - before)):
        return "twice the step: the loss is half the squared error."
    if not differs(found, stepped(0.0, 0.0)):
        return "the penalty is missing: the weight decay pulls each parameter towards 0."
    if not differs(found, stepped(decay, 0.0)):
        return "the penalty is on the biases too."
    if differs(found[:3], right[:3]) != differs(found[3:6], right[3:6]):
        return "one of P_u and Q_i is right; does the other use what it was before the step?"
    if differs(found[6:], right[6:]) and not differs(found[:6], right[:6]):
        return "the factors are right; what is the derivative of the prediction by a bias?"
    return "compare with the derivatives by hand; is the error rating minus prediction?"
