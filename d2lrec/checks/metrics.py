"""The check of the RMSE, tried on small cases whose answer is known."""

import math

import torch

from ..data.batches import try_gpu
from .verdict import differs, hint_for, refuses, says_what_is_wrong, tried_number

UNEVEN = [[1, -2], [0]]  # the errors of two batches
OTHERS = {
    "one rating": [[-1.5]],
    "predictions that are exact": [[0, 0]],
    "five batches, of one to five ratings": [[n / 4, *range(n)] for n in range(5)],
    "a batch without ratings between two others": [[1, -2], [], [4, 1, 2]],
}


@says_what_is_wrong
def check_rmse(rmse):
    """Check `rmse(batches)`, batches being a list of pairs (prediction, rating)."""
    one = tried_number(rmse, batches_with([[1, -2]]), on="for a batch of two ratings")
    if differs(one, math.sqrt(2.5)):
        return "for one batch, it is the root of the mean of the squared errors."
    on = "for batches of two ratings and of one"
    uneven = tried_number(rmse, batches_with(UNEVEN), on=on)
    if differs(uneven, pooled(UNEVEN)):
        mistakes = [
            ("this is the mean of the RMSEs of the batches.", math.sqrt(2.5) / 2),
            ("the root comes last, after the mean over all.", math.sqrt(2.5) * 2 / 3),
        ]
        return hint_for(uneven, mistakes) or "each rating counts once, in any batch."
    for case, errors in OTHERS.items():
        found = tried_number(rmse, batches_with(errors), on=f"for {case}")
        if differs(found, pooled(errors)):
            return f"for {case} it gives {found:.4g}, not {pooled(errors):.4g}."
    for what, batches in {
        "no batches": [],
        "an empty batch": batches_with([[]]),
    }.items():
        if not refuses(rmse, batches):
            return f"for {what} there is no error to report: raise a ValueError."


def batches_with(errors):
    """Batches in which predictions differ from ratings by `errors`, a list for each."""
    device, batches = try_gpu(), []
    for of_batch in errors:
        rating = 4.5 - torch.arange(len(of_batch), device=device)  # (batch,)
        batches.append((rating + torch.tensor(of_batch, device=device), rating))
    return batches


def pooled(errors):
    errors = [error for of_batch in errors for error in of_batch]
    return math.sqrt(sum(error**2 for error in errors) / len(errors))
