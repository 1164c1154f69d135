"""The check of how high an item stands among the scores of a user."""

import torch

from ..data.batches import try_gpu
from .verdict import (
    NotYetError,
    as_doubles,
    differs,
    hint_for,
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
    """Check `ranks_of(scores)`, the held-out item of each row of scores being first."""
    found = torch.cat([counted(ranks_of, rows) for rows in SCORES], dim=1)  # (2, n)
    all_rows = [row for rows in SCORES for row in rows]
    higher, equal, lower = torch.tensor([counts_in(row) for row in all_rows]).T  # (n,)
    right = torch.stack([higher, equal])  # (2, n)
    if not differs(found, right):
        return None
    both = [
        ("the numbers are in the other order: better comes first.", right.flip(0)),
        (
            "the held-out item is not tied with itself.",
            torch.stack([higher, equal + 1]),
        ),
    ]
    of_better = [
        ("better is one too many: at place 1 no item is above it.", higher + 1),
        ("better counts higher scores, not those with the same.", higher + equal),
        ("better counts higher scores, not those with the same.", higher + equal + 1),
        ("better counts higher scores; these have a lower score.", lower),
    ]
    if hint := hint_for(found, both) or hint_for(found[0], of_better):
        return hint
    for row, (b, t), (b_found, t_found) in zip(all_rows, right.T, found.T, strict=True):
        if differs([b_found, t_found], [b, t]):
            counts = f"better = {b} and tied = {t}, not {b_found:g} and {t_found:g}"
            return f"a user with the scores {row} has {counts}."


def counts_in(row):
    """How many of the others are higher than the first, as high, and lower."""
    higher = sum(score > row[0] for score in row)
    lower = sum(score < row[0] for score in row)
    return higher, len(row) - 1 - higher - lower, lower


def counted(ranks_of, rows):
    """Better and tied as a reader's function gives them, (2, num_users)."""
    on = f"for the scores {rows}" if len(rows) < 5 else f"for {len(rows)} users"
    found = tried(ranks_of, torch.tensor(rows, device=try_gpu()).float(), on=on)
    if not hasattr(found, "better") or not hasattr(found, "tied"):
        raise NotYetError(f"return Ranks(better, tied); this is {kind_of(found)}.")
    better, tied = as_doubles(found.better), as_doubles(found.tied)
    if not better.shape == tied.shape == (len(rows),):
        shapes = f"better is {kind_of(found.better)}, tied {kind_of(found.tied)}"
        raise NotYetError(f"{on} {shapes}: both need one number for each user.")
    return torch.stack([better, tied])
