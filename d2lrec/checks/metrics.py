"""The check of the RMSE, tried on small cases whose answer is known."""

import math

import torch

from ..data.batches import try_gpu
from .verdict import differs, refuses, says_what_is_wrong, tried_number

OTHERS = {
    "one rating": [[-1.5]],
    "predictions that are exact": [[0, 0]],
    "five batches, of one to five ratings": [[n / 4, *range(n)] for n in range(5)],
    "a batch without ratings between two others": [[1, -2], [], [4, 1, 2]],
}


@says_what_is_wrong
def check_rmse(rmse):
    """Check `rmse(batches)`, batches being a list of pairs (prediction, rating)."""
    found = tried_number(
        rmse, batches_with([[1, -2]]), on="for one batch of two ratings"
    )
    if differs(found, math.sqrt(2.5)):
        return "for one batch, take the root of the mean of the squared errors, in that order."
    uneven = [[1, -2], [0]]
    found = tried_number(
        rmse, batches_with(uneven), on="for batches of two ratings and of one"
    )
    if not differs(found, math.sqrt(2.5) / 2):
        return (
            "this is the mean of the RMSEs of the batches; what if all were one batch?"
        )
    if not differs(found, math.sqrt(2.5) * 2 / 3):
        return (
            "the root comes last, after the mean over all ratings; here it came before."
        )
    if differs(found, pooled(uneven)):
        return "batches may differ in size: each rating counts once, whatever batch it is in."
    for case, errors in OTHERS.items():
        found = tried_number(rmse, batches_with(errors), on=f"for {case}")
        if differs(found, pooled(errors)):
            return f"for {case} it gives {found:.4g}, not {pooled(errors):.4g}."
    for batches in ([], batches_with([[]])):
        if not refuses(rmse, batches):
            what = "a batch without any rating" if batches else "no batches"
            return f"for {what} there is no error to report: raise a ValueError."


def batches_with(errors):
    """Batches in which the predictions differ from the ratings by `errors`, a list for each."""
    device, batches = try_gpu(), []
    for of_batch in errors:
        rating = 4.5 - torch.arange(len(of_batch), device=device)  # (batch,)
        batches.append((rating + torch.tensor(of_batch, device=device), rating))
    return batches


def pooled(errors):
    every = [error for of_batch in errors for error in of_batch]
    return math.sqrt(sum(error**2 for error in every) / len(every))
