"""The check of a dot product whose weights are learned by least squares."""

import torch

from ..data.batches import try_gpu
from .verdict import (
    NotYetError,
    as_doubles,
    differs,
    hint_for,
    kind_of,
    says_what_is_wrong,
    tried,
)

SIZES = [(40, 3), (200, 8), (25, 1)]  # examples, and factors of a vector


@says_what_is_wrong
def check_learned_weights(weights_of):
    """Check `weights_of(p, q, y)`: h, float32 (d,), by least squares."""
    cases = [example(*sizes) for sizes in SIZES]
    pairs = zip(SIZES, cases, strict=True)
    found = [weights_by(weights_of, sizes, case) for sizes, case in pairs]
    numbers = torch.cat(found)

    def all_of(inputs=lambda p, q: p * q, penalty=0.0, divisor=1.0):
        parts = [
            least_squares(inputs(p, q), y, penalty) / divisor
            for p, q, y in (map(as_doubles, case) for case in cases)
        ]
        return torch.cat(parts)

    mistakes = [
        ("take the products p * q, factor by factor, not p alone.",
         all_of(lambda p, q: p)),
        ("take the products p * q, factor by factor, not q alone.",
         all_of(lambda p, q: q)),
        ("take the products p * q, not the sums p + q.", all_of(lambda p, q: p + q)),
        ("take the products p * q, not the differences.", all_of(lambda p, q: p - q)),
        ("these are ones: learn the weights from y.", torch.ones_like(numbers)),
        ("no penalty is asked for: this is ridge regression.", all_of(penalty=1.0)),
        ("divide by the matrix of the products' products: X^T y alone is no solution.",
         torch.cat([(p * q).double().T @ y.double() for p, q, y in cases])),
    ]  # fmt: skip
    if not differs(numbers, all_of()):
        return None
    if hint := hint_for(numbers, mistakes):
        return hint
    for sizes, h, (p, q, y) in zip(SIZES, found, cases, strict=True):
        if differs(h, best := least_squares(*map(as_doubles, (p * q, y)))):
            X = as_doubles(p * q)
            yours, least = ((y - X @ w).square().mean().item() for w in (h, best))
            error = f"the mean squared error is {yours:.4f}, not {least:.4f}"
            return f"{told(sizes)} {error}."
    return None


def told(sizes):
    return f"for {sizes[0]} examples with {sizes[1]} factor{'s' * (sizes[1] > 1)}"


def example(n, d):
    """Vectors p and q, (n, d) each, and targets y, (n,)."""
    generator = torch.Generator().manual_seed(n)
    p, q = torch.randn(2, n, d, generator=generator)
    h = torch.rand(d, generator=generator) + 0.5
    return p, q, (p * q) @ h + torch.randn(n, generator=generator)


def least_squares(X, y, penalty=0.0):
    """The weights that minimize |X h - y|^2 + penalty |h|^2, (d,)."""
    ridge = penalty * torch.eye(X.shape[1], dtype=X.dtype)
    return torch.linalg.solve(X.T @ X + ridge, X.T @ y)


def weights_by(weights_of, sizes, case):
    """What a reader's function gives for a case, (d,)."""
    given = [part.clone().to(try_gpu()) for part in case]
    found = tried(weights_of, *given, on=told(sizes))
    h = as_doubles(found)
    if h.numel() != sizes[1]:
        wanted = f"return the weights, ({sizes[1]},)"
        raise NotYetError(f"{told(sizes)} it returns {kind_of(found)}: {wanted}.")
    return h.reshape(-1)
