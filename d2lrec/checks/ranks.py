"""The check of how high an item stands among the scores of a user."""

import torch

from ..data.batches import try_gpu
from .verdict import (
    NotYetError,
    as_doubles,
    differs,
    kind_of,
    says_what_is_wrong,
    tried,
)

SCORES = [
    [[5, 9, 1, 8, 7]],
    [[-4, -1, -2, -3, -9], [-1, -4, -2, -3, -9], [7, 5, 6, 8, 0.5]],
    [[5, 5, 7, 5, 1], [5, 5, 5, 5, 5], [3, 4, 1, 3, 2], [0, 0, -1, 1, 2]],
    [[3]],
    [[row * place % 7 for place in range(1, 31)] for row in range(1, 201)],
]


@says_what_is_wrong
def check_ranks(ranks_of):
    """Check `ranks_of(scores)`, the held-out item of each row of scores standing first."""
    better, tied = torch.cat([counted(ranks_of, rows) for rows in SCORES], dim=1)
    right = [counts_in(row) for rows in SCORES for row in rows]
    higher, equal, lower = torch.tensor(right).T
    if not differs(better, higher) and not differs(tied, equal):
        return None
    if not differs(better, equal) and not differs(tied, higher):
        return "these are the right numbers in the other order: better comes first."
    if not differs(better, higher) and not differs(tied, equal + 1):
        return "the held-out item is not tied with itself: tied counts the others."
    if not differs(better, higher + 1):
        return "better is one too many: it counts the items above the held-out one, none at place 1."
    if not differs(better, higher + equal) or not differs(better, higher + equal + 1):
        return "better counts the items with a higher score, not those with the same."
    if not differs(better, lower):
        return "these are the items with a lower score: better counts those with a higher one."
    rows = [row for rows in SCORES for row in rows]
    for row, (b, t, _), *found in zip(
        rows, right, better.tolist(), tied.tolist(), strict=True
    ):
        if found != [b, t]:
            counts = f"{found[0]:g} and {found[1]:g}"
            return f"a user with the scores {row} has better = {b} and tied = {t}, not {counts}."


def counts_in(row):
    """How many of the others are higher than the first, as high, and lower."""
    higher, lower = (
        sum(score > row[0] for score in row),
        sum(score < row[0] for score in row),
    )
    return higher, len(row) - 1 - higher - lower, lower


def counted(ranks_of, rows):
    """Better and tied as a reader's function gives them, (2, num_users)."""
    on = (
        f"for the scores {rows}"
        if len(rows) < 5
        else f"for scores of {len(rows)} users"
    )
    found = tried(ranks_of, torch.tensor(rows, device=try_gpu()).float(), on=on)
    if not hasattr(found, "better") or not hasattr(found, "tied"):
        raise NotYetError(f"return Ranks(better, tied); this is {kind_of(found)}.")
    better, tied = as_doubles(found.better), as_doubles(found.tied)
    if not better.shape == tied.shape == (len(rows),):
        shapes = f"better is {kind_of(found.better)}, tied {kind_of(found.tied)}"
        raise NotYetError(
            f"{on} {shapes}: both need one number for each user, (num_users,)."
        )
    return torch.stack([better, tied])
