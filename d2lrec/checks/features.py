"""The check of a factorization machine's gradient by hand."""

import numpy as np
import torch

from .verdict import (
    NotYetError,
    as_doubles,
    differs,
    hint_for,
    says_what_is_wrong,
    tried,
)

# x, w, V, mu and the rating. Some features are no 0 or 1, as the shares of genres.
CASES = [
    ([1, 0, 1, 0.5], [0.2, 0.9, -0.1, 0.4],
     [[0.5, -1.0], [2.0, 0.3], [0.7, 0.4], [-0.6, 0.8]], 3.5, 5.0),
    ([1, 2], [0.3, -0.2], [[1.5], [0.8]], 3.0, 1.0),
    ([0.5, 1, 1, 0, 0.25], [0.1, 0.2, 0.3, 0.4, 0.5],
     [[0.9, 0.1, -0.4], [0.3, -0.7, 1.1], [1.2, 0.6, 0.2], [3, 1, 2], [-1, 0.5, 2]],
     3.6, 4.0),
    ([0, 0, 3], [0.1, 0.2, -0.3], [[0.4], [0.6], [0.7]], 4.0, 2.5),
]  # fmt: skip


@says_what_is_wrong
def check_fm_gradient(fm_gradient):
    """Check `fm_gradient(x, w, V, mu, rating)`: the slopes of half a squared error."""
    found = [slopes_of(fm_gradient, case) for case in CASES]
    numbers = torch.cat([slope.flatten() for pair in found for slope in pair])

    def slopes(**changes):
        pairs = [right_slopes(case, **changes) for case in CASES]
        return torch.cat([slope.flatten() for pair in pairs for slope in pair])

    mistakes = [
        ("the sign is wrong: the loss falls where the error falls.", slopes(by=-1)),
        ("twice the slope: the loss is half the squared error.", slopes(by=2)),
        ("this is the slope of the prediction: the error is missing.", slopes(error=0)),
        (
            "a feature makes no pair with itself: take its own part off.",
            slopes(itself=0),
        ),
        ("a feature's own part has its value squared, x_j^2.", slopes(itself=1)),
        ("each pair has the product of two values: x_j is missing.", slopes(of_x=0)),
        ("all pairs are there twice: j < l counts each once.", slopes(twice=2)),
    ]
    if differs(numbers, slopes()):
        return hint_for(numbers, mistakes) or what_is_off(found)


def slopes_of(fm_gradient, case):
    """The slopes by w and by V that a reader's function gives, as doubles."""
    x, w, V, mu, rating = case
    given = [np.array(part, dtype=float) for part in (x, w, V)]
    on = f"for {described(case)}"
    found = tried(fm_gradient, *given, mu, rating, on=on)
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise NotYetError("return two things: the slopes by w and those by V.")
    found = [as_doubles(slope) for slope in found]
    shapes = [tuple(slope.shape) for slope in found]
    if shapes != [np.shape(w), np.shape(V)]:
        raise NotYetError("the slopes by w have w's shape, those by V have V's.")
    if any(differs(part, was) for part, was in zip(given, case[:3], strict=True)):
        raise NotYetError("x, w or V has been changed: leave them as they are.")
    return found


def right_slopes(case, by=1, error=1, itself=2, of_x=1, twice=1):
    """The slopes by w and V, right unless told otherwise; `itself` is x_j's power."""
    x, w, V, mu, rating = map(as_doubles, case)
    total = x @ V  # (k,)
    pairs = (total.square() - (x.square() @ V.square())).sum() / 2  # ()
    own = x[:, None] ** itself * V if itself else 0.0
    of_V = (x[:, None] if of_x else 1.0) * total - own  # (m, k)
    miss = mu + w @ x + pairs - rating if error else torch.ones(())
    return by * miss * x, by * miss * twice * of_V


def what_is_off(found):
    """Say which of the two slopes is wrong in the first case in which one is."""
    for slopes, case in zip(found, CASES, strict=True):
        wanted = right_slopes(case)
        off = [differs(*pair) for pair in zip(slopes, wanted, strict=True)]
        if off == [False, True]:
            return f"the slopes by w are right, those by V are not {described(case)}."
        if any(off):
            return f"for {described(case)}, autograd gives other slopes by w."


def described(case):
    x, _, V, mu, rating = case
    return f"x = {x}, {len(V[0])} factors, mu = {mu}, rating = {rating}"
