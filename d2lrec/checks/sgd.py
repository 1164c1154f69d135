"""The check of an update by hand, compared with automatic differentiation."""

import numpy as np
import torch

from .verdict import NotYetError, as_doubles, differs, says_what_is_wrong, tried

ARGUMENTS = ["P_u", "Q_i", "b_u", "b_i", "mu", "rating", "lr", "weight_decay"]
# The predictions are 2.85, 6.88, -4.67, 3.5 and 5.69: some beyond the stars that can be
# given.
CASES = [
    ([0.5, -1.0, 2.0], [1.5, 0.5, -0.5], 0.4, -0.3, 3.5, 5.0, 0.1, 0.2),
    ([1.5, 0.7], [1.2, 0.4], 0.7, 0.6, 3.5, 4.0, 0.03, 0.05),
    ([2.0, -2.0, 0.5, 0.3], [-2.0, 1.8, 0.6, 0.1], -0.8, -0.4, 3.8, 1.0, 0.2, 0.01),
    ([0.9], [0.0], 0.1, -0.1, 3.5, 3.5, 0.5, 0.3),
    ([1.1], [1.4], 0.3, 0.35, 3.5, 1.0, 0.02, 0.0),
]


@says_what_is_wrong
def check_sgd_step(sgd_step):
    """Check `sgd_step(P_u, Q_i, b_u, b_i, mu, rating, lr, weight_decay)` against autograd."""
    found = [parts_after(sgd_step, case) for case in CASES]

    def is_the_step(**changes):
        pairs = zip(found, CASES, strict=True)
        return not any(
            differs(torch.cat(parts), stepped(case, **changes)) for parts, case in pairs
        )

    if is_the_step():
        return None
    if is_the_step(twice=2):
        return "twice the step: the loss is half the squared error."
    if is_the_step(sign=-1):
        return "the error has the wrong sign: it is rating minus prediction."
    if is_the_step(penalty=0, of_biases=0):
        return (
            "the penalty is missing: the weight decay pulls each parameter towards 0."
        )
    if is_the_step(of_biases=0):
        return "the penalty is on the biases too."
    if is_the_step(clipped=True):
        return "the prediction is not cut off at 1 and 5 stars: the loss takes it as it is."
    if is_the_step(new_P=True) or is_the_step(new_Q=True):
        return (
            "one of P_u and Q_i is right; the other needs what it was before the step."
        )
    return what_is_off(found)


def parts_after(sgd_step, case):
    """The new P_u, Q_i, b_u and b_i of a reader's step, four vectors."""
    start = [np.array(case[0]), np.array(case[1]), *case[2:]]
    parts = tried(sgd_step, *start, on=f"for {input_of(case)}")
    if not isinstance(parts, tuple | list) or len(parts) != 4:
        raise NotYetError("return four things: the new P_u, Q_i, b_u and b_i.")
    parts = [as_doubles(part).flatten() for part in parts]
    k = len(case[0])
    if [len(part) for part in parts] != [k, k, 1, 1]:
        raise NotYetError(
            "P_u and Q_i have k numbers, a bias has one: what is its derivative?"
        )
    if differs(start[0], case[0]) or differs(start[1], case[1]):
        raise NotYetError(
            "the old P_u or Q_i has been changed: return new arrays, and leave the old ones."
        )
    return parts


def stepped(
    case,
    twice=1,
    sign=1,
    penalty=1,
    of_biases=1,
    clipped=False,
    new_P=False,
    new_Q=False,
):
    """The parameters after the step, (2k + 2,), right unless told otherwise."""
    *start, mu, rating, lr, decay = case
    P_u, Q_i, b_u, b_i = [as_doubles(part).requires_grad_() for part in start]
    prediction = mu + b_u + b_i + P_u @ Q_i
    beyond = (prediction - prediction.clamp(1, 5)).detach() * clipped
    error = rating - prediction + beyond
    squares = penalty * (P_u @ P_u + Q_i @ Q_i) + of_biases * (b_u**2 + b_i**2)
    ((sign * error**2 + decay * squares) / 2).backward()
    P, Q, *biases = [
        (part - twice * lr * part.grad).detach() for part in (P_u, Q_i, b_u, b_i)
    ]
    rate, moved_by_P, moved_by_Q = (
        lr * error.detach(),
        P - P_u.detach(),
        Q - Q_i.detach(),
    )
    P, Q = P + rate * moved_by_Q * new_Q, Q + rate * moved_by_P * new_P
    return torch.cat([P, Q, *(b[None] for b in biases)])


def what_is_off(found):
    """Name the parts that are wrong in the first case in which one is."""
    for parts, case in zip(found, CASES, strict=True):
        k = len(case[0])
        pairs = zip(ARGUMENTS, parts, stepped(case).split([k, k, 1, 1]), strict=False)
        off = [name for name, part, right in pairs if differs(part, right)]
        if off and set(off) <= {"b_u", "b_i"}:
            return "the factors are right; what is the derivative of the prediction by a bias?"
        if off:
            return f"for {input_of(case)}, autograd gives another {', '.join(off)}."


def input_of(case):
    return ", ".join(
        f"{name} = {part}" for name, part in zip(ARGUMENTS, case, strict=True)
    )
