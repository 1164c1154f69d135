"""Alternating least squares against exact solutions, and what it refuses."""

import math
from itertools import pairwise

import pytest
import torch

from d2lrec import (
    evaluate_ranking,
    interaction_matrix,
    sparse_interaction_matrix,
    train_als,
)
from d2lrec.als import conjugate_gradient, half_step, product, svd_start
from d2lrec.data.interactions import transposed

NUM_USERS, NUM_ITEMS, K, ALPHA, PENALTY = 30, 20, 4, 5.0, 0.01


def interactions():
    """A table in which user 7 and item 3 have no interaction."""
    generator = torch.Generator().manual_seed(0)
    R = (torch.rand(NUM_USERS, NUM_ITEMS, generator=generator) < 0.2).double()
    R[7], R[:, 3] = 0, 0
    return R


def sparse(R):
    """The same table by its ones alone, in the same precision."""
    return sparse_interaction_matrix(*R.nonzero().T, *R.shape).to(R.dtype)


def factors():
    generator = torch.Generator().manual_seed(1)
    sizes = (NUM_USERS, K), (NUM_ITEMS, K)
    return [torch.randn(*size, generator=generator).double() for size in sizes]


def objective(P, Q, R):
    """As the docstring of train_als says it."""
    c = 1 + ALPHA * R  # (num_users, num_items)
    errors = c * (R - P @ Q.T).square()
    squares = c.sum(dim=1) @ P.square().sum(dim=1) + c.sum(dim=0) @ Q.square().sum(
        dim=1
    )
    return (errors.sum() + PENALTY * squares).item()


def exact(Q, R):
    """Solve the normal equations of each user, one after the other."""
    rows = []
    for r in R:
        C = torch.diag(1 + ALPHA * r)  # (columns, columns)
        A = Q.T @ C @ Q + PENALTY * C.trace() * torch.eye(K).double()
        rows.append(torch.linalg.solve(A, Q.T @ C @ r))
    return torch.stack(rows)


def test_many_half_steps_solve_the_normal_equations():
    (P, Q), R = factors(), interactions()
    for _ in range(10):
        P = half_step(P, Q, sparse(R), ALPHA, PENALTY)
    torch.testing.assert_close(P, exact(Q, R))


def test_as_many_steps_as_unknowns_solve_the_equations():
    """Conjugate gradients end after k steps, but for rounding; a solved row stays."""
    generator = torch.Generator().manual_seed(0)
    M = torch.randn(6, K, K, generator=generator).double()
    A = M @ M.mT + torch.eye(K).double()  # (rows, k, k)
    b = torch.randn(6, K, generator=generator).double()
    solution = torch.linalg.solve(A, b)
    start = torch.zeros_like(b)
    start[2] = solution[2]
    found = conjugate_gradient(
        lambda x: (A @ x.unsqueeze(2)).squeeze(2), b, start, num_steps=K
    )
    torch.testing.assert_close(found, solution)


def test_the_objective_falls_in_every_half_step():
    (P, Q), R = factors(), interactions()
    found = [objective(P, Q, R)]
    for _ in range(8):
        P = half_step(P, Q, sparse(R), ALPHA, PENALTY)
        found.append(objective(P, Q, R))
        Q = half_step(Q, P, sparse(R.T), ALPHA, PENALTY)
        found.append(objective(P, Q, R))
    # In float64; near the end a step may gain less than rounding takes.
    assert all(later < earlier * (1 + 1e-12) for earlier, later in pairwise(found))
    assert found[-1] < 0.5 * found[0]


def test_an_interaction_may_count_in_part():
    """Weights from 0 to 1, as the page on sequences has them."""
    (P, Q), R = factors(), interactions()
    W = R * torch.rand(R.shape, generator=torch.Generator().manual_seed(2)).double()
    weights = sparse(R)
    weights.values().copy_(W[R == 1])
    for _ in range(10):
        P = half_step(P, Q, weights, ALPHA, PENALTY)
    rows = []
    for w in W:  # a sum of w (1 - x)^2 (1 + alpha) and (1 - w) x^2, but for constants
        A = Q.T @ torch.diag(1 + ALPHA * w) @ Q
        A = A + PENALTY * (1 + ALPHA * w).sum() * torch.eye(K).double()
        rows.append(torch.linalg.solve(A, (1 + ALPHA) * Q.T @ w))
    torch.testing.assert_close(P, torch.stack(rows))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_sparse_product_is_the_product(dtype):
    (_, Q), R = factors(), interactions()
    Q, R = Q.to(dtype), R.to(dtype)
    for table in (Q, Q.T.contiguous().T):  # also where columns lie one after another
        torch.testing.assert_close(product(sparse(R), table), R @ table)


def test_it_begins_near_the_best_factors_of_the_table():
    """With rounds enough it is the truncated singular value decomposition."""
    R = interactions()
    U, S, V = torch.linalg.svd(R)
    P, Q = svd_start(factors()[0], sparse(R), sparse(R.T), num_rounds=200)
    torch.testing.assert_close(P @ Q.T, U[:, :K] * S[:K] @ V[:K])
    # No interaction, so no direction, but for the rounding of float64 near 1e-16.
    assert max(Q[3].norm(), P[7].norm()) < 1e-10


def test_training_begins_there_and_takes_any_form_of_the_table():
    R = interactions().float()
    with_zeros = sparse(torch.ones_like(R))
    with_zeros.values().copy_(R.flatten())
    forms = R, sparse(R), R.to_sparse(), with_zeros
    models = [train_als(form, K, PENALTY) for form in forms]
    assert all(model.P.weight.equal(models[0].P.weight) for model in models)
    begun = train_als(R, K, PENALTY, num_iterations=0)
    best = torch.linalg.svdvals(R)[K:].norm()
    off = (R - begun.P.weight @ begun.Q.weight.T).norm()
    assert best * (1 - 1e-5) <= off < 1.1 * best  # five rounds are nearly enough


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (1, 4), (4, 1)])
def test_more_factors_than_users_or_items(shape):
    R = torch.ones(shape)
    model = train_als(R, 8, 1e-4, num_iterations=30)
    assert (model.P.weight @ model.Q.weight.T - 1).abs().max() < 0.01


def test_training_comes_to_where_exact_steps_come():
    """Both end in a minimum; its value is the same, to the digits of float32."""
    R = interactions()
    model = train_als(R.float(), K, PENALTY, ALPHA, num_iterations=200)
    P, Q = (table.weight.detach().double() for table in (model.P, model.Q))
    for _ in range(200):
        P = exact(Q, R)
        Q = exact(P, R.T)
    ours = objective(model.P.weight.double(), model.Q.weight.double(), R)
    assert ours == pytest.approx(objective(P, Q, R), rel=1e-3)


def test_a_user_or_an_item_without_interactions_has_scores_near_zero():
    R = interactions().float()
    model = train_als(R, K, PENALTY, num_iterations=20)
    for table, empty in ((model.P.weight, 7), (model.Q.weight, 3)):
        assert table.isfinite().all()
        assert table[empty].norm() < 1e-3 * table.norm(dim=1).mean()


def test_no_interaction_at_all_is_no_obstacle():
    model = train_als(torch.zeros(3, 4), 2, PENALTY, num_iterations=20)
    assert (model.P.weight @ model.Q.weight.T).abs().max() < 1e-6


def test_it_finds_what_users_like():
    """Users like the items of their half; what they have not seen of it comes first."""
    users, items = torch.arange(40).repeat_interleave(20), torch.arange(20).repeat(40)
    mine = (users < 20) == (items < 10)
    held_out = items == users % 10 + 10 * (users >= 20)
    R = interaction_matrix(users[mine & ~held_out], items[mine & ~held_out], 40, 20)
    assert R.sum(dim=1).tolist() == 40 * [9]
    others = [[i for i in range(20) if (i < 10) != (u < 20)] for u in range(40)]
    candidates = torch.cat([items[held_out].unsqueeze(1), torch.tensor(others)], dim=1)
    found = []
    model = train_als(
        R, 2, PENALTY, num_iterations=5,
        evaluate=lambda model: found.append(evaluate_ranking(model, candidates, k=1)),
    )  # fmt: skip
    assert len(found) == 5
    assert found[-1] == evaluate_ranking(model, candidates, k=1)
    assert found[-1]["hit_rate"] == 1


def test_a_seed_gives_the_same_model():
    R = interactions().float()
    one, again, other = (train_als(R, K, PENALTY, seed=seed) for seed in (0, 0, 1))
    assert one.P.weight.equal(again.P.weight)
    assert not one.P.weight.equal(other.P.weight)
    assert not one.biases


def test_the_matrix_has_a_one_for_each_pair():
    R = interaction_matrix([0, 2, 2, 0], [1, 0, 3, 1], 3, 4)
    assert R.dtype == torch.float32
    assert R.tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]
    by_ones = sparse_interaction_matrix([0, 2, 2, 0], [1, 0, 3, 1], 3, 4)
    assert by_ones.to_dense().equal(R)
    assert by_ones.values().tolist() == [1, 1, 1]
    assert transposed(by_ones).to_dense().equal(R.T)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([3], [0], 3, 4), "users must be from 0 to 2, got 3"),
        (([-1], [0], 3, 4), "users must be from 0 to 2, got -1"),
        (([0], [4], 3, 4), "items must be from 0 to 3, got 4"),
        (([0, 1], [0], 3, 4), "as many users as items"),
        (([0.5], [0], 3, 4), "users must be integers"),
        (([0], [0], 3.0, 4), "num_users must be an integer"),
    ],
)
def test_pairs_that_are_none_are_refused(arguments, says):
    for make in (interaction_matrix, sparse_interaction_matrix):
        with pytest.raises(ValueError, match=says):
            make(*arguments)


@pytest.mark.parametrize(
    "R",
    [
        torch.zeros(4), torch.zeros(2, 3, 4), torch.zeros(2, 3).long(),
        torch.zeros(2, 3).double(), torch.tensor([[math.nan, 1.0]]),
        torch.tensor([[0.0, 5.0]]), torch.tensor([[-1.0, 1.0]]),
        2 * sparse(torch.eye(3)), sparse(torch.eye(3)).double(),
        2 * torch.eye(3).to_sparse(),
    ],
)  # fmt: skip
def test_a_table_that_is_none_is_refused(R):
    with pytest.raises(ValueError, match=r"R must be float32 .* each entry 0 or 1"):
        train_als(R, 2, PENALTY)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"num_factors": 0}, "num_factors must be an integer, at least 1, got 0"),
        ({"num_iterations": -1}, "num_iterations must be an integer, at least 0"),
        ({"penalty": -0.1}, r"penalty=-0\.1 and alpha=5 must be finite"),
        ({"penalty": math.nan}, "penalty=nan and alpha=5 must be finite"),
        ({"alpha": math.inf}, r"penalty=0\.01 and alpha=inf must be finite"),
        ({"alpha": -1}, r"penalty=0\.01 and alpha=-1 must be finite"),
    ],
)
def test_weights_and_sizes_that_are_none_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        train_als(torch.ones(2, 3), **({"num_factors": 2, "penalty": 0.01} | options))


def test_without_users_or_items_there_is_no_model():
    for R, size in ((torch.zeros(0, 3), "num_users"), (torch.zeros(3, 0), "num_items")):
        with pytest.raises(ValueError, match=f"{size} must be an integer, at least 1"):
            train_als(R, 2, PENALTY)
