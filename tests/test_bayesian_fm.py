"""The sampler of the page features, on data of which the truth is known."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import bayesian_fm
from bayesian_fm import Side, draw_features, gibbs_fm

import d2lrec

RESULTS = Path(d2lrec.__file__).parent / "results"


def planted(num_users=120, num_items=80, k=2, seed=0):
    """Ratings whose item vectors are those of three kinds of films, and the kinds."""
    torch.manual_seed(seed)
    kinds = torch.eye(3).double()[torch.arange(num_items) % 3]  # (num_items, 3)
    Q = kinds @ torch.tensor([[1.5, 0], [-1, 1], [0, -1.5]]).double()  # (num_items, k)
    scores = torch.randn(num_users, k).double() @ Q.T  # (num_users, num_items)
    ratings = 3 + scores + 0.3 * torch.randn_like(scores)
    users, items = torch.nonzero(torch.rand_like(scores) < 0.5, as_tuple=True)
    table = pd.DataFrame({"user_id": users.numpy() + 1, "item_id": items.numpy() + 1})
    return table.assign(rating=ratings[users, items].numpy()), kinds


def rmse_of(data, asked, X_items, **options):
    X_users = X_items.new_zeros(120, 0)
    found = gibbs_fm(data, asked, X_users, X_items, 0, 2, 60, 20, **options)
    return (found - torch.tensor(asked.rating.to_numpy())).square().mean().sqrt()


def test_a_film_without_ratings_is_predicted_by_its_kind():
    """By its kind up to the noise, 0.3 stars; without it not at all, and 1.4 are left.

    The bounds leave a quarter or more of the way between them on either side.
    """
    data, kinds = planted()
    unrated = data.item_id > 60
    without = rmse_of(data[~unrated], data[unrated], kinds[:, :0])
    with_kinds = rmse_of(data[~unrated], data[unrated], kinds)
    assert without > 1.0
    assert with_kinds < 0.6


def test_the_sampler_repeats_itself():
    data, kinds = planted()
    part = data[:500]
    assert rmse_of(data, part, kinds) == rmse_of(data, part, kinds)


def test_features_are_drawn_around_the_ridge_regression():
    """The mean of n draws is known to 1 / sqrt(n) of their standard deviation."""
    torch.manual_seed(0)
    X = torch.randn(50, 4).double()
    X = torch.cat([X, X[:, :1]], dim=1)  # two features that cannot be told apart
    rows = torch.randn(50, 3).double()
    side, precision = Side(X, 2), 4 * torch.eye(3).double()
    side.strength = torch.tensor(2.0).double()
    draws = torch.stack([draw_features(side, rows, precision) for _ in range(4000)])
    A = X.T @ X + 2 * torch.eye(5).double()
    expected = torch.linalg.solve(A, X.T @ rows)  # (5, 3)
    covariance = torch.linalg.inv(A) / 4  # of a column of B
    error = (covariance.diagonal() / 4000).sqrt()[:, None]  # (5, 1)
    assert ((draws.mean(dim=0) - expected).abs() < 5 * error).all()
    found = torch.cov(draws[:, :, 0].T)  # (5, 5)
    assert torch.allclose(found, covariance, atol=0.1 * covariance.max())


def test_features_of_movielens():
    data, num_users, num_items = d2lrec.read_data_ml100k()
    X_users = bayesian_fm.features_of_users(data, num_items)
    X_items = bayesian_fm.features_of_films(data, num_users)
    assert X_users.shape == (943, 7 + 2 + 21 + 1682)
    assert X_items.shape == (1682, 19 + 15 + 943)
    described = X_users[:, :30]
    assert described.sum(dim=1).tolist() == [3] * 943
    assert torch.allclose(X_items[:, :19].sum(dim=1), torch.ones(1682).double())
    for X, start in ((X_users, 30), (X_items, 34)):
        assert torch.allclose(X[:, start:].norm(dim=1), torch.ones(len(X)).double())
    none = bayesian_fm.features_of_users(data, num_items, False, False)
    assert none.shape == (943, 0)
    few = bayesian_fm.features_of_users(data[:1], num_items, described=False)
    assert few.sum() == 1  # who has rated nothing has no history, and no NaN


@pytest.fixture(scope="module")
def runs():
    return pd.read_csv(RESULTS / "bayesian-fm.csv")


def test_the_stored_runs_are_complete(runs):
    counts = runs.groupby(["split", "features"]).seed.apply(list).unstack("split")
    assert len(counts) == 4
    assert counts.u1.tolist() == [[0, 1, 2]] * 4
    five = counts.random.dropna()
    assert five.index.tolist() == ["ids", "ids and both"]
    assert five.tolist() == [[0, 1, 2, 3, 4]] * 2


def test_what_the_page_claims_of_the_stored_runs(runs):
    """Histories and descriptions each help, with every seed and on every split."""
    table = runs.pivot(index=["split", "seed"], columns="features", values="rmse")
    assert (table["ids and both"] < table["ids"]).all()
    u1 = table.loc["u1"]
    assert (u1["ids and both"] < u1["ids and histories"]).all()
    assert (u1["ids and histories"] < u1["ids and descriptions"]).all()
    assert (u1["ids and descriptions"] < u1["ids"]).all()
    assert table.loc["u1", "ids and both"].mean() <= 0.890
    assert table.loc["random", "ids and both"].mean() < 0.886
