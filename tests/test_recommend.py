"""One predicted rating, and a user's best films."""

import pandas as pd
import pytest
import torch

from d2lrec import MF, predict, recommend

FILMS = pd.DataFrame({"item_id": [1, 2, 3, 4], "title": ["A", "B", "C", "D"]})


@pytest.fixture
def model():
    """Bias-only, so that items 0...3 have the predictions 3, 5, 4 and 2 for user 0."""
    model = MF(0, 2, 4, init_std=0.0, global_mean=3.0)
    model.item_bias.weight.data[:, 0] = torch.tensor([0.0, 2.0, 1.0, -1.0])
    model.user_bias.weight.data[1] = 0.5
    return model


def test_predict(model):
    assert predict(model, 0, 1) == 5.0
    assert predict(model, 1, 3) == 2.5
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


@pytest.mark.parametrize(("user", "item"), [(-1, 0), (2, 0), (0, -1), (0, 4)])
def test_unknown_users_and_items_are_refused(model, user, item):
    wrong = user if user in (-1, 2) else item
    with pytest.raises(ValueError, match=rf"must be from 0 to \d, got {wrong}"):
        predict(model, user, item)


def test_a_film_table_of_another_length_is_refused(model):
    with pytest.raises(ValueError, match="the model has 4 items, films has 3 rows"):
        recommend(model, 0, FILMS[:3], seen=[])
