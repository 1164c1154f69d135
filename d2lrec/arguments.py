"""Arguments as functions need them, or one clear error."""

import operator

import numpy as np
import torch

KINDS = {
    "b": np.bool_,
    "i": np.int64,
    "u": np.int64,
    "f": np.float64,
}  # of arrays with numbers


def as_integer(name, value, least):
    """Return an integer (Python's or NumPy's) as an int, if it is at least `least`.

    Raises ValueError, with the name and the value, for anything else: 2.0, True or "2",
    too.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise ValueError(f"{name} must be an integer, at least {least}, got {value!r}")
    return number


def as_numbers(name, values, dim=1):
    """Return the numbers in a sequence, array, pandas Series or tensor as a tensor.

    Raises ValueError if they are none, or if they have not `dim` dimensions (None: any
    number).
    """
    if not isinstance(values, torch.Tensor):
        values = np.asarray(values)  # a Series goes by position, whatever its index
        if values.size and values.dtype.kind not in KINDS:
            raise ValueError(
                f"{name} must be numbers, got an array of dtype {values.dtype}"
            )
        values = torch.from_numpy(
            values.astype(KINDS.get(values.dtype.kind, np.float64))
        )
    if dim not in (None, values.dim()):
        raise ValueError(
            f"{name} must have {dim} dimensions, not the shape {tuple(values.shape)}"
        )
    return values


def as_ids(name, values, count=2**62, dim=1):
    """Return ids, integers from 0 to `count` - 1, as an int64 tensor.

    Takes what `as_numbers` takes; raises ValueError, with the id, for all others.
    """
    ids = as_numbers(name, values, dim)
    if ids.numel() and (
        ids.dtype == torch.bool or ids.is_floating_point() or ids.is_complex()
    ):
        raise ValueError(f"{name} must be integers, got {ids.dtype}")
    ids = ids.long()
    wrong = (ids < 0) | (ids >= count)
    if wrong.any():
        raise ValueError(f"{name} must be from 0 to {count - 1}, got {ids[wrong][0]}")
    return ids
