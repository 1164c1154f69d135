"""Alternating least squares: the dot product of all pairs, solved for by turns."""

import math

import torch

from .arguments import as_integer
from .data.negatives import as_pairs
from .models import MF


def interaction_matrix(users, items, num_users, num_items):
    """Return the interactions as a table, 1 for a pair: float32 (num_users, num_items).

    Takes users and items, integers (n,) from 0; the table is on their device. Raises
    ValueError for ids that are out of range or no integers, and for other shapes.
    """
    users, items = as_pairs(users, items, num_users, num_items)
    R = torch.zeros(num_users, num_items, device=users.device)
    R[users, items] = 1
    return R


def check_interactions(R):
    """Raise ValueError for anything but float32 (num_users, num_items) of 0 and 1."""
    if R.dim() != 2 or R.dtype != torch.float32 or not (R.square() == R).all():
        raise ValueError("R must be float32 (num_users, num_items), each entry 0 or 1")


def conjugate_gradient(multiply, target, start, num_steps=3):
    """Solve A x = b approximately, for many b at once (Hestenes and Stiefel 1952).

    Args:
        multiply: gives A x for each row x of a tensor (rows, k); A, which may differ
            from row to row, is symmetric and positive definite.
        target, start: b, and where to begin, both (rows, k).
    """
    solution, residual = start, target - multiply(start)  # (rows, k)
    direction, size = residual, residual.square().sum(dim=1, keepdim=True)
    for _ in range(num_steps):
        image = multiply(direction)  # (rows, k)
        curvature = (direction * image).sum(dim=1, keepdim=True)  # (rows, 1)
        step = size / curvature.clamp(min=1e-20)  # (rows, 1)
        solution = solution + step * direction
        residual = residual - step * image
        new_size = residual.square().sum(dim=1, keepdim=True)  # (rows, 1)
        direction = residual + new_size / size.clamp(min=1e-20) * direction
        size = new_size
    return solution


def half_step(P, Q, R, alpha, penalty):
    """Give P, (rows, k), the best values it can have beside Q, (columns, k), nearly.

    R has the interactions, (rows, columns).
    """
    gram = Q.T @ Q  # (k, k)
    scores = torch.empty_like(R)  # one piece of memory for all products below
    weights = R.shape[1] + alpha * R.sum(dim=1, keepdim=True)  # (rows, 1), sum of c

    def multiply(V):  # (rows, k)
        known = torch.mm(V, Q.T, out=scores).mul_(R)  # (rows, columns)
        return V @ gram + alpha * (known @ Q) + penalty * weights * V

    return conjugate_gradient(multiply, (1 + alpha) * (R @ Q), P)


def train_als(
    R, num_factors, penalty, alpha=5, num_iterations=10, seed=0, evaluate=lambda m: None
):
    """Fit an `MF` without biases to interactions by alternating least squares.

    Minimizes the sum over all pairs of c (R - P_u . Q_i)^2, where c is 1 + alpha for an
    interaction and 1 for any other pair, plus penalty times the squares of each row of
    P and of Q, weighted by its sum of c.

    Args:
        R: the interactions, float32 (num_users, num_items), see `interaction_matrix`.
        evaluate: called as `evaluate(model)` after each iteration.
    Returns the model, on the device of R.
    Raises ValueError for another R, and for sizes or weights that are none.
    Source: Hu, Koren and Volinsky 2008; penalty as in Rendle et al. 2022.
    """
    check_interactions(R)
    if not (0 <= penalty < math.inf and 0 <= alpha < math.inf):
        raise ValueError(f"{penalty=} and {alpha=} must be finite numbers from 0 on")
    torch.manual_seed(seed)
    num_factors = as_integer("num_factors", num_factors, 1)
    model = MF(num_factors, *R.shape, init_std=0.1, biases=False).to(R.device)
    P, Q, R_T = model.P.weight.data, model.Q.weight.data, R.T.contiguous()
    for _ in range(as_integer("num_iterations", num_iterations, 0)):
        P.copy_(half_step(P, Q, R, alpha, penalty))
        Q.copy_(half_step(Q, P, R_T, alpha, penalty))
        evaluate(model)
    return model
