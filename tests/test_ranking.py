"""Ranking metrics, on lists made by hand and against a slow plain-Python reference."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from d2lrec import MF, evaluate_full_ranking, evaluate_ranking, hit_rate, ndcg, rank_held_out


def metrics_of(*rows, k=10):
    """HR and NDCG of rows of scores whose first is that of the held-out item."""
    scores = torch.tensor(rows, dtype=torch.float32)
    candidates = torch.arange(scores.shape[1]).expand_as(scores)
    ranks = rank_held_out(scores, candidates)
    return hit_rate(*ranks, k), ndcg(*ranks, k)


def test_first_last_and_just_inside_and_outside():
    assert metrics_of([9, *range(9)]) == (1, 1)
    assert metrics_of([0, 1, 2], k=2) == (0, 0)
    assert metrics_of([1, 2, 0], k=2) == pytest.approx((1, 1 / math.log2(3)))
    assert metrics_of([1, 2, 0], k=1) == (0, 0)
    assert metrics_of([5]) == (1, 1)


def test_the_mean_is_over_users():
    assert metrics_of([9, 1, 2], [1, 9, 2], k=2) == pytest.approx((0.5, 0.5))


def test_a_constant_model_gets_what_chance_gives():
    hits, gain = metrics_of([0.0] * 100, [3.0] * 100)
    assert hits == pytest.approx(0.1)
    assert gain == pytest.approx(sum(1 / math.log2(place + 1) for place in range(1, 11)) / 100)


def test_a_held_out_item_among_its_own_negatives_is_not_its_rival():
    scores = torch.tensor([[2.0, 2.0, 3.0, 1.0]])
    better, tied = rank_held_out(scores, torch.tensor([[7, 7, 8, 9]]))
    assert (better.item(), tied.item()) == (1, 0)


def test_a_score_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        metrics_of([math.nan, 1.0])


few_values = st.lists(st.integers(0, 3), min_size=1, max_size=6)


@given(st.lists(few_values, min_size=1, max_size=3), st.integers(1, 7))
def test_the_metrics_are_means_over_all_orders_of_the_tied(rows, k):
    """The reference sorts every permutation; those that keep the scores in order count."""

    def reference(scores):
        places = []
        for order in itertools.permutations(range(len(scores))):
            ranked = [scores[position] for position in order]
            if ranked == sorted(scores, reverse=True):
                places.append(order.index(0) + 1)
        hits = sum(place <= k for place in places) / len(places)
        return hits, sum(1 / math.log2(p + 1) for p in places if p <= k) / len(places)

    for scores in rows:
        assert metrics_of(scores, k=k) == pytest.approx(reference(scores), abs=1e-6)


def model_and_candidates():
    torch.manual_seed(0)
    model = MF(4, num_users=30, num_items=50, init_std=1.0)
    return model, torch.stack([torch.randperm(50)[:20] for _ in range(30)])


def sorted_lists(model, candidates):
    """For each user the candidates, best first, by plain Python."""
    with torch.inference_mode():
        for user, row in enumerate(candidates.tolist()):
            scores = {i: model(torch.tensor([user]), torch.tensor([i])).item() for i in row}
            yield sorted(row, key=scores.get, reverse=True)


def test_candidates_are_ranked_as_one_by_one():
    model, candidates = model_and_candidates()
    places = [
        best.index(row[0]) + 1
        for best, row in zip(sorted_lists(model, candidates), candidates.tolist(), strict=True)
    ]
    expected = {
        "hit_rate": sum(place <= 5 for place in places) / 30,
        "ndcg": sum(1 / math.log2(place + 1) for place in places if place <= 5) / 30,
    }
    assert 0.1 < expected["hit_rate"] < 0.9
    model.train()
    assert evaluate_ranking(model, candidates, k=5) == pytest.approx(expected)
    assert model.training


@pytest.mark.parametrize("num_at_once", [1, 7, 256])
def test_the_full_ranking_leaves_out_what_was_seen(num_at_once):
    model, candidates = model_and_candidates()
    held_out, seen = candidates[:, 0], candidates[:, 1:9]
    everything = torch.arange(50).expand(30, -1)
    places = []
    for user, best in enumerate(sorted_lists(model, everything)):
        unseen = [item for item in best if item not in seen[user].tolist()]
        places.append(unseen.index(held_out[user]) + 1)
    users = torch.arange(30).repeat_interleave(8)
    shuffled = torch.randperm(len(users))
    users, items = users[shuffled], seen.flatten()[shuffled]
    found = evaluate_full_ranking(model, held_out, users, items, 50, k=5, num_at_once=num_at_once)
    assert found["hit_rate"] == pytest.approx(sum(place <= 5 for place in places) / 30)
    gains = [1 / math.log2(place + 1) for place in places if place <= 5]
    assert found["ndcg"] == pytest.approx(sum(gains) / 30, rel=1e-5)  # 30 roundings of 6e-8
