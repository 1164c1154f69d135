"""ALS solves each side for the other, and its model is the one that it promises."""

from itertools import pairwise

import pytest
import torch

from d2lrec import interaction_matrix, train_als
from d2lrec.als import conjugate_gradient, half_step

NUM_USERS, NUM_ITEMS, ALPHA, PENALTY = 12, 9, 5, 0.01


@pytest.fixture
def R():
    """Interactions; the last user and the last item have none."""
    generator = torch.Generator().manual_seed(0)
    R = (torch.rand(NUM_USERS, NUM_ITEMS, generator=generator) < 0.3).float()
    R[-1], R[:, -1] = 0, 0
    return R


def tables(k, seed=1):
    generator = torch.Generator().manual_seed(seed)
    sizes = (NUM_USERS, k), (NUM_ITEMS, k)
    return [torch.randn(size, generator=generator) for size in sizes]


def objective(P, Q, R):
    """The sum that train_als promises to make small, in double precision."""
    P, Q, R = P.double(), Q.double(), R.double()
    c = 1 + ALPHA * R  # (num_users, num_items)
    squares = P.square().sum(dim=1)[:, None] + Q.square().sum(dim=1)  # as c
    return (c * ((R - P @ Q.T) ** 2 + PENALTY * squares)).sum().item()


def exact_half_step(Q, R):
    """For each row of R the solution of its normal equations: (rows, k)."""
    solutions = []
    for row in R.double():
        c = 1 + ALPHA * row  # (columns,)
        A = (Q.double().T * c) @ Q.double() + PENALTY * c.sum() * torch.eye(Q.shape[1])
        solutions.append(torch.linalg.solve(A, Q.double().T @ (c * row)))
    return torch.stack(solutions)


def test_the_table_has_a_one_for_each_interaction():
    users, items = torch.tensor([0, 2, 2]), torch.tensor([1, 0, 1])
    expected = [[0.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
    assert interaction_matrix(users, items, 3, 2).tolist() == expected


@pytest.mark.parametrize(
    ("users", "items"),
    [([3], [0]), ([0], [2]), ([-1], [0]), ([0.5], [0]), ([0, 1], [0])],
)
def test_interactions_that_there_cannot_be_are_refused(users, items):
    with pytest.raises(ValueError, match=r"must be|as many"):
        interaction_matrix(users, items, 3, 2)


def test_as_many_steps_as_unknowns_solve_the_equations():
    generator = torch.Generator().manual_seed(2)
    roots = torch.randn(7, 4, 4, generator=generator, dtype=torch.double)
    A = roots @ roots.mT + torch.eye(4)  # (7, 4, 4), positive definite
    b = torch.randn(7, 4, generator=generator, dtype=torch.double)

    def multiply(x):
        return torch.einsum("rij,rj->ri", A, x)

    found = conjugate_gradient(multiply, b, torch.zeros_like(b), num_steps=4)
    # In double precision; the condition numbers are below 100.
    torch.testing.assert_close(found, torch.linalg.solve(A, b), rtol=1e-8, atol=1e-8)


def test_half_steps_come_to_the_solution_of_the_normal_equations(R):
    P, Q = tables(k=3)
    exact = exact_half_step(Q, R)
    for _ in range(10):  # begun where the last one ended
        P = half_step(P, Q, R, ALPHA, PENALTY)
    # Of float32, whose rounding the condition of the equations makes larger.
    torch.testing.assert_close(P.double(), exact, rtol=1e-4, atol=1e-4)


def test_no_half_step_makes_the_objective_larger(R):
    P, Q = tables(k=4)
    values = [objective(P, Q, R)]
    for _ in range(5):
        P = half_step(P, Q, R, ALPHA, PENALTY)
        values.append(objective(P, Q, R))
        Q = half_step(Q, P, R.T.contiguous(), ALPHA, PENALTY)
        values.append(objective(P, Q, R))
    assert all(
        after < before * (1 + 1e-6)  # float32
        for before, after in pairwise(values)
    )
    assert values[-1] < 0.5 * values[0]


def test_who_has_no_interactions_gets_zeros_nearly(R):
    model = train_als(R, 3, PENALTY, num_iterations=15)
    users, items = model.P.weight.norm(dim=1), model.Q.weight.norm(dim=1)
    assert users[-1] < 1e-3 < users[:-1].max()
    assert items[-1] < 1e-3 < items[:-1].max()


def test_interactions_score_higher_than_the_others(R):
    model = train_als(R, NUM_ITEMS, penalty=1e-4, num_iterations=30)
    scores = (model.P.weight @ model.Q.weight.T).detach()
    assert scores[R == 1].min() > scores[R == 0].max()


def test_a_seed_gives_the_same_model_and_each_iteration_is_shown(R):
    shown = []
    model = train_als(R, 3, PENALTY, num_iterations=4, seed=7, evaluate=shown.append)
    assert shown == [model] * 4
    again, other = (train_als(R, 3, PENALTY, num_iterations=4, seed=s) for s in (7, 8))
    assert again.P.weight.equal(model.P.weight)
    assert not other.P.weight.equal(model.P.weight)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"R": torch.ones(3)}, "R must be float32"),
        ({"R": torch.ones(2, 2, dtype=torch.int64)}, "R must be float32"),
        ({"R": torch.tensor([[0.0, 0.5]])}, "each entry 0 or 1"),
        ({"R": torch.tensor([[0.0, torch.nan]])}, "each entry 0 or 1"),
        ({"num_factors": 0}, "num_factors must be an integer"),
        ({"num_iterations": -1}, "num_iterations must be an integer"),
        ({"penalty": -0.1}, "penalty=-0.1"),
        ({"penalty": torch.inf}, "penalty=inf"),
        ({"alpha": torch.nan}, "alpha=nan"),
    ],
)
def test_what_cannot_be_fitted_is_refused(R, changed, named):
    arguments = {"R": R, "num_factors": 3, "penalty": PENALTY} | changed
    with pytest.raises(ValueError, match=named):
        train_als(**arguments)
