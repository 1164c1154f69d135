"""Alternating least squares: the dot product of all pairs, solved for by turns.

The work goes with the interactions, not with all pairs: the table of interactions is
kept by its ones alone (sparse, in torch's layout CSR: row after row).
"""

import math

import torch
from torch.nn.functional import embedding_bag

from .arguments import as_integer
from .data.interactions import as_sparse, transposed
from .models import MF


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


def product(R, Q):
    """R Q, (rows, k), for a sparse R, (rows, columns): sums of rows of Q.

    It is `R @ Q`, in a third of the time on a CPU.
    """
    return embedding_bag(
        R.col_indices(), Q.contiguous(), R.crow_indices(), mode="sum",
        per_sample_weights=R.values(), include_last_offset=True)  # fmt: skip


def half_step(P, Q, R, alpha, penalty):
    """Give P, (rows, k), the best values it can have beside Q, (columns, k), nearly.

    R has the interactions, (rows, columns), sparse.
    """
    gram = Q.T @ Q  # (k, k)
    weights = R.shape[1] + alpha * product(R, torch.ones_like(Q[:, :1]))  # (rows, 1)

    def multiply(V):  # (rows, k)
        known = torch.sparse.sampled_addmm(R, V, Q.T, beta=0.0)  # V Q^T at the pairs
        known.values().mul_(R.values())
        return V @ gram + alpha * product(known, Q) + penalty * weights * V

    return conjugate_gradient(multiply, (1 + alpha) * product(R, Q), P)


def svd_start(P, R, R_T, num_rounds=5):
    """Factors, (num_users, k) and (num_items, k), whose product is near R.

    That is nearly R's singular value decomposition, cut off after k terms (pure SVD,
    Cremonesi et al. 2010).

    Args:
        P: random numbers (num_users, k), k at most num_items. Each round turns them
            closer to the directions of the largest singular values (Halko et al. 2011).
        R, R_T: the interactions and their transpose, sparse.
    """
    for _ in range(num_rounds):
        Q = torch.linalg.qr(product(R_T, P)).Q  # (num_items, k), columns of length 1
        P = product(R, Q)  # (num_users, k)
    return P, Q


def train_als(
    R, num_factors, penalty, alpha=5, num_iterations=5, seed=0, evaluate=lambda m: None
):
    """Fit an `MF` without biases to interactions by alternating least squares.

    Minimizes the sum over all pairs of c (R - P_u . Q_i)^2, where c is 1 + alpha for an
    interaction and 1 for any other pair, plus penalty times the squares of each row of
    P and of Q, weighted by its sum of c. Begins where `svd_start` ends.

    Args:
        R: the interactions, float32 (num_users, num_items), as `interaction_matrix` or
            `sparse_interaction_matrix` gives them.
        evaluate: called as `evaluate(model)` after each iteration.
    Returns the model, on the device of R; but on the CPU for one on Apple's GPU.
    Raises ValueError for another R, and for sizes or weights that are none.
    Source: Hu, Koren and Volinsky 2008; penalty as in Rendle et al. 2022.
    """
    R = as_sparse(R.cpu() if R.is_mps else R)  # Apple's GPU has no sparse tables
    if not (0 <= penalty < math.inf and 0 <= alpha < math.inf):
        raise ValueError(f"{penalty=} and {alpha=} must be finite numbers from 0 on")
    torch.manual_seed(seed)
    num_factors = as_integer("num_factors", num_factors, 1)
    model = MF(num_factors, *R.shape, init_std=0.1, biases=False).to(R.device)
    P, Q, R_T = model.P.weight.data, model.Q.weight.data, transposed(R)
    k = min(num_factors, len(Q))  # no more directions to begin with than items
    P[:, :k], Q[:, :k] = svd_start(P[:, :k], R, R_T)
    for _ in range(as_integer("num_iterations", num_iterations, 0)):
        P.copy_(half_step(P, Q, R, alpha, penalty))
        Q.copy_(half_step(Q, P, R_T, alpha, penalty))
        evaluate(model)
    return model
