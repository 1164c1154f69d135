"""The check of histories by hand: what a user had before each film."""

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

# The films of a user in order, the length of a history, and the number that is padding.
HISTORIES = [
    ([7, 3, 9, 4], 2, 10),
    ([5, 0, 2, 8, 1, 6, 3], 3, 12),
    ([4, 2], 5, 9),
    ([6], 1, 8),
    ([], 4, 20),
]


@says_what_is_wrong
def check_histories(before_each):
    """Check `before_each(items, length, padding)`: int64 (n, length)."""
    found = [histories_by(before_each, case) for case in HISTORIES]
    numbers = torch.cat([table.flatten() for table in found])

    def all_of(**changes):
        tables = [histories_of(case, **changes) for case in HISTORIES]
        return torch.cat([table.flatten() for table in tables])

    mistakes = [
        (
            "the film itself is in its history, which gives the answer away.",
            all_of(shift=1),
        ),
        ("the latest film stands last: turn the rows round.", all_of(turned=True)),
        ("the padding stands in front, not behind.", all_of(behind=True)),
        ("use the given number as padding: 0 is a film.", all_of(padding=0)),
        ("use the given number as padding, not -1.", all_of(padding=-1)),
        ("these are the first films of the user, not the latest.", all_of(first=True)),
        ("these are the films that come after.", all_of(shift=None)),
    ]
    if not differs(numbers, all_of()):
        return None
    if hint := hint_for(numbers, mistakes):
        return hint
    for case, table in zip(HISTORIES, found, strict=True):
        if differs(table, right := histories_of(case)):
            rows = right.int().tolist()
            return f"{described(case)} it is {rows}, not {table.tolist()}."


def described(case):
    items, length, padding = case
    return f"for the items {items}, length {length} and padding {padding}"


def histories_by(before_each, case):
    """What a reader's function gives for a case, (n, length)."""
    items, length, padding = case
    on = described(case)
    given = torch.tensor(items, dtype=torch.int64, device=try_gpu())
    found = tried(before_each, given, length, padding, on=on)
    table = as_doubles(found)
    if not items and table.numel() == 0 and isinstance(found, torch.Tensor | list):
        return table.reshape(0, length)
    if table.shape != (len(items), length):
        wanted = (len(items), length)
        raise NotYetError(f"{on} it returns {kind_of(found)}: the shape is {wanted}.")
    return table


def histories_of(case, shift=0, turned=False, behind=False, padding=None, first=False):
    """The histories of a case, (n, length), right unless told otherwise."""
    items, length, of_case = case
    padding = of_case if padding is None else padding
    rows = []
    for place in range(len(items)):
        if shift is None:
            row = items[place + 1 : place + 1 + length]
        elif first:
            row = items[:place][:length]
        else:
            row = items[: place + shift][-length:]
        row = row[::-1] if turned else row
        filling = [padding] * (length - len(row))
        if behind or (turned and not behind):
            rows.append(row + filling)
        else:
            rows.append(filling + row)
    return torch.tensor(rows, dtype=torch.float64).reshape(len(items), length)
