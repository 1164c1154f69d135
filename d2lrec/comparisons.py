"""Are two models different, or is it chance? A test over users."""

import math

from .arguments import as_numbers


def paired_test(first, second):
    """Compare two models user by user (or rating by rating).

    Args:
        first, second: a figure of each model for the same users in the same order,
            such as `evaluate_ranking` gives with `per_user`: numbers (num_users,).
    Returns a dict: `difference`, the mean of first - second over users; `error`, its
    standard error; `z`, their ratio; and `p`, how often a difference at least as large
    would come about by chance among users if the models were equal. p takes z for a
    draw from N(0, 1), which is good from some fifty users on.
    Raises ValueError for other shapes, fewer than two users, or a figure that is NaN.
    """
    first, second = as_numbers("first", first), as_numbers("second", second)
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(f"need the same users: {len(first)} and {len(second)} figures")
    differences = first.cpu().double() - second.cpu().double()  # (num_users,)
    difference = differences.mean().item()
    error = (differences.std() / len(differences) ** 0.5).item()
    if not math.isfinite(error):
        raise ValueError("a figure is NaN or infinite, so nothing can be compared")
    if error:
        z = difference / error
    else:  # all differences are alike, and may be 0
        z = math.copysign(math.inf, difference) if difference else 0.0
    p = math.erfc(abs(z) / 2**0.5)
    return {"difference": difference, "error": error, "z": z, "p": p}
