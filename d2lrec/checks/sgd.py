"""The check of an update by hand, compared with automatic differentiation."""

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

ARGUMENTS = ["P_u", "Q_i", "b_u", "b_i", "mu", "rating", "lr", "weight_decay"]
# The predictions are 2.85, 6.88, -4.67, 3.5 and 5.69: three are not from 1 to 5 stars.
CASES = [
    ([0.5, -1.0, 2.0], [1.5, 0.5, -0.5], 0.4, -0.3, 3.5, 5.0, 0.1, 0.2),
    ([1.5, 0.7], [1.2, 0.4], 0.7, 0.6, 3.5, 4.0, 0.03, 0.05),
    ([2.0, -2.0, 0.5, 0.3], [-2.0, 1.8, 0.6, 0.1], -0.8, -0.4, 3.8, 1.0, 0.2, 0.01),
    ([0.9], [0.0], 0.1, -0.1, 3.5, 3.5, 0.5, 0.3),
    ([1.1], [1.4], 0.3, 0.35, 3.5, 1.0, 0.02, 0.0),
]


@says_what_is_wrong
def check_sgd_step(sgd_step):
    """Check `sgd_step` against autograd; its arguments are those of `ARGUMENTS`."""
    found = [parts_after(sgd_step, case) for case in CASES]
    numbers = torch.cat([torch.cat(parts) for parts in found])

    def after(**changes):
        return torch.cat([stepped(case, **changes) for case in CASES])

    other = "one of P_u and Q_i is right; the other needs what it was before the step."
    mistakes = [
        ("twice the step: the loss is half the squared error.", after(twice=2)),
        ("the error's sign is wrong: it is rating minus prediction.", after(sign=-1)),
        (
            "the penalty is missing: decay each parameter.",
            after(penalty=0, of_biases=0),
        ),
        ("the penalty is on the biases too.", after(of_biases=0)),
        ("do not cut the prediction off at 1 and 5 stars.", after(clipped=True)),
        (other, after(new_P=True)),
        (other, after(new_Q=True)),
    ]
    if differs(numbers, after()):
        return hint_for(numbers, mistakes) or what_is_off(found)


def parts_after(sgd_step, case):
    """The new P_u, Q_i, b_u and b_i of a reader's step, four vectors."""
    start = [np.array(case[0]), np.array(case[1]), *case[2:]]
    parts = tried(sgd_step, *start, on=f"for {described(case)}")
    if not isinstance(parts, tuple | list) or len(parts) != 4:
        raise NotYetError("return four things: the new P_u, Q_i, b_u and b_i.")
    parts = [as_doubles(part).flatten() for part in parts]
    k = len(case[0])
    if [len(part) for part in parts] != [k, k, 1, 1]:
        raise NotYetError("P_u and Q_i have k numbers, a bias has one.")
    if differs(start[0], case[0]) or differs(start[1], case[1]):
        raise NotYetError(
            "P_u or Q_i has been changed: leave the old ones as they are."
        )
    return parts


def stepped(case, twice=1, sign=1, penalty=1, of_biases=1, clipped=0, new_P=0, new_Q=0):
    """The parameters after the step, (2k + 2,), right unless told otherwise."""
    *start, mu, rating, lr, decay = case
    P_u, Q_i, b_u, b_i = [as_doubles(part).requires_grad_() for part in start]
    prediction = mu + b_u + b_i + P_u @ Q_i  # ()
    beyond = (prediction - prediction.clamp(1, 5)).detach() * clipped
    error = rating - prediction + beyond  # ()
    squares = penalty * (P_u @ P_u + Q_i @ Q_i) + of_biases * (b_u**2 + b_i**2)
    ((sign * error**2 + decay * squares) / 2).backward()
    parts = (P_u, Q_i, b_u, b_i)
    steps = [-twice * lr * part.grad for part in parts]
    P, Q, b_u, b_i = [(part + s).detach() for part, s in zip(parts, steps, strict=True)]
    rate = lr * error.detach()
    P, Q = P + rate * steps[1] * new_Q, Q + rate * steps[0] * new_P
    return torch.cat([P, Q, b_u[None], b_i[None]])


def what_is_off(found):
    """Name the parts that are wrong in the first case in which one is."""
    for parts, case in zip(found, CASES, strict=True):
        right = stepped(case).split([len(part) for part in parts])
        pairs = zip(ARGUMENTS[:4], parts, right, strict=True)
        off = [name for name, part, wanted in pairs if differs(part, wanted)]
        if off and set(off) <= {"b_u", "b_i"}:
            return "the factors are right; derive the prediction by a bias."
        if off:
            return f"for {described(case)}, autograd gives another {', '.join(off)}."


def described(case):
    pairs = zip(ARGUMENTS, case, strict=True)
    return ", ".join(f"{name} = {part}" for name, part in pairs)
