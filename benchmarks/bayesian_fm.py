"""A Bayesian factorization machine, for the page features and `make features`.

The sampler of the page mf-better, but for one thing: where a vector of a user or of a
film is expected to lie depends on features, through a linear map that is drawn too
(Simm et al. 2017). All features belong to the user or to the film, so that this is a
factorization machine in which each vector is the sum of those of its features.
"""

import pandas as pd
import torch
from bayesian_mf import with_one
from torch.distributions import Gamma, MultivariateNormal

from d2lrec import (
    interaction_matrix,
    load_data_ml100k,
    one_hot,
    read_films_ml100k,
    read_genres_ml100k,
    read_users_ml100k,
)


class Side:
    """The vectors of all users, or of all films, and how they depend on features.

    A row is drawn from N(mean + x B, precision^-1), x being its features. A row of B is
    the vector of a feature, drawn from N(0, (strength * precision)^-1).

    Args:
        X: features, float64 (n, a).
        num_factors: k; the last of the k + 1 columns of rows and of B is the bias.
    """

    def __init__(self, X, num_factors):
        self.X, self.strength = X, X.new_tensor(1.0)
        self.eigenvalues, self.V = torch.linalg.eigh(X.T @ X)  # (a,), (a, a)
        self.rows = 0.1 * X.new_empty(len(X), num_factors + 1).normal_()
        self.B = X.new_zeros(X.shape[1], num_factors + 1)


def draw_side(side, others, rated, targets, alpha):
    """Draw prior, vectors of features and rows of one side, each given all others.

    Takes the other side's rows with a 1 in the place of the bias, (m, k + 1); which of
    them each row has rated, 0 or 1, and what the ratings leave to explain, both (n, m);
    and the precision of the ratings.
    """
    mean, precision = draw_prior(side)
    side.B = draw_features(side, side.rows - mean, precision)
    squares = (side.B @ precision * side.B).sum()
    side.strength = Gamma(1 + side.B.numel() / 2, 1 + squares / 2).sample()
    products = others[:, :, None] * others[:, None, :]  # (m, k + 1, k + 1)
    known = (rated @ products.flatten(1)).view(-1, *precision.shape)
    expected = mean + side.X @ side.B  # (n, k + 1)
    linear = expected @ precision + alpha * (targets @ others)
    precisions = precision + alpha * known  # (n, k + 1, k + 1)
    L = torch.linalg.cholesky(precisions)  # precisions = L L^T
    half = torch.linalg.solve_triangular(L, linear[:, :, None], upper=False)
    drawn = half + torch.randn_like(half)  # (n, k + 1, 1)
    side.rows = torch.linalg.solve_triangular(L.mT, drawn, upper=True)[:, :, 0]


def draw_prior(side, beta=2.0):
    """Draw mean, (k + 1,), and precision, (k + 1, k + 1), of what features leave."""
    rest = side.rows - side.X @ side.B  # (n, k + 1)
    (n, k), mean = rest.shape, rest.mean(dim=0)
    pulled = n * beta / (n + beta) * torch.outer(mean, mean)  # (k + 1, k + 1)
    scatter = torch.eye(k) + (rest - mean).T @ (rest - mean) + pulled
    scatter = scatter + side.strength * side.B.T @ side.B
    Z = MultivariateNormal(torch.zeros_like(mean), precision_matrix=scatter)
    Z = Z.sample((k + n + len(side.B),))  # (k + n + a, k + 1)
    precision, center = Z.T @ Z, n * mean / (n + beta)
    drawn = MultivariateNormal(center, precision_matrix=(n + beta) * precision)
    return drawn.sample(), precision


def draw_features(side, rows, precision):
    """Draw B, (a, k + 1): a ridge regression of rows, (n, k + 1), on X, and noise.

    The root of the inverse of X^T X + strength I is the symmetric one, so that it does
    not matter which eigenvectors a machine finds.
    """
    scales = 1 / (side.eigenvalues.clamp(min=0) + side.strength)[:, None]  # (a, 1)
    root = torch.linalg.cholesky(torch.linalg.inv(precision))  # (k + 1, k + 1)
    noise = torch.randn_like(side.B) @ root.T  # (a, k + 1)
    fitted = scales * (side.V.T @ (side.X.T @ rows))  # (a, k + 1)
    return side.V @ (fitted + scales.sqrt() * (side.V.T @ noise))


def gibbs_fm(data, asked, X_users, X_items, seed=0, num_factors=10, num_rounds=200,
             num_warmup=40):  # fmt: skip
    """Draw models that fit the ratings, and average what they predict.

    Args:
        data, asked: tables of ratings to learn from, and to predict.
        X_users, X_items: features, float64 (num_users, a) and (num_items, b).
    Returns the mean prediction of all rounds after the warm-up, (len(asked),).
    """
    torch.manual_seed(seed)
    counts = len(X_users), len(X_items)
    users, items, ratings, R = load_data_ml100k(data, *counts)
    asked_users, asked_items, _, _ = load_data_ml100k(asked, *counts)
    mean, R = ratings.double().mean(), R.to_dense().T.double()  # (users, items)
    rated = (R > 0).double()  # (users, items)
    R = (R - mean) * rated  # (users, items)
    P, Q = Side(X_users, num_factors), Side(X_items, num_factors)
    alpha, total = R.new_tensor(1.0), 0.0
    for round_number in range(num_rounds):
        draw_side(P, with_one(Q.rows), rated, R - rated * Q.rows[:, -1], alpha)
        draw_side(Q, with_one(P.rows), rated.T, R.T - rated.T * P.rows[:, -1], alpha)
        prediction = mean + with_one(P.rows) @ Q.rows.T + P.rows[:, -1:]
        errors = prediction[users, items] - ratings  # (n,)
        alpha = Gamma(1 + len(errors) / 2, 1 + errors.square().sum() / 2).sample()
        if round_number >= num_warmup:
            total = total + prediction[asked_users, asked_items]
    return total / (num_rounds - num_warmup)


def features_of_users(data, num_items, described=True, histories=True):
    """What users are and which items they have rated: float64 (num_users, a).

    A user's history has a feature for each item, 0 or 1, divided by the root of how
    many there are, as in SVD++ (Koren 2008). Age groups are those of MovieLens 1M.
    """
    users = read_users_ml100k()
    groups = pd.cut(users.age, [0, 17, 24, 34, 44, 49, 55, 200]).cat.codes
    columns = [
        one_hot(groups, range(7)),
        one_hot(users.gender, ["F", "M"]),
        one_hot(users.occupation, sorted(set(users.occupation))),
    ]
    rated = rated_by(data, len(users), num_items)
    return chosen_features(columns, rated, described, histories)


def features_of_films(data, num_users, described=True, histories=True):
    """What films are and which users have rated them: float64 (num_items, b).

    The genres of a film add up to 1. Its era is the year from 1990 on, and the decade
    before; the one film without a year gets the median.
    """
    genres = torch.from_numpy(
        read_genres_ml100k().to_numpy()
    ).float()  # (num_items, 19)
    years = read_films_ml100k().year
    years = years.fillna(years.median()).astype(int)
    eras = years.where(years >= 1990, years // 10 * 10).clip(lower=1930)
    columns = [genres / genres.sum(dim=1, keepdim=True).clamp(min=1)]
    columns.append(one_hot(eras, sorted(eras.unique())))
    rated = rated_by(data, num_users, len(genres)).T
    return chosen_features(columns, rated, described, histories)


def rated_by(data, num_users, num_items):
    """Which items each user has rated: float64 (num_users, num_items) of 0 and 1."""
    users, items, _, _ = load_data_ml100k(data, num_users, num_items)
    return interaction_matrix(users, items, num_users, num_items).double()


def chosen_features(columns, rated, described, histories):
    """Put descriptions and histories side by side, or leave one or both out."""
    history = rated / rated.sum(dim=1, keepdim=True).clamp(min=1).sqrt()
    chosen = [rated[:, :0], *columns * described, *[history] * histories]
    return torch.cat([part.double() for part in chosen], dim=1)
