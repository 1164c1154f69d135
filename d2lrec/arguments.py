"""Arguments as functions need them, or one clear error."""

from numbers import Integral

import numpy as np
import torch

# The kinds of arrays that hold numbers, and what each becomes.
KINDS = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}


def as_integer(name, value, least):
    """Return an integer (Python's or NumPy's) of at least `least` as an int.

    Raises ValueError, with the name and the value, for anything else: 2.0, True, "2".
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an integer, at least {least}, got {value!r}")
    return int(value)


def as_counts(num_users, num_items):
    """Return how many users and items there are, two ints.

    Raises ValueError unless both are integers from 1, with fewer than 2^62 pairs: a
    pair of a user and an item has a number in int64.
    """
    num_users = as_integer("num_users", num_users, 1)
    num_items = as_integer("num_items", num_items, 1)
    if num_users * num_items >= 2**62:
        raise ValueError(f"{num_users} x {num_items} pairs are too many for int64")
    return num_users, num_items


def as_numbers(name, values, dim=1):
    """Return the numbers in a sequence, array, pandas Series or tensor as a tensor.

    Integers become int64, other numbers float64; a tensor stays as it is. Raises
    ValueError for what holds no numbers, or has not `dim` dimensions (None: any).
    """
    if not isinstance(values, torch.Tensor):
        values = np.asarray(values)  # a Series goes by position, whatever its index
        kind = values.dtype.kind if values.size else "f"  # no values are numbers, too
        if kind not in KINDS:
            raise ValueError(f"{name} must be numbers, got dtype {values.dtype}")
        values = torch.from_numpy(values.astype(KINDS[kind]))
    if dim not in (None, values.dim()):
        shape = tuple(values.shape)
        raise ValueError(f"{name} must have {dim} dimensions, not the shape {shape}")
    return values


def as_ids(name, values, count=2**62, dim=1):
    """Return ids, integers from 0 to `count` - 1, as an int64 tensor.

    Takes what `as_numbers` takes; raises ValueError, with the id, for all others.
    """
    ids = as_numbers(name, values, dim)
    integers = ids.dtype != torch.bool and torch.can_cast(ids.dtype, torch.int64)
    if ids.numel() and not integers:  # without elements, any dtype is right
        raise ValueError(f"{name} must be integers, got {ids.dtype}")
    ids = ids.long()
    wrong = ids[(ids < 0) | (ids >= count)]
    if len(wrong):
        raise ValueError(f"{name} must be from 0 to {count - 1}, got {wrong[0]}")
    return ids
