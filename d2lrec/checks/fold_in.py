"""The check of a ridge regression that folds a new user into a model."""

import torch

from .models import small_model, tried_on
from .verdict import as_doubles, differs, kind_of, says_what_is_wrong

# How many ratings, and the weight. The first is the plain case; with none, all is 0.
CASES = [(3, 0.5), (1, 2), (0, 1), (40, 5.0)]


@says_what_is_wrong
def check_fold_in(fold_in):
    """Check `fold_in(model, items, ratings, weight)`: the new user's P_u (k,) and b_u ()."""
    for num_ratings, weight in CASES:
        model = small_model(num_factors=2, num_items=50)
        items = (
            torch.arange(num_ratings, device=model.P.weight.device) * 5 % 48 + 1
        )  # (n,)
        ratings = 1.0 + items * 3 % 5  # (n,)
        on = f"for {num_ratings} rating{'s' * (num_ratings != 1)} and weight {weight}"
        found = tried_on(fold_in, model, items, ratings, weight, on=on)
        parts = (
            [as_doubles(part) for part in found]
            if isinstance(found, tuple | list)
            else []
        )
        if [tuple(part.shape) for part in parts] != [(2,), ()]:
            kinds = " and ".join(map(kind_of, found)) if parts else kind_of(found)
            return f"{on} it returns {kinds}: return two tensors, P_u (k,) and b_u ()."
        found = torch.cat([parts[0], parts[1][None]])  # (k + 1,)
        if hint := wrong_in_solution(found, model, items, ratings, weight):
            return f"{on}: {hint}"


def wrong_in_solution(found, model, items, ratings, weight):
    """Give the first hint that applies to what should be P_u and b_u, (k + 1,)."""
    Q, b_i = model.Q.weight[items], model.item_bias.weight[items]  # (n, k), (n, 1)
    X = as_doubles(torch.cat([Q, torch.ones_like(b_i)], dim=1))  # (n, k + 1)
    b_i, R, mu = (
        as_doubles(b_i)[:, 0],
        as_doubles(ratings),
        as_doubles(model.global_mean),
    )

    def solution(y, w=weight, of_b_u=1.0):
        weights = w * torch.tensor([1.0, 1.0, of_b_u])  # (k + 1,)
        return torch.linalg.lstsq(
            X.T @ X + weights.diag(), (X.T @ y)[:, None]
        ).solution[:, 0]

    if not differs(found, solution(R - mu - b_i)):
        return None
    if not differs(found, solution(R - mu)):
        return "the film's bias explains a part of the rating: take it off first."
    if not differs(found, solution(R - b_i)):
        return "the global mean explains a part of the rating: take it off first."
    if not differs(found, solution(R)):
        return "the mean and the films' biases explain a part of the ratings: take them off first."
    if not differs(found, solution(R - mu - b_i, of_b_u=0.0)):
        return "the penalty is on b_u too."
    if not differs(found, solution(R - mu - b_i, w=weight * len(items))):
        return "the penalty counts once, not once for each rating."
    if not differs(found, solution(R - mu - b_i, w=0.0)):
        return "the penalty is missing."
    return "the sum of squared errors plus weight times (|P_u|^2 + b_u^2) can be made smaller."
