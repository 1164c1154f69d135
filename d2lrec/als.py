"""Alternating least squares: the dot product of all pairs, fitted by solving and not by steps."""

import torch

from .models import MF


def interaction_matrix(users, items, num_users, num_items):
    """Return the table of interactions, 1 for each pair: float32 (num_users, num_items).

    Takes users and items counted from 0, int64 (n,); the table lies on their device.
    """
    R = torch.zeros(num_users, num_items, device=users.device)
    R[users, items] = 1
    return R


def conjugate_gradient(multiply, target, start, num_steps=3):
    """Solve A x = b approximately, for many b at once (Hestenes and Stiefel 1952).

    Args:
        multiply: gives A x for each row x of a tensor (rows, k); A, which may differ from row
            to row, is symmetric and positive definite.
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
    R,
    num_factors,
    penalty,
    alpha=5,
    num_iterations=10,
    seed=0,
    evaluate=lambda model: None,
):
    """Fit an `MF` without biases to interactions by alternating least squares.

    Minimizes the sum over all pairs of c (R - P_u . Q_i)^2, where c is 1 + alpha for an
    interaction and 1 for any other pair, plus penalty times the squares of each row of P and
    of Q, weighted by its sum of c.

    Args:
        R: the interactions, float32 (num_users, num_items) of 0 and 1, see `interaction_matrix`.
        evaluate: called as `evaluate(model)` after each iteration.
    Returns:
        The model, on the device of R.
    Source: Hu, Koren and Volinsky 2008; penalty as in Rendle et al. 2021.
    """
    torch.manual_seed(seed)
    model = MF(num_factors, *R.shape, init_std=0.1, biases=False).to(R.device)
    P, Q, R_T = model.P.weight.data, model.Q.weight.data, R.T.contiguous()
    for _ in range(num_iterations):
        P.copy_(half_step(P, Q, R, alpha, penalty))
        Q.copy_(half_step(Q, P, R_T, alpha, penalty))
        evaluate(model)
    return model
