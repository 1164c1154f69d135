"""The models that a ranking has to beat, against plain definitions of them."""

import math

import numpy as np
import pytest
import torch

from d2lrec import ease, evaluate_full_ranking, evaluate_ranking, item_knn, popularity

NUM_USERS, NUM_ITEMS = 12, 7


def interactions():
    """A table in which item 3 has no interaction, and item 5 all."""
    generator = torch.Generator().manual_seed(0)
    R = (torch.rand(NUM_USERS, NUM_ITEMS, generator=generator) < 0.4).float()
    R[:, 3], R[:, 5] = 0, 1
    return R


def all_scores(model):
    return model(torch.arange(NUM_USERS).unsqueeze(1), torch.arange(NUM_ITEMS))


@pytest.mark.parametrize("kind", [torch.tensor, np.array, list])
def test_popularity_counts(kind):
    model = popularity(kind([4, 1, 1, 3, 1, 4]), 2, 6)
    scores = model(torch.arange(2).unsqueeze(1), torch.arange(6))
    assert scores.tolist() == 2 * [[0, 3, 0, 1, 2, 0]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([0, 6], 2, 6), "items must be from 0 to 5, got 6"),
        (([0, -1], 2, 6), "items must be from 0 to 5, got -1"),
        (([0.5], 2, 6), "items must be integers"),
        (([0], 2, 6.0), "num_items must be an integer"),
        (([0], 0, 6), "num_users must be an integer"),
    ],
)
def test_what_has_no_popularity_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        popularity(*arguments)


@pytest.mark.parametrize("penalty", [0.5, 20.0])
def test_ease_predicts_each_item_from_the_others_by_ridge_regression(penalty):
    R = interactions().double()
    columns = []
    for item in range(NUM_ITEMS):
        X = R.clone()
        X[:, item] = 0  # no item from itself
        A = X.T @ X + penalty * torch.eye(NUM_ITEMS).double()
        columns.append(X @ torch.linalg.solve(A, X.T @ R[:, item]))
    scores = all_scores(ease(interactions(), penalty)).double()
    # float32 has 7 digits, and the scores are near 1
    torch.testing.assert_close(scores, torch.stack(columns, dim=1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("num_neighbors", [1, 3, 100])
def test_neighbors_are_those_with_the_highest_cosine(num_neighbors):
    R = interactions()
    sets = [set(column.nonzero().flatten().tolist()) for column in R.T]

    def similarity(i, j):
        lengths = math.sqrt(len(sets[i]) * len(sets[j]))
        return len(sets[i] & sets[j]) / max(lengths, 1)

    expected = torch.zeros(NUM_USERS, NUM_ITEMS)
    for i in range(NUM_ITEMS):
        near = {j: similarity(i, j) for j in range(NUM_ITEMS) if j != i}
        last = sorted(near.values(), reverse=True)[:num_neighbors][-1]
        for j in near:
            if near[j] >= last - 1e-9:  # of equal neighbors, all
                expected[:, i] += near[j] * R[:, j]
    torch.testing.assert_close(all_scores(item_knn(R, num_neighbors)), expected)


def test_an_item_that_nobody_has_scores_0():
    for make in (item_knn, ease):
        assert (all_scores(make(interactions()))[:, 3] == 0).all()


@pytest.mark.parametrize("make", [item_knn, ease])
def test_a_table_of_scores_is_ranked_as_any_model(make):
    R = interactions()
    R[:, 0] = 0  # which is held out
    model = make(R)
    held_out, (users, items) = [0] * NUM_USERS, R.nonzero(as_tuple=True)
    full = evaluate_full_ranking(model, held_out, users, items, NUM_ITEMS, k=2)
    assert 0 <= full["ndcg"] <= full["hit_rate"] <= 1
    pairs = torch.tensor([3, 0]), torch.tensor([2, 6])
    assert model(*pairs).tolist() == all_scores(model)[pairs].tolist()
    with pytest.raises(ValueError, match=r"beyond the tables.*\(12, 7\)"):
        evaluate_ranking(model, torch.tensor([[0, NUM_ITEMS]]))
    with pytest.raises(ValueError, match=r"beyond the tables.*\(12, 7\)"):
        evaluate_ranking(model, torch.zeros(NUM_USERS + 1, 2, dtype=torch.int64))


@pytest.mark.parametrize("make", [item_knn, ease])
def test_what_is_no_table_of_interactions_is_refused(make):
    for R in (interactions().double(), 2 * interactions(), interactions()[0]):
        with pytest.raises(ValueError, match="R must be float32"):
            make(R)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0])
def test_what_cannot_be_a_weight_is_refused(value):
    with pytest.raises(ValueError, match=r"penalty=.* above 0"):
        ease(interactions(), value)
    with pytest.raises(ValueError, match="num_neighbors must be an integer"):
        item_knn(interactions(), value)


def test_ease_needs_a_penalty():
    with pytest.raises(ValueError, match="penalty=0 must be"):
        ease(interactions(), 0)
