"""The sampler of the page mf-better, on data of which the truth is known."""

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import bayesian_mf
from bayesian_mf import draw_mean_and_precision, draw_normal, draw_vectors, gibbs

NUM_USERS, NUM_ITEMS, NOISE = 120, 80, 0.3


def planted(seed=0, k=2):
    """Ratings of half of all pairs: (users, items, stars, all without noise)."""
    torch.manual_seed(seed)
    P, Q = torch.randn(NUM_USERS, k), torch.randn(NUM_ITEMS, k)
    truth = 3 + P @ Q.T + torch.randn(NUM_USERS, 1)  # (num_users, num_items)
    users, items = torch.nonzero(torch.rand_like(truth) < 0.5, as_tuple=True)
    stars = truth[users, items] + NOISE * torch.randn(len(users))
    return users, items, stars, truth


def predicted(ratings, num_rounds=60, seed=0):
    """The mean of rounds 21 to 60 for all pairs, (num_users * num_items,)."""
    pairs = torch.cartesian_prod(torch.arange(NUM_USERS), torch.arange(NUM_ITEMS)).T
    draws = gibbs(ratings, tuple(pairs), (NUM_USERS, NUM_ITEMS), 2, seed)
    return torch.stack(list(islice(draws, 20, num_rounds))).mean(dim=0)


def test_the_mean_of_the_draws_finds_what_was_planted():
    """Of pairs without a rating too; the truth itself is spread over 1.9 stars."""
    *ratings, truth = planted()
    found = predicted(ratings)
    assert found.dtype == torch.float32
    error = (found - truth.flatten()).square().mean().sqrt()
    assert truth.std() > 1.5
    assert error < NOISE / 1.5


def test_the_sampler_repeats_itself_whatever_the_order_of_the_ratings():
    *ratings, _ = planted()
    order = torch.randperm(len(ratings[0]))
    first = predicted(ratings, 25)
    assert first.equal(predicted(ratings, 25))
    again = predicted([column[order] for column in ratings], 25)
    torch.testing.assert_close(first, again, rtol=0, atol=1e-3)
    assert not torch.allclose(first, predicted(ratings, 25, seed=1), atol=1e-3)


def test_without_its_noise_a_draw_is_the_regression_on_what_was_rated(monkeypatch):
    """Each user by hand, in NumPy: bias and factors of the other side, one by one."""
    torch.manual_seed(0)
    rows, others = torch.randn(5, 3), torch.randn(6, 3)
    mean, A = torch.randn(3), torch.randn(3, 3)
    precision, alpha = A @ A.T + torch.eye(3), torch.tensor(2.5)
    rated = torch.rand(5, 6) < 0.6
    rated[4] = False  # who has rated nothing is drawn around the mean
    R = torch.randn(5, 6) * rated
    monkeypatch.setattr(bayesian_mf.torch, "randn_like", torch.zeros_like)
    monkeypatch.setattr(
        bayesian_mf, "draw_mean_and_precision", lambda rows: (mean, precision)
    )
    sparse = [
        bayesian_mf.sparse_rows(rated.nonzero().T, x[rated], (5, 6))
        for x in (torch.ones(5, 6), R)
    ]
    drawn = draw_vectors(rows, others, *sparse, alpha)
    for user in range(5):
        Q = others[rated[user]].double().numpy()  # the last column is the bias
        X = np.column_stack([Q[:, :-1], np.ones(len(Q))])
        y = R[user][rated[user]].double().numpy() - Q[:, -1]
        left = precision.double().numpy() + 2.5 * X.T @ X
        right = precision.double().numpy() @ mean.double().numpy() + 2.5 * X.T @ y
        expected = torch.tensor(np.linalg.solve(left, right)).float()
        torch.testing.assert_close(drawn[user], expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(drawn[4], mean, rtol=1e-4, atol=1e-4)


def test_draws_have_the_mean_and_the_covariance_asked_for():
    """To five standard errors for each number."""
    torch.manual_seed(0)
    A, n = torch.randn(3, 3), 40_000
    precision, linear = A @ A.T + torch.eye(3), torch.randn(3)
    draws = draw_normal(precision, linear[:, None].expand(3, n))  # (3, n)
    covariance = torch.linalg.inv(precision)
    error = (covariance.diagonal() / n).sqrt()
    assert ((draws.mean(dim=1) - covariance @ linear).abs() < 5 * error).all()
    spread = 5 * covariance.diagonal().max() * (2 / n) ** 0.5
    torch.testing.assert_close(torch.cov(draws), covariance, rtol=0, atol=spread.item())


def test_what_the_rows_have_in_common_is_drawn_by_equation_14():
    """The mean precision of a Wishart distribution: its degrees of freedom times W."""
    torch.manual_seed(0)
    rows = torch.randn(50, 3) @ torch.tensor([[2.0, 0, 0], [1, 1, 0], [0, 0, 0.5]]) + 1
    draws = [draw_mean_and_precision(rows) for _ in range(4000)]
    means, precisions = (torch.stack(x) for x in zip(*draws, strict=True))
    mean = rows.mean(dim=0)
    inverse = torch.eye(3) + (rows - mean).T @ (rows - mean)
    inverse += 50 * 2 / 52 * torch.outer(mean, mean)
    expected = 53 * torch.linalg.inv(inverse)
    tolerance = 0.02 * expected.abs().max().item()
    torch.testing.assert_close(precisions.mean(dim=0), expected, rtol=0, atol=tolerance)
    assert means.mean(dim=0) == pytest.approx((50 * mean / 52).tolist(), abs=0.02)
