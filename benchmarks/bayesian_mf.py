"""Bayesian matrix factorization, for the page mf-better and `make bench`.

The model and the sampler of Salakhutdinov and Mnih 2008, with biases, and with the
precision of the ratings drawn too. Sums over the ratings of a user or of a film are
products with sparse matrices, so that the time of a round goes with the ratings.
Source: https://doi.org/10.1145/1390156.1390267.
"""

import warnings

import torch
from torch.distributions import Gamma
from torch.nn.functional import pad


def gibbs(ratings, asked, sizes, num_factors=10, seed=0):
    """Draw models, one after the other, without end; yields what each predicts.

    Args:
        ratings: users and items, int64 from 0, and stars, float32, (n,) each.
        asked: the users and items to predict for, int64 (asked,) each.
        sizes: num_users, num_items.
    Yields predictions in stars, float32 (asked,), after each round. The first rounds
    depend on where the sampler began, and should be left out.
    """
    torch.manual_seed(seed)
    users, items, stars = ratings
    mean, pairs = stars.mean(), torch.stack([users, items])
    values = torch.ones_like(stars), stars - mean
    by_user = [sparse_rows(pairs, x, sizes) for x in values]
    by_item = [sparse_rows(pairs.flip(0), x, sizes[::-1]) for x in values]
    P, Q = (0.1 * torch.randn(n, num_factors + 1) for n in sizes)  # b_u, b_i come last
    alpha = torch.tensor(1.0)
    while True:
        P = draw_vectors(P, Q, *by_user, alpha)
        Q = draw_vectors(Q, P, *by_item, alpha)
        left = pad(P, (0, 1), value=1.0)  # factors, b_u, 1
        right = torch.cat([with_one(Q), Q[:, -1:]], dim=1)  # factors, 1, b_i
        errors = torch.sparse.sampled_addmm(by_user[1], left, right.T, alpha=-1)
        squares = errors.values().square().sum()
        alpha = Gamma(1 + len(stars) / 2, 1 + squares / 2).sample()
        yield mean + (left[asked[0]] * right[asked[1]]).sum(dim=1)  # (asked,)


def sparse_rows(pairs, values, shape):
    """A matrix of these values at these pairs, (2, n), kept row after row.

    That is torch's layout CSR, whose warning says that it is "beta".
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.sparse_coo_tensor(pairs, values, shape).to_sparse_csr()


def with_one(rows):
    """Put a 1 in the place of the bias, which stands in the last column."""
    return torch.cat([rows[:, :-1], torch.ones_like(rows[:, :1])], dim=1)


def draw_vectors(rows, others, rated, R, alpha):
    """Draw the vectors of one side, (m, k + 1), given those of the other, (n, k + 1).

    `rated` has a 1 for each rating and R the ratings less their mean, sparse (m, n);
    alpha is the precision of a rating.
    """
    mean, precision = draw_mean_and_precision(rows)  # (k + 1,), (k + 1, k + 1)
    bias, others = others[:, -1:], with_one(others)  # (n, 1), (n, k + 1)
    products = others[:, :, None] * others[:, None, :]  # (n, k + 1, k + 1)
    known = (rated @ products.flatten(1)).view(-1, *precision.shape)
    targets = R @ others - rated @ (bias * others)  # (m, k + 1)
    linear = precision @ mean + alpha * targets  # (m, k + 1)
    return draw_normal(precision + alpha * known, linear[:, :, None])[:, :, 0]


def draw_normal(precision, linear):
    """Draw from N(precision^-1 linear, precision^-1), for each column of `linear`.

    Takes matrices (..., k, k) and (..., k, n); returns (..., k, n).
    """
    L = torch.linalg.cholesky(precision)  # precision = L L^T
    half = torch.linalg.solve_triangular(L, linear, upper=False)
    drawn = half + torch.randn_like(half)
    return torch.linalg.solve_triangular(L.mT, drawn, upper=True)


def draw_mean_and_precision(rows, beta=2.0):
    """Draw what the vectors of one side have in common: (k + 1,), (k + 1, k + 1)."""
    (n, k), mean = rows.shape, rows.mean(dim=0)
    scatter = (rows - mean).T @ (rows - mean)  # (k + 1, k + 1)
    pulled = n * beta / (n + beta) * torch.outer(mean, mean)  # (k + 1, k + 1)
    scale = torch.eye(k) + scatter + pulled
    Z = draw_normal(scale, torch.zeros(k, k + n))  # (k + 1, k + 1 + n)
    precision = Z @ Z.T  # (k + 1, k + 1)
    linear = precision @ (n * mean)  # (k + 1,)
    return draw_normal((n + beta) * precision, linear[:, None])[:, 0], precision
