"""One predicted rating, and a user's best films."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_devices import DEVICES

import d2lrec
from d2lrec import GMF, MF, predict, recommend

FILMS = pd.DataFrame({"item_id": [1, 2, 3, 4], "title": ["A", "B", "C", "D"]})


def make_model():
    """Bias-only, so that items 0...3 have the predictions 3, 5, 4 and 2 for user 0."""
    model = MF(0, 2, 4, init_std=0.0, global_mean=3.0)
    model.item_bias.weight.data[:, 0] = torch.tensor([0.0, 2.0, 1.0, -1.0])
    model.user_bias.weight.data[1] = 0.5
    return model


@pytest.fixture
def model():
    return make_model()


def test_predict(model):
    assert predict(model, 0, 1) == 5.0
    assert predict(model, 1, 3) == 2.5
    assert predict(model, np.int32(1), torch.tensor(3)) == 2.5
    assert isinstance(predict(model, 0, 0), float)


def test_recommend_ranks_what_the_user_has_not_seen(model):
    top = recommend(model, 0, FILMS, seen=[1])
    assert top.title.tolist() == ["C", "A", "D"]
    assert top.prediction.tolist() == [4.0, 3.0, 2.0]
    assert top.index.tolist() == [2, 0, 3]
    assert recommend(model, 0, FILMS, seen=[], num_films=2).title.tolist() == ["B", "C"]
    assert recommend(model, 0, FILMS, seen=[0, 1, 1]).title.tolist() == ["C", "D"]


def test_a_user_who_has_seen_all_gets_an_empty_list(model):
    assert recommend(model, 0, FILMS, seen=range(4)).empty


@given(
    order=st.permutations(range(4)),
    labels=st.lists(st.integers(0, 2), min_size=4, max_size=4),
    seen=st.sets(st.integers(0, 3)),
    num_films=st.integers(1, 5),
)
def test_films_are_matched_by_item_id_whatever_their_order_and_labels(
    order, labels, seen, num_films
):
    films = FILMS.iloc[order].set_axis(labels)
    predictions = {"A": 3.0, "B": 5.0, "C": 4.0, "D": 2.0}
    best_first = [title for title in "BCAD" if "ABCD".index(title) not in seen]
    expected = best_first[:num_films]
    found = recommend(make_model(), 0, films, seen, num_films)
    assert found.title.tolist() == expected
    assert found.prediction.tolist() == [predictions[title] for title in expected]
    label_of = dict(zip(films.title, labels, strict=True))
    assert found.index.tolist() == [label_of[title] for title in expected]
    assert list(films) == ["item_id", "title"]  # the reader's table stays as it was


COLLECTIONS = [[1, 3], (3, 1), {1, 3}, frozenset({1, 3}), {1: "", 3: ""}.keys()]
COLLECTIONS += [range(1, 4, 2), torch.tensor([1, 3]), torch.tensor([1, 3]).int()]
COLLECTIONS += [np.array([3, 1], "uint8"), np.array([3, 0, 1])[::-2]]
COLLECTIONS += [pd.Series([1, 3], index=[7, 9])]


@pytest.mark.parametrize("seen", COLLECTIONS, ids=lambda seen: type(seen).__name__)
def test_what_was_seen_may_come_in_any_form(model, seen):
    assert recommend(model, 0, FILMS, seen).title.tolist() == ["C", "A"]


@pytest.mark.parametrize(
    "nothing", [[], (), set(), torch.tensor([]), pd.Series([]), np.array([])]
)
def test_nothing_may_have_been_seen(model, nothing):
    assert len(recommend(model, 0, FILMS, nothing)) == 4


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        ([-1], "seen must be from 0 to 3, got -1"),
        ([0, 4], "seen must be from 0 to 3, got 4"),
        ([1.0], "seen must be integers, got torch.float64"),
        ([math.nan], "seen must be integers"),
        ([True, False, False, True], "seen must be integers, got torch.bool"),
        (["1"], "seen must be numbers"),
        (None, "seen must be numbers"),
        (3, r"seen must have 1 dimensions, not the shape \(\)"),
        (
            torch.zeros(2, 1).long(),
            r"seen must have 1 dimensions, not the shape \(2, 1\)",
        ),
    ],
)
def test_what_cannot_have_been_seen_is_refused(model, seen, message):
    with pytest.raises(ValueError, match=message):
        recommend(model, 0, FILMS, seen)


@pytest.mark.parametrize(
    "wrong", [-1, 9, 2**62, 1.0, 0.5, True, "1", None, [1], math.nan]
)
def test_unknown_users_and_items_are_refused(model, wrong):
    with pytest.raises(ValueError, match=r"user_id must (be|have)"):
        predict(model, wrong, 0)
    with pytest.raises(ValueError, match=r"item_id must (be|have)"):
        predict(model, 0, wrong)
    with pytest.raises(ValueError, match=r"user_id must (be|have)"):
        recommend(model, wrong, FILMS, [])


@pytest.mark.parametrize(
    ("films", "message"),
    [
        (FILMS[:3], "each item_id from 1 to 4 once, got 3 rows with 3 of them"),
        (pd.concat([FILMS, FILMS[:1]]), "got 5 rows with 4 of them"),
        (FILMS.assign(item_id=[1, 2, 2, 4]), "got 4 rows with 3 of them"),
        (
            FILMS.assign(item_id=[1, 2, 3, 5]),
            "item_id must be .* 1 to 4 .*IdMap.* got 5 in row 3",
        ),
        (FILMS.assign(item_id=[0, 1, 2, 3]), "item_id must be .* got 0 in row 0"),
        (FILMS.assign(item_id=[1, 2, None, 4]), "item_id must be .* got nan in row 2"),
        (
            FILMS.assign(item_id=["tt1", "tt2", "tt3", "tt4"]),
            "item_id must be .* got 'tt1'",
        ),
        (FILMS[["title"]], r"films must be a DataFrame .*'item_id'.* got \['title'\]"),
        (FILMS.title, "films must be a DataFrame"),
        (["A", "B", "C", "D"], "films must be a DataFrame"),
    ],
)
def test_a_table_of_other_films_is_refused(model, films, message):
    with pytest.raises(ValueError, match=message):
        recommend(model, 0, films, seen=[])


def test_the_numbers_of_films_may_be_digits_in_strings(model):
    films = FILMS.assign(item_id=["4", "3", "2", "1"])
    assert recommend(model, 0, films, []).title.tolist() == ["C", "B", "D", "A"]


@pytest.mark.parametrize("num_films", [0, -1, 2.0, "2", None, True])
def test_the_number_of_films_is_an_integer(model, num_films):
    with pytest.raises(ValueError, match="num_films must be an integer, at least 1"):
        recommend(model, 0, FILMS, [], num_films)


def test_a_model_of_nan_is_refused(model):
    model.item_bias.weight.data[3] = math.nan
    for call in (lambda: recommend(model, 1, FILMS, []), lambda: predict(model, 1, 0)):
        with pytest.raises(ValueError, match="NaN for user 1: has it diverged"):
            call()


def test_predictions_are_those_of_a_model_that_is_not_in_training():
    class Dropping(GMF):
        def forward(self, user_id, item_id):
            score = super().forward(user_id, item_id)
            return torch.zeros_like(score) if self.training else score

    model = Dropping(2, 2, 4).train()
    model.h.bias.data.fill_(5.0)
    assert predict(model, 0, 0) == pytest.approx(5, abs=0.1)
    recommend(model, 0, FILMS, [])
    assert model.training


def recommend_on_a_gpu():
    """To be called in a process of its own, where pretend.py may have changed torch."""
    there, model = d2lrec.try_gpu(), make_model()
    for on_gpu in (model, make_model().to(there)):
        for seen in ([1], {1}, torch.tensor([1]), torch.tensor([1]).to(there)):
            found = recommend(on_gpu, 0, FILMS, seen)
            assert found.equals(recommend(model, 0, FILMS, [1]))
        for item_id in (3, torch.tensor(3), torch.tensor(3).to(there)):
            assert predict(on_gpu, torch.tensor(1).to(there), item_id) == 2.5
    with pytest.raises(ValueError, match="seen must be from 0 to 3, got 4"):
        recommend(model, 0, FILMS, torch.tensor([1, 4]).to(there))


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_the_model_and_what_was_seen_may_be_on_any_device(device):
    install = "import pretend; pretend.install(); " if device == "pretended" else ""
    call = f"{install}import test_recommendations as t; t.recommend_on_a_gpu()"
    done = subprocess.run(
        [sys.executable, "-c", call],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
