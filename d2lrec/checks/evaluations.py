"""The check of a repaired evaluation: hit rate and AUC of each user's held-out film."""

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

SIZES = [(3, 8), (8, 5), (6, 6), (1, 4), (4, 30)]  # users and films
FEW_USERS = "a film counts whatever its id: the films are the columns of the scores."


@says_what_is_wrong
def check_evaluation(evaluate):
    """Check `evaluate(scores, seen, held_out, k)`: hits and AUC, (num_users,) each."""
    cases = [random_case(seed) for seed in range(10)]
    found = torch.cat([results_by(evaluate, case) for case in cases], dim=1)

    def all_of(**changes):
        return torch.cat([results_of(case, **changes) for case in cases], dim=1)

    if not differs(found, all_of()):
        return None
    cut_off = "with k = 2, the places 1 and 2 are hits, no other."
    mistakes = [
        (FEW_USERS, all_of(few=True, ties="by id")),
        (FEW_USERS, all_of(few=True)),
        ("equal scores stand in the order of their ids.", all_of(ties="by id")),
        ("all that is equal stands behind the film.", all_of(ties="behind")),
        ("all that is equal stands before the film.", all_of(ties="before")),
        ("films that the user has seen are ranked too.", all_of(with_seen=True)),
        (cut_off, all_of(beyond=1)),
        (cut_off, all_of(beyond=-1)),
    ]
    for row, (name, other) in enumerate((("hits", "AUC"), ("AUC", "hits"))):
        if not differs(found[1 - row], all_of()[1 - row]):
            hint = hint_for(found[row], [(hint, both[row]) for hint, both in mistakes])
            return f"{other} right; {name}: {hint or 'not yet.'}"
    return hint_for(found, mistakes) or first_off(found, all_of())


def first_off(found, right):
    wrong = ~torch.isclose(found, right, atol=1e-5).all(dim=0)
    (hits, auc), (right_hits, right_auc) = found[:, wrong][:, 0], right[:, wrong][:, 0]
    was = f"a user has {hits:.3g} hits and an AUC of {auc:.3g}"
    return f"{was}, not {right_hits:.3g} and {right_auc:.3g}."


def random_case(seed):
    """Scores with ties, what was seen, the held-out films, and k."""
    generator = torch.Generator().manual_seed(seed)
    num_users, num_items = SIZES[seed % len(SIZES)]
    scores = torch.randint(4, (num_users, num_items), generator=generator).float()
    drawn = torch.rand(num_users, num_items, generator=generator)
    held_out = drawn.argmax(dim=1)  # (num_users,)
    seen = (drawn < 0.3) & (drawn > drawn.min(dim=1, keepdim=True).values)
    return scores, seen, held_out, 2


def results_by(evaluate, case):
    """What a reader's function gives for a case, (2, num_users)."""
    *tensors, k = case
    given = [tensor.to(try_gpu()) for tensor in tensors]
    shape = tuple(case[0].shape)
    found = tried(evaluate, *given, k, on=f"for {shape[0]} users, {shape[1]} films")
    try:
        parts = [as_doubles(part) for part in found]
    except Exception:  # it is nothing with parts
        parts = []
    if [part.shape for part in parts] != [shape[:1]] * 2:
        told = kind_of(found)
        raise NotYetError(f"it returns {told}: return hits and AUC, {shape[:1]} each.")
    return torch.stack(parts)


def results_of(case, few=False, ties="at random", with_seen=False, beyond=0):
    """Hits and AUC, (2, num_users), right unless told otherwise."""
    scores, seen, held_out, k = case
    k, rows = k + beyond, []
    for user, film in enumerate(held_out.tolist()):
        count = min(scores.shape) if few else scores.shape[1]
        rivals = [i for i in range(count) if with_seen or not seen[user, i]]
        own, rivals = scores[user, film], [i for i in rivals if i != film]
        better = sum(bool(scores[user, i] > own) for i in rivals)
        equal = [i for i in rivals if scores[user, i] == own]
        earlier = sum(i < film for i in equal)
        fixed = {"by id": earlier, "behind": 0, "before": len(equal)}.get(ties)
        places = range(len(equal) + 1) if fixed is None else [fixed]
        hits = sum(better + place < k for place in places) / len(places)
        behind = 1 - (better + sum(places) / len(places)) / max(len(rivals), 1)
        rows.append((hits, behind) if film < count else (0.0, 0.0))
    return torch.tensor(rows, dtype=torch.float64).T
