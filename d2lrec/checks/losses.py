"""The check of ranking losses by hand: hinge, BPR and softmax of one positive."""

import torch
from torch.nn.functional import softplus

from .verdict import (
    NotYetError,
    as_doubles,
    differs,
    hint_for,
    kind_of,
    says_what_is_wrong,
    tried,
)

# The score of a positive, and those of its negatives. The last ones are huge.
CASES = [
    (0.6, [1.7, 0.9, 0.2, -0.3, -1.2]),
    (2.0, [-1.0]),
    (-1.5, [0.0, 3.0]),
    (0.0, [0.0, 0.5, -2.5, 4.0]),
    (-1000.0, [1000.0, 0.0, 990.0]),
    (1000.0, [-1000.0, 0.0]),
]
NAMES = "hinge", "BPR", "softmax"


@says_what_is_wrong
def check_ranking_losses(losses_of):
    """Check `losses_of(positive, negatives)`: the hinge, BPR and softmax loss."""
    tables = [of_case(losses_of, case) for case in CASES]  # (3,) each
    found = torch.stack(tables)

    def right(**changes):
        return torch.stack([right_losses(case, **changes) for case in CASES])

    mistakes = [
        ("hinge and BPR are means over the negatives, not sums.", right(summed=True)),
        ("d is the positive less the negative, not the reverse.", right(by=-1)),
        ("the hinge asks for a margin of 1: max(0, 1 - d).", right(margin=0.0)),
        ("the positive is in the softmax's sum, too.", right(itself=False)),
        ("the softmax is no mean: its sum is over all negatives.", right(mean=True)),
        ("a loss falls as the positive rises: the sign is wrong.", -right()),
        ("return them in this order: hinge, BPR, softmax.", right()[:, [1, 0, 2]]),
    ]
    if differs(found, right()):
        return hint_for(found, mistakes) or what_is_off(tables)


def of_case(losses_of, case):
    """What a reader's function gives for a case, (3,)."""
    positive, negatives = case
    found = tried(losses_of, positive, list(negatives), on=f"for {described(case)}")
    numbers = as_doubles(found)
    if numbers.shape != (3,):
        raise NotYetError(f"return three numbers, not {kind_of(found)}.")
    return numbers


def right_losses(case, by=1, margin=1.0, summed=False, itself=True, mean=False):
    """The three losses of a case, (3,), right unless told otherwise."""
    positive, negatives = map(as_doubles, case)
    d = by * (positive - negatives)  # (n,)
    hinge, bpr = (margin - d).relu(), softplus(-d)  # (n,) each
    terms = torch.cat([torch.zeros(int(itself)), -d])
    softmax = bpr.mean() if mean else terms.logsumexp(0)
    of_pairs = [x.sum() if summed else x.mean() for x in (hinge, bpr)]
    return torch.stack([*of_pairs, softmax])


def what_is_off(tables):
    """Say which loss is wrong in the first case in which one is."""
    for found, case in zip(tables, CASES, strict=True):
        wanted = right_losses(case)
        for name, one, other in zip(NAMES, found, wanted, strict=True):
            if differs(one, other):
                return f"for {described(case)}, {name} is {other:.4g}, not {one:.4g}."


def described(case):
    return f"the positive {case[0]} and the negatives {case[1]}"
