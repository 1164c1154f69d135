"""Training in one call: the steps are those that a reader would write."""

import pandas as pd
import pytest
import torch
from torch import nn

from d2lrec import (
    GMF,
    MF,
    BatchIterator,
    ImplicitIterator,
    load_data_ml100k,
    train,
    train_implicit,
    train_mf,
    try_gpu,
)

NUM_USERS, NUM_ITEMS = 20, 30
QUIET = {"progress": False}
USERS = torch.arange(NUM_USERS).repeat_interleave(4)
ITEMS = (USERS * 7 + torch.arange(4).repeat(NUM_USERS) * 11) % NUM_ITEMS


@pytest.fixture(scope="module")
def data():
    """Ratings in half stars, whose mean is not one that a float32 holds."""
    ratings = 0.5 + (USERS * 3 + ITEMS) % 10 / 2
    columns = {"user_id": USERS + 1, "item_id": ITEMS + 1, "rating": ratings}
    return pd.DataFrame({name: column.numpy() for name, column in columns.items()})


def states_equal(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(one[n].equal(other[n]) for n in one)


def test_train_mf_takes_the_steps_of_the_page(data):
    """As the chapter on matrix factorization has them, to the bit."""
    given = {"num_factors": 3, "lr": 0.01, "weight_decay": 1e-3, "batch_size": 16}
    model, history = train_mf(data, NUM_USERS, NUM_ITEMS, 3, **given, seed=5, **QUIET)

    torch.manual_seed(5)
    mean = data.rating.mean()
    by_hand = MF(3, NUM_USERS, NUM_ITEMS, global_mean=mean).to(try_gpu())
    adam = torch.optim.Adam(by_hand.parameters(), 0.01, weight_decay=1e-3, fused=True)
    tensors = load_data_ml100k(data, NUM_USERS, NUM_ITEMS)[:3]
    batches = BatchIterator(*tensors, 16, seed=5)
    expected = train(by_hand, batches, nn.MSELoss(), adam, 3, **QUIET)
    assert history.equals(expected)
    assert states_equal(model, by_hand)


def test_the_defaults_of_train_mf_are_those_it_shows(data):
    model, _ = train_mf(data, NUM_USERS, NUM_ITEMS, 1, **QUIET)
    given = {"num_factors": 30, "lr": 0.003, "weight_decay": 3e-4, "batch_size": 1024}
    again, _ = train_mf(data, NUM_USERS, NUM_ITEMS, 1, **given, seed=0, **QUIET)
    assert states_equal(model, again)


def test_the_global_mean_is_that_of_the_ratings(data):
    model, _ = train_mf(data, NUM_USERS, NUM_ITEMS, 0, **QUIET)
    assert model.global_mean.item() == torch.tensor(data.rating.mean()).float().item()
    texts = data.assign(rating=data.rating.astype(str))
    again, _ = train_mf(texts, NUM_USERS, NUM_ITEMS, 0, **QUIET)
    assert states_equal(model, again)


def test_the_seed_of_train_mf_counts_whatever_was_drawn_before(data):
    models = []
    for seed in (1, 1, 2):
        torch.rand(len(models))
        models.append(train_mf(data, NUM_USERS, NUM_ITEMS, 1, seed=seed, **QUIET)[0])
    assert states_equal(models[0], models[1])
    assert not states_equal(models[0], models[2])


def test_train_implicit_takes_the_steps_of_the_page():
    """As the chapter on generalized matrix factorization has them, to the bit."""
    models = []
    for _ in range(2):
        torch.manual_seed(5)
        models.append(GMF(4, NUM_USERS, NUM_ITEMS))
    model, by_hand = models
    given = {"num_negatives": 2, "lr": 0.01, "weight_decay": 1e-5, "batch_size": 16}
    history = train_implicit(model, USERS, ITEMS, 3, **given, seed=6, **QUIET)

    by_hand = by_hand.to(try_gpu())
    adam = torch.optim.Adam(by_hand.parameters(), 0.01, weight_decay=1e-5, fused=True)
    batches = ImplicitIterator(USERS, ITEMS, NUM_USERS, NUM_ITEMS, 16, 2, seed=6)
    expected = train(by_hand, batches, nn.BCEWithLogitsLoss(), adam, 3, **QUIET)
    assert history.equals(expected)
    assert states_equal(model, by_hand)


def test_the_defaults_of_train_implicit_are_those_of_ncf():
    histories = []
    for given in ({}, {"num_negatives": 4, "lr": 0.001, "batch_size": 256}):
        torch.manual_seed(0)
        model = MF(4, NUM_USERS, NUM_ITEMS)
        histories.append(train_implicit(model, USERS, ITEMS, 2, **given, **QUIET))
    assert histories[0].equals(histories[1])


def test_parameters_that_are_held_stay_as_they_are():
    model = GMF(4, NUM_USERS, NUM_ITEMS)
    nn.init.ones_(model.h.weight)
    model.h.requires_grad_(False)
    before = model.P.weight.detach().clone()
    train_implicit(model, USERS, ITEMS, 1, weight_decay=0.1, **QUIET)
    assert model.h.weight.eq(1).all()
    assert model.h.bias.eq(0).all()
    assert not model.P.weight.equal(before)


def calls(data):
    """Both functions, called alike."""
    model = MF(2, NUM_USERS, NUM_ITEMS)
    return {
        "train_mf": lambda num_epochs, **options: train_mf(
            data, NUM_USERS, NUM_ITEMS, num_epochs, **options
        )[1],
        "train_implicit": lambda num_epochs, **options: train_implicit(
            model, USERS, ITEMS, num_epochs, **options
        ),
    }


both = pytest.mark.parametrize("name", calls(None))


@both
def test_options_reach_train(name, data, tmp_path, capsys):
    options = {"monitor": "rmse", "maximize": True, "checkpoint": tmp_path / "best.pt"}
    figures = iter([1.0, 3.0, 2.0])
    evaluate = lambda model: {"rmse": next(figures)}  # noqa: E731
    history = calls(data)[name](2, evaluate=evaluate, **options, **QUIET)
    assert history.kept.tolist() == [False, True, False]
    assert (tmp_path / "best.pt").exists()
    assert capsys.readouterr().err == ""


@both
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "Invalid learning rate"),
        ({"weight_decay": -1.0}, "Invalid weight_decay"),
        ({"batch_size": 0}, "batch_size must be an integer, at least 1, got 0"),
        ({"seed": 1.5}, "seed must be an integer, at least 0, got 1.5"),
        ({"monitor": "rmse"}, "give both"),
        ({"evaluate": lambda model: 0.9}, "evaluate must return a dict"),
    ],
)
def test_refusals_come_through(name, options, message, data):
    with pytest.raises(ValueError, match=message):
        calls(data)[name](1, **options, **QUIET)
    with pytest.raises(ValueError, match="num_epochs must be an integer"):
        calls(data)[name](1.5, **QUIET)


def test_what_is_no_table_of_ratings_is_refused(data):
    twice = data.iloc[[0, 1, 0]]
    with pytest.raises(ValueError, match="more than once"):
        train_mf(twice, NUM_USERS, NUM_ITEMS, 1)
    with pytest.raises(ValueError, match="user_id must be from 1 to 19"):
        train_mf(data, NUM_USERS - 1, NUM_ITEMS, 1)
    with pytest.raises(ValueError, match="num_factors must be an integer"):
        train_mf(data, NUM_USERS, NUM_ITEMS, 1, num_factors=-1)


def test_interactions_that_do_not_fit_the_model_are_refused():
    with pytest.raises(ValueError, match="from 0 to 18"):
        train_implicit(MF(2, NUM_USERS - 1, NUM_ITEMS), USERS, ITEMS, 1)
    with pytest.raises(ValueError, match="num_negatives must be an integer"):
        train_implicit(MF(2, NUM_USERS, NUM_ITEMS), USERS, ITEMS, 1, num_negatives=-1)


@both
def test_a_rate_that_diverges_is_reported(name, data):
    with pytest.raises(FloatingPointError, match="loss is nan in epoch"):
        calls(data)[name](3, lr=1e38, **QUIET)
