"""Ranking metrics, on lists made by hand and against a slow plain-Python reference."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from d2lrec import (
    MF,
    evaluate_full_ranking,
    evaluate_ranking,
    hit_rate,
    ndcg,
    rank_held_out,
)
from d2lrec.rankings import Ranks


def metrics_of(*rows, k=10):
    """HR and NDCG of rows of scores whose first is that of the held-out item."""
    scores = torch.tensor(rows, dtype=torch.float32)
    candidates = torch.arange(scores.shape[1]).expand_as(scores)
    ranks = rank_held_out(scores, candidates)
    return hit_rate(ranks, k), ndcg(ranks, k)


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
    assert gain == pytest.approx(
        sum(1 / math.log2(place + 1) for place in range(1, 11)) / 100
    )


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
    """The reference tries all permutations; those with the scores in order count."""

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
            scores = {
                i: model(torch.tensor([user]), torch.tensor([i])).item() for i in row
            }
            yield sorted(row, key=scores.get, reverse=True)


def test_candidates_are_ranked_as_one_by_one():
    model, candidates = model_and_candidates()
    places = [
        best.index(row[0]) + 1
        for best, row in zip(
            sorted_lists(model, candidates), candidates.tolist(), strict=True
        )
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
    found = evaluate_full_ranking(
        model, held_out, users, items, 50, k=5, num_at_once=num_at_once
    )
    assert found["hit_rate"] == pytest.approx(sum(place <= 5 for place in places) / 30)
    gains = [1 / math.log2(place + 1) for place in places if place <= 5]
    assert found["ndcg"] == pytest.approx(
        sum(gains) / 30, rel=1e-5
    )  # 30 roundings of 6e-8


@pytest.mark.parametrize("sampled", [True, False])
def test_each_user_adds_a_share_to_the_mean(sampled):
    model, candidates = model_and_candidates()

    def evaluate(**options):
        if sampled:
            return evaluate_ranking(model, candidates, k=5, **options)
        users, seen = torch.arange(30), candidates[:, 1]
        return evaluate_full_ranking(
            model, candidates[:, 0], users, seen, 50, k=5, **options
        )

    each, means = evaluate(per_user=True), evaluate()
    assert each.keys() == means.keys()
    for name, figures in each.items():
        assert figures.shape == (30,)
        assert figures.mean().item() == means[name]
    assert set(each["hit_rate"].tolist()) == {0.0, 1.0}
    assert ((each["ndcg"] > 0) == (each["hit_rate"] > 0)).all()


def test_ranks_are_named():
    ranks = rank_held_out(torch.tensor([[1.0, 2.0, 1.0]]), torch.tensor([[4, 5, 6]]))
    assert isinstance(ranks, Ranks)
    assert (ranks.better.tolist(), ranks.tied.tolist()) == ([1], [1])
    assert ranks.better.dtype == ranks.tied.dtype == torch.int64
    assert hit_rate(ranks, k=2) == 0.5


@pytest.mark.parametrize("k", [0, -1, 2.0, True, "2", None])
def test_k_is_an_integer(k):
    ranks = Ranks(torch.tensor([0, 3]), torch.tensor([0, 0]))
    for metric in (hit_rate, ndcg):
        with pytest.raises(ValueError, match="k must be an integer, at least 1, got"):
            metric(ranks, k)
    for evaluate in evaluations(k=k):
        with pytest.raises(ValueError, match="k must be an integer, at least 1, got"):
            evaluate()


def evaluations(
    model=None, candidates=None, users=(0, 1), items=(2, 3), num_items=50, **options
):
    """Both evaluations of two users of 30, with some of their arguments replaced."""
    model = model_and_candidates()[0] if model is None else model
    candidates = torch.tensor([[0, 1], [1, 2]]) if candidates is None else candidates
    held_out = candidates[:, 0]
    return [
        lambda: evaluate_ranking(model, candidates, **options),
        lambda: evaluate_full_ranking(
            model, held_out, users, items, num_items, **options
        ),
    ]


def test_numpys_integers_are_integers():
    for found, expected in zip(
        evaluations(k=np.int64(3), num_at_once=np.int32(1)),
        evaluations(k=3),
        strict=True,
    ):
        assert found() == expected()


@pytest.mark.parametrize("num_at_once", [0, 1.0, None])
def test_the_number_of_users_at_once_is_an_integer(num_at_once):
    for evaluate in evaluations(num_at_once=num_at_once):
        with pytest.raises(
            ValueError, match="num_at_once must be an integer, at least 1"
        ):
            evaluate()


def test_without_users_there_is_no_figure():
    nobody = Ranks(torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64))
    for metric in (hit_rate, ndcg):
        with pytest.raises(ValueError, match=r"need ranks \(num_users,\), got"):
            metric(nobody)
    for evaluate in evaluations(
        candidates=torch.empty(0, 5, dtype=torch.int64), users=[], items=[]
    ):
        with pytest.raises(
            ValueError, match=r"not empty: \(0, 5\)|num_users .* at least 1, got 0"
        ):
            evaluate()


def test_ranks_that_broadcast_are_refused():
    for metric in (hit_rate, ndcg):
        with pytest.raises(
            ValueError, match=r"need ranks \(num_users,\), got \(3, 3\)"
        ):
            metric((torch.zeros(3, 1).long(), torch.zeros(3).long()))


@pytest.mark.parametrize(
    ("scores", "candidates", "message"),
    [
        (
            torch.zeros(2, 3),
            torch.zeros(2, 4).long(),
            r"one shape, .*: \(2, 3\) and \(2, 4\)",
        ),
        (
            torch.zeros(1, 3),
            torch.zeros(2, 3).long(),
            r"one shape, .*: \(1, 3\) and \(2, 3\)",
        ),
        (torch.zeros(3), torch.zeros(3).long(), "candidates must have 2 dimensions"),
        (torch.zeros(2, 0), torch.zeros(2, 0).long(), "not empty"),
        (torch.zeros(0, 2), torch.zeros(0, 2).long(), "not empty"),
        (
            torch.zeros(1, 2),
            torch.tensor([[0, -1]]),
            "candidates must be from 0 to .*, got -1",
        ),
        (torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]), "candidates must be integers"),
    ],
)
def test_what_cannot_be_ranked_is_refused(scores, candidates, message):
    with pytest.raises(ValueError, match=message):
        rank_held_out(scores, candidates)


def diverged(model):
    model.global_mean.fill_(math.nan)
    return model


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        (
            {"candidates": torch.tensor([[0, 1], [1, -2]]), "users": [], "items": []},
            "got -2",
        ),
        (
            {"candidates": torch.tensor([[50, 1], [1, 2]]), "num_items": 51},
            "beyond the tables",
        ),
        (
            {"candidates": torch.tensor([[50, 1], [1, 2]])},
            r"beyond the tables|held_out must be",
        ),
        (
            {"candidates": torch.zeros(31, 2).long(), "users": [], "items": []},
            "beyond the tables",
        ),
        ({"candidates": torch.zeros(2, 2)}, "must be integers, got torch.float32"),
        ({"model": diverged(MF(2, 30, 50))}, "a score is NaN"),
    ],
)
def test_what_a_model_does_not_have_is_refused(replaced, message):
    first, second = evaluations(**replaced)
    with pytest.raises(ValueError, match=message):
        first()
    if "got -2" not in message:  # that one is no held-out item
        with pytest.raises(ValueError, match=message):
            second()


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        (
            {"users": [0, 2]},
            "users must be from 0 to 1, got 2",
        ),  # a user without a held-out item
        ({"users": [-1, 0]}, "users must be from 0 to 1, got -1"),
        ({"items": [2, -1]}, "items must be from 0 to 49, got -1"),
        ({"items": [2, 50]}, "items must be from 0 to 49, got 50"),
        ({"items": [2]}, "as many users as items"),
        (
            {"items": torch.zeros(2, 1).long()},
            r"items must have 1 dimensions, .* \(2, 1\)",
        ),
        (
            {"candidates": torch.tensor([[-1, 0], [1, 2]])},
            "held_out must be from 0 to 49, got -1",
        ),
        ({"num_items": 50.0}, "num_items must be an integer"),
        ({"num_items": 51}, "beyond the tables"),
    ],
)
def test_interactions_that_cannot_be_left_out_are_refused(replaced, message):
    _, evaluate = evaluations(**replaced)
    with pytest.raises(ValueError, match=message):
        evaluate()


def test_there_may_be_nothing_to_leave_out():
    model, candidates = model_and_candidates()
    everything = torch.cat([candidates[:, :1], torch.arange(50).expand(30, -1)], dim=1)
    found = evaluate_full_ranking(model, candidates[:, 0], [], [], 50)
    assert found == evaluate_ranking(model, everything)


def test_what_was_seen_is_no_rival_even_where_every_score_is_the_lowest():
    model = MF(0, 1, 50, init_std=0.0)
    model.global_mean.fill_(-math.inf)
    found = evaluate_full_ranking(model, [49], [0] * 45, range(45), 50, k=1)
    assert found["hit_rate"] == pytest.approx(1 / 5)  # of the items 45 ... 49, all tied


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.uint8])
def test_ids_of_fewer_bits_give_the_same(dtype):
    model, candidates = model_and_candidates()
    users, items = torch.arange(30), candidates[:, 1]
    full = evaluate_full_ranking(model, candidates[:, 0], users, items, 50)
    assert full == evaluate_full_ranking(
        model, candidates[:, 0].to(dtype), users.to(dtype), items.to(dtype), 50
    )
    assert evaluate_ranking(model, candidates) == evaluate_ranking(
        model, candidates.to(dtype)
    )


def test_a_model_has_its_modes_again_even_after_an_error():
    model = torch.nn.Module()
    model.inner = (
        torch.nn.Dropout().eval()
    )  # its own mode, not that of the outer module
    model.forward = lambda user_id, item_id: 1 / 0
    for evaluate in evaluations(model=model):
        with pytest.raises(ZeroDivisionError):
            evaluate()
        assert (model.training, model.inner.training) == (True, False)
