"""The check of the masked error of AutoRec by hand."""

import torch

from ..data.batches import try_gpu
from .verdict import differs, hint_for, says_what_is_wrong, tried_number

SHAPES = [(2, 3), (4, 5), (1, 6), (3, 2)]


@says_what_is_wrong
def check_masked_error(masked_error):
    """Check `masked_error(prediction, rows)`: the mean squared error of the ratings."""
    cases = [prediction_and_rows(shape) for shape in SHAPES]
    found = []
    for shape, case in zip(SHAPES, cases, strict=True):
        given = [part.clone().to(try_gpu()) for part in case]
        found.append(tried_number(masked_error, *given, on=f"for rows {shape}"))

    def all_of(error):
        return [error(*case).item() for case in cases]

    if not differs(found, all_of(right)):
        return None
    mistakes = [
        (
            "divide by the number of ratings, not by that of all entries.",
            all_of(lambda p, r: (r.sign() * (p - r)).square().mean()),
        ),
        (
            "an entry without a rating must not count.",
            all_of(lambda p, r: (p - r).square().mean()),
        ),
        (
            "an entry without a rating must not count.",
            all_of(lambda p, r: (p - r).square().sum() / (r > 0).sum()),
        ),
        ("no half is asked for.", all_of(lambda p, r: right(p, r) / 2)),
        ("no root is asked for.", all_of(lambda p, r: right(p, r).sqrt())),
        ("divide by the number of ratings: the mean is asked for.", all_of(summed)),
        (
            "each rating weighs the same: take one mean over all, not one per row.",
            all_of(lambda p, r: (summed(p, r, 1) / (r > 0).sum(1)).mean()),
        ),
        (
            "square the errors; these are their sizes.",
            all_of(lambda p, r: (p - r)[r > 0].abs().mean()),
        ),
    ]
    if hint := hint_for(found, mistakes):
        return hint
    for shape, number, error in zip(SHAPES, found, all_of(right), strict=True):
        if differs(number, error):
            return (
                f"for rows {shape} of this check it is {error:.4f}, not {number:.4f}."
            )


def summed(prediction, rows, *dims):
    return (rows.sign() * (prediction - rows)).square().sum(*dims)


def right(prediction, rows):
    return (prediction - rows)[rows > 0].square().mean()


def prediction_and_rows(shape):
    """Predictions, and ratings of which about half are 0, but none of a whole row."""
    generator = torch.Generator().manual_seed(sum(shape))
    rows = torch.randint(1, 6, shape, generator=generator).float()
    rows *= torch.rand(shape, generator=generator) < 0.5
    rows[:, 0] = torch.arange(len(rows)) % 5 + 1
    return 3 + torch.randn(shape, generator=generator), rows
