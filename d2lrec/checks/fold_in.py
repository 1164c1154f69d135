"""The check of a ridge regression that folds a new user into a model."""

import torch

from ..data.batches import try_gpu
from .small_models import small_model, tried_on
from .verdict import as_doubles, differs, hint_for, kind_of, says_what_is_wrong

# Number of ratings, and weight. The first is the plain case; with none, all is 0.
CASES = [(3, 0.5), (1, 2), (0, 1), (40, 5.0)]


@says_what_is_wrong
def check_fold_in(fold_in):
    """Check `fold_in(model, items, ratings, weight)`: a user's P_u (k,), b_u ()."""
    for num_ratings, weight in CASES:
        model = small_model(num_factors=2, num_items=50)
        items = torch.arange(num_ratings, device=try_gpu()) * 5 % 48 + 1  # (n,)
        ratings = 1.0 + items * 3 % 5  # (n,)
        on = f"for {num_ratings} rating{'s' * (num_ratings != 1)} and weight {weight}"
        found = tried_on(fold_in, model, items, ratings, weight, on=on)
        parts = found if isinstance(found, tuple | list) else [found]
        if [as_doubles(part).shape for part in parts] != [(2,), ()]:
            kinds = " and ".join(map(kind_of, parts)) or kind_of(found)
            return f"{on} it returns {kinds}: return two tensors, P_u (k,) and b_u ()."
        if hint := wrong_in_solution(parts, model, items, ratings, weight):
            return f"{on}: {hint}"


def wrong_in_solution(found, model, items, ratings, weight):
    """Give the first hint that applies to what should be P_u (k,) and b_u ()."""
    found = torch.cat([as_doubles(part).flatten() for part in found])  # (k + 1,)
    Q, b_i = model.Q.weight[items], model.item_bias.weight[items]  # (n, k), (n, 1)
    X = as_doubles(torch.cat([Q, torch.ones_like(b_i)], dim=1))  # (n, k + 1)
    R, mu, b_i = map(as_doubles, (ratings, model.global_mean, b_i[:, 0]))

    def solution(target, weight=weight, of_b_u=1.0):
        penalty = weight * torch.tensor([1.0, 1.0, of_b_u]).diag()  # (k + 1, k + 1)
        A, b = X.T @ X + penalty, X.T @ target  # (k + 1, k + 1), (k + 1,)
        return torch.linalg.lstsq(A, b[:, None]).solution[:, 0]

    y = R - mu - b_i  # (n,)
    mistakes = [
        ("the film's bias explains a part: take it off first.", solution(R - mu)),
        ("the global mean explains a part: take it off first.", solution(R - b_i)),
        ("the mean and the films' biases explain a part: take it off.", solution(R)),
        ("the penalty is on b_u too.", solution(y, of_b_u=0.0)),
        (
            "the penalty counts once, not once for each rating.",
            solution(y, weight * len(R)),
        ),
        ("the penalty is missing.", solution(y, 0.0)),
    ]
    if differs(found, solution(y)):
        minimized = "sum of squared errors plus weight times (|P_u|^2 + b_u^2)"
        return hint_for(found, mistakes) or f"the {minimized} can be made smaller."
