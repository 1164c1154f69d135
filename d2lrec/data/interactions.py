"""Interactions as a table of users and items: in full, or by its ones alone."""

import warnings

import torch
from torch.nn.functional import pad

from .negatives import as_pairs


def interaction_matrix(users, items, num_users, num_items):
    """Return the interactions as a table, 1 for a pair: float32 (num_users, num_items).

    Takes users and items, integers (n,) from 0; the table is on their device. Raises
    ValueError for ids that are out of range or no integers, and for other shapes.
    """
    users, items = as_pairs(users, items, num_users, num_items)
    R = torch.zeros(num_users, num_items, device=users.device)
    R[users, items] = 1
    return R


def sparse_interaction_matrix(users, items, num_users, num_items):
    """Return the same table by its ones alone, sparse, row after row (CSR).

    It takes 8 bytes for an interaction and 4 for a user. Arguments and errors as of
    `interaction_matrix`.
    """
    users, items = as_pairs(users, items, num_users, num_items)
    pairs = (users * num_items + items).unique()  # (n,), sorted by user
    ends = torch.bincount(pairs // num_items, minlength=num_users).cumsum(0)
    begins, columns = pad(ends, (1, 0)).int(), (pairs % num_items).int()
    ones = torch.ones(len(pairs), device=pairs.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says once that its CSR is beta
        return torch.sparse_csr_tensor(begins, columns, ones, (num_users, num_items))


def check_interactions(R):
    """Raise ValueError for anything but float32 (num_users, num_items) of 0 and 1."""
    if R.dim() != 2 or R.dtype != torch.float32 or not (R.square() == R).all():
        raise ValueError("R must be float32 (num_users, num_items), each entry 0 or 1")


def as_sparse(R):
    """The interactions R by their ones alone; errors as of `check_interactions`."""
    ready = R.layout == torch.sparse_csr and R.dtype == torch.float32
    if ready and (R.values() == 1).all():
        return R
    R = R.to_dense()
    check_interactions(R)
    return sparse_interaction_matrix(*R.nonzero().T, *R.shape)


def transposed(R):
    """A sparse table of interactions, (rows, columns), turned: (columns, rows)."""
    counts = R.crow_indices().diff().long()  # (rows,)
    rows = torch.arange(len(R), device=R.device).int().repeat_interleave(counts)  # (n,)
    return sparse_interaction_matrix(R.col_indices(), rows, *R.shape[::-1])
