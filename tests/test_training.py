"""The training loop and the checkpoints it keeps."""

import inspect
import io
import re
import time
from contextlib import redirect_stderr

import numpy as np
import pandas as pd
import pytest
import torch
from systems import SEPARATE_PROCESS, posix_only

from d2lrec import (
    MF,
    BatchIterator,
    CatchUpAdam,
    load_checkpoint,
    rmse,
    save_checkpoint,
    train,
    train_epoch_by_rows,
)


@pytest.fixture
def batches():
    users, items = torch.cartesian_prod(torch.arange(5), torch.arange(6)).T
    return BatchIterator(users, items, (users + items) % 5 + 1.0, 7, device="cpu")


def fit(model, batches, num_epochs=3, lr=0.05, **options):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    return train(model, batches, torch.nn.MSELoss(), optimizer, num_epochs, **options)


def states_equal(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def state_of(model):
    """A copy of the state, which training does not change."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def giving(name, figures):
    """An `evaluate` that gives one figure after the other, whatever the model."""
    figures = iter(figures)
    return lambda model: {name: next(figures)}


def test_what_is_optional_is_given_by_name():
    parameters = inspect.signature(train).parameters.values()
    required = [p.name for p in parameters if p.default is p.empty]
    assert required == ["model", "train_iter", "loss", "optimizer", "num_epochs"]
    assert {p.kind for p in parameters if p.name not in required} == {
        inspect.Parameter.KEYWORD_ONLY
    }


def test_the_history_begins_before_the_first_epoch(batches):
    model = MF(2, 5, 6)
    untrained = rmse(model, batches)
    history = fit(model, batches, evaluate=lambda m: {"rmse": rmse(m, batches)})
    assert list(history.columns) == ["train_loss", "rmse"]
    assert history.index.tolist() == [0, 1, 2, 3]
    assert np.isnan(history.train_loss[0])
    assert history.rmse[0] == untrained
    assert history.rmse[3] == rmse(model, batches)
    assert history.train_loss[3] < history.train_loss[1]


def test_the_loss_is_averaged_over_examples_not_batches():
    """Batches of 2 and 1; the model never changes, as the learning rate is 0."""
    batches = BatchIterator(
        [0, 0, 0], [0, 0, 0], [0.0, 0.0, 6.0], 2, False, device="cpu"
    )
    model = MF(0, 1, 1, init_std=0.0)
    assert fit(model, batches, 1, lr=0.0).train_loss[1] == pytest.approx(12)  # not 18


def test_the_same_seed_gives_the_same_history(batches):
    histories = []
    for _ in range(2):
        torch.manual_seed(1)
        again = BatchIterator(
            batches.users, batches.items, batches.ratings, 7, device="cpu"
        )
        histories.append(fit(MF(2, 5, 6), again))
    assert histories[0].equals(histories[1])


class WithDropout(MF):
    """A model of parts in different modes, as when one of them is not to be trained."""

    def __init__(self, training):
        super().__init__(2, 5, 6)
        self.dropout = torch.nn.Dropout(0.5)
        self.train(training)
        self.dropout.train(not training)

    def forward(self, user_id, item_id):
        return self.dropout(super().forward(user_id, item_id))


def modes_of(model):
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("training", [True, False])
def test_train_leaves_the_mode_as_it_was(training, batches):
    model, seen = WithDropout(training), []
    before = modes_of(model)

    def evaluate(model):
        seen.append(any(modes_of(model)))
        model.train()  # a function that does not put it back
        return {"rmse": 1.0}

    fit(model, batches, evaluate=evaluate)
    assert modes_of(model) == before
    assert seen == [False] * 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, FloatingPointError])
@pytest.mark.parametrize("where", ["batches", "loss", "optimizer", "evaluate"])
@pytest.mark.parametrize("training", [True, False])
def test_after_an_error_the_mode_is_right_and_the_best_state_complete(
    training, where, error, batches, tmp_path
):
    model, path, calls = WithDropout(training), tmp_path / "best.pt", []
    before = modes_of(model)

    def at_last(name):
        calls.append(name)
        if calls.count(where) == 3:
            raise error

    class Batches:
        def __iter__(self):
            for batch in batches:
                at_last("batches")
                yield batch

    def loss(prediction, rating):
        at_last("loss")
        return (prediction - rating).square().mean()

    def evaluate(model):
        model.train(len(calls) % 2 == 0)
        at_last("evaluate")
        return {"rmse": 1.0}

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    optimizer.register_step_post_hook(lambda *_: at_last("optimizer"))
    options = {"evaluate": evaluate, "monitor": "rmse", "checkpoint": path}
    with pytest.raises(error):
        train(model, Batches(), loss, optimizer, 4, **options)
    assert modes_of(model) == before
    load_checkpoint(model, path)
    assert [file.name for file in tmp_path.iterdir()] == ["best.pt"]


@pytest.mark.parametrize(("maximize", "best_epoch"), [(False, 2), (True, 3)])
def test_the_best_state_is_kept(maximize, best_epoch, batches, tmp_path):
    scores, states = iter([5.0, 4.0, 1.0, 7.0, 1.0, 7.0]), []  # of two alike, the first

    def evaluate(model):
        states.append(state_of(model))
        return {"score": next(scores)}

    model, path = MF(2, 5, 6), tmp_path / "best.pt"
    options = {"monitor": "score", "maximize": maximize, "checkpoint": path}
    history = fit(model, batches, 5, evaluate=evaluate, **options)
    assert history.index[history.kept].tolist() == [best_epoch]
    assert states_equal(model.state_dict(), states[-1])
    load_checkpoint(model, path)
    assert states_equal(model.state_dict(), states[best_epoch])
    assert [file.name for file in tmp_path.iterdir()] == ["best.pt"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, torch.tensor(np.nan)])
@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("maximize", [False, True])
def test_a_monitored_figure_that_is_no_number_is_named(
    bad, epoch, maximize, batches, tmp_path
):
    path, model, given = tmp_path / "best.pt", MF(2, 5, 6), []
    save_checkpoint(MF(3, 5, 6), path)  # of another run

    def evaluate(model):
        given.append(bad if len(given) == epoch else 1.0)
        return {"other": np.nan, "recall": given[-1]}

    options = {"monitor": "recall", "maximize": maximize, "checkpoint": path}
    named = rf"recall is (nan|-?inf) in epoch {epoch}"
    with pytest.raises(FloatingPointError, match=named):
        fit(model, batches, 3, evaluate=evaluate, **options)
    assert len(given) == epoch + 1
    load_checkpoint(model if epoch else MF(3, 5, 6), path)


@pytest.mark.parametrize("num_epochs", [0, 2])
@pytest.mark.parametrize("maximize", [False, True])
def test_what_another_run_has_kept_is_replaced(num_epochs, maximize, batches, tmp_path):
    """Also by a run that only gets worse, or has no epoch: its first state is kept."""
    path, model = tmp_path / "best.pt", MF(2, 5, 6)
    save_checkpoint(MF(2, 5, 6), path)
    before = state_of(model)
    worse = [-5.0, -6.0, -7.0] if maximize else [5.0, 6.0, 7.0]
    options = {"monitor": "score", "maximize": maximize, "checkpoint": path}
    evaluate = giving("score", worse)
    history = fit(model, batches, num_epochs, evaluate=evaluate, **options)
    assert history.kept.tolist() == [True] + [False] * num_epochs
    load_checkpoint(model, path)
    assert states_equal(model.state_dict(), before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run_in_its_epoch(bad, batches, tmp_path):
    model, path = MF(2, 5, 6).eval(), tmp_path / "best.pt"
    batches.batch_size = len(batches.ratings)
    epochs_begun = []

    def evaluate(model):
        epochs_begun.append(1)
        return {"score": -len(epochs_begun)}

    def loss(prediction, rating):
        factor = bad if len(epochs_begun) == 2 else 1
        return (prediction - rating).square().mean() * factor

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    options = {"evaluate": evaluate, "monitor": "score", "checkpoint": path}
    with pytest.raises(FloatingPointError, match=rf"loss is {bad} in epoch 2"):
        train(model, batches, loss, optimizer, 5, **options)
    load_checkpoint(model, path)
    assert all(value.isfinite().all() for value in model.state_dict().values())
    assert not model.training


def test_a_learning_rate_that_diverges_is_reported(batches):
    model = MF(2, 5, 6, init_std=1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e3)
    with pytest.raises(FloatingPointError, match="in epoch"):
        train(model, batches, torch.nn.MSELoss(), optimizer, 20)


@pytest.mark.parametrize("options", [{"monitor": "rmse"}, {"checkpoint": "best.pt"}])
def test_monitor_and_checkpoint_go_together(options, batches):
    with pytest.raises(ValueError, match="give both"):
        fit(MF(2, 5, 6), batches, **options)


# There is no train_loss before epoch 1.
@pytest.mark.parametrize("monitor", ["recall", "train_loss"])
def test_an_unknown_monitor_is_refused(monitor, batches, tmp_path):
    options = {"monitor": monitor, "checkpoint": tmp_path / "best.pt"}
    named = rf"must give '{monitor}' and no 'kept', got \['rmse'\]"
    with pytest.raises(ValueError, match=named):
        fit(MF(2, 5, 6), batches, evaluate=lambda m: {"rmse": 1.0}, **options)
    assert list(tmp_path.iterdir()) == []


def test_the_history_says_which_epoch_is_in_the_checkpoint(batches, tmp_path):
    """Of two that are equally good, the first; the bar says what is kept so far."""
    figures = [3.0, 2.0, 4.0, 1.0, 1.0]
    options = {"monitor": "rmse", "checkpoint": tmp_path / "best.pt"}
    with redirect_stderr(io.StringIO()) as bar:
        evaluate = giving("rmse", figures)
        history = fit(MF(2, 5, 6), batches, 4, evaluate=evaluate, **options)
    assert list(history.columns) == ["train_loss", "rmse", "kept"]
    assert history.kept.tolist() == [False, False, False, True, False]
    assert history.rmse.tolist() == figures
    said = re.findall(r"rmse=([\d.]+), kept=(\d)", bar.getvalue())
    assert said[0] == ("3", "0")
    assert said[-1] == ("1", "3")


def test_without_a_monitor_nothing_is_said_of_what_is_kept(batches):
    with redirect_stderr(io.StringIO()) as bar:
        history = fit(MF(2, 5, 6), batches, evaluate=lambda m: {"rmse": 1.0})
    assert "kept" not in history
    assert "rmse=1" in bar.getvalue()
    assert "kept" not in bar.getvalue()


def test_a_figure_of_that_name_is_refused_where_it_has_a_meaning(batches, tmp_path):
    figures = {"rmse": 1.0, "kept": 5}
    history = fit(MF(2, 5, 6), batches, 1, evaluate=lambda m: figures)
    assert history.kept.tolist() == [5.0, 5.0]
    options = {"monitor": "rmse", "checkpoint": tmp_path / "best.pt"}
    with pytest.raises(ValueError, match="no 'kept', got"):
        fit(MF(2, 5, 6), batches, 1, evaluate=lambda m: figures, **options)


@pytest.mark.parametrize(
    "figures",
    [0.9, None, torch.tensor(0.9), [("rmse", 0.9)], {"rmse"}, list(range(100_000))]
    + [{"rmse": x} for x in (None, "0.9", b"1", 1j, [0.9], pd.NA, 10**400)]
    + [{"rmse": x} for x in (torch.ones(2), np.ones(2), torch.tensor(1j))],
    ids=lambda figures: repr(figures)[:30],
)
def test_what_evaluate_gives_must_be_numbers(figures, batches):
    named = "evaluate must return a dict from name to number, got"
    with pytest.raises(ValueError, match=named) as refusal:
        fit(MF(2, 5, 6), batches, evaluate=lambda m: figures)
    assert len(str(refusal.value)) < 300


NUMBERS = [2, True, np.float32(2.5), np.int64(2), np.inf]


@pytest.mark.parametrize("value", [*NUMBERS, torch.tensor(2.5), torch.tensor([2.5])])
def test_numbers_of_every_kind_become_floats(value, batches):
    history = fit(MF(2, 5, 6), batches, 1, evaluate=lambda m: {"rmse": value})
    assert history.rmse.dtype == float
    assert history.rmse.tolist() == [float(value)] * 2


def test_an_error_of_evaluate_is_left_as_it_is(batches):
    with pytest.raises(KeyError, match="mine"):
        fit(MF(2, 5, 6), batches, evaluate=lambda m: {}["mine"])


def test_a_figure_is_not_called_as_the_training_loss(batches):
    with pytest.raises(TypeError, match=r"multiple values for .* 'train_loss'"):
        fit(MF(2, 5, 6), batches, evaluate=lambda m: {"train_loss": 1.0})


@pytest.mark.parametrize(
    "num_epochs", [-1, 2.0, 1.5, True, "3", None, np.nan, np.float64(2)]
)
def test_epochs_are_counted_in_integers(num_epochs, batches):
    named = "num_epochs must be an integer, at least 0, got"
    with pytest.raises(ValueError, match=named):
        fit(MF(2, 5, 6), batches, num_epochs)


@pytest.mark.parametrize("num_epochs", [0, 1, np.int64(2)])
def test_integers_of_every_kind_count_epochs(num_epochs, batches):
    assert len(fit(MF(2, 5, 6), batches, num_epochs)) == int(num_epochs) + 1


@pytest.mark.parametrize(
    "once",
    [
        iter,
        lambda b: (each for each in b),
        lambda b: map(list, b),
        lambda b: zip(b, strict=True),
    ],
    ids=["iterator", "generator", "map", "zip"],
)
@pytest.mark.parametrize("num_epochs", [1, 3])
def test_what_gives_its_batches_once_is_refused(once, num_epochs, batches):
    model = MF(2, 5, 6)
    before = state_of(model)
    named = "gives its batches once: give a loader or a list"
    with pytest.raises(ValueError, match=named):
        fit(model, once(batches), num_epochs)
    assert states_equal(model.state_dict(), before)


@pytest.mark.parametrize("kind", ["list", "loader"])
def test_a_list_or_a_loader_gives_what_the_iterator_gives(kind, batches):
    """A loader draws from PyTorch's own generator, but here nothing else does."""
    in_order = BatchIterator(
        batches.users, batches.items, batches.ratings, 7, shuffle=False, device="cpu"
    )
    data = torch.utils.data.TensorDataset(
        in_order.users, in_order.items, in_order.ratings
    )
    loader = torch.utils.data.DataLoader(data, batch_size=7)
    histories = []
    for train_iter in (in_order, list(in_order) if kind == "list" else loader):
        torch.manual_seed(1)
        histories.append(fit(MF(2, 5, 6), train_iter))
    assert histories[0].equals(histories[1])


@pytest.mark.parametrize(
    "empty", [[], torch.utils.data.DataLoader([]), {}], ids=["list", "loader", "dict"]
)
def test_a_loader_without_examples_is_refused(empty):
    with pytest.raises(ValueError, match="train_iter gave no examples"):
        fit(MF(2, 5, 6), empty)


def test_an_optimizer_goes_with_its_epoch_function(batches):
    model = MF(2, 5, 6)
    optimizer = CatchUpAdam(model, compiled=False)
    named = r"CatchUpAdam .* is none of torch.optim: give its train_epoch"
    with pytest.raises(ValueError, match=named):
        train(model, batches, torch.nn.MSELoss(), optimizer, 1)
    options = {"train_epoch": train_epoch_by_rows, "progress": False}
    assert len(train(model, batches, torch.nn.MSELoss(), optimizer, 1, **options)) == 2


@pytest.mark.parametrize(
    ("user", "item"), [(5, 0), (-1, 0), (0, 6), (0, -1), (2**40, 0)]
)
def test_an_id_beyond_the_model_is_refused(user, item):
    batches = [
        (torch.tensor([0, user]), torch.tensor([0, item]), torch.tensor([1.0, 2.0]))
    ]
    model = MF(2, 5, 6).eval()
    with pytest.raises(ValueError, match=r"beyond the tables.*'P': \(5, .*'Q': \(6,"):
        fit(model, batches)
    assert not model.training


def keep_training(path, epochs_done):
    torch.set_num_threads(1)  # a forked process has no other threads
    torch.manual_seed(0)
    users, items = torch.cartesian_prod(torch.arange(50), torch.arange(60)).T
    batches = BatchIterator(users, items, (users + items) % 5 + 1.0, 100, device="cpu")

    def evaluate(model):
        epochs_done.value += 1
        return {"epochs": epochs_done.value}

    options = {"monitor": "epochs", "maximize": True, "checkpoint": path}
    options |= {"evaluate": evaluate, "progress": False}
    fit(MF(200, 500, 600), batches, 10_000, 0.001, **options)


@posix_only
@pytest.mark.parametrize("wait", [0.0, 0.011, 0.023])
def test_a_training_that_is_killed_leaves_a_complete_state(wait, tmp_path):
    path, epochs_done = tmp_path / "best.pt", SEPARATE_PROCESS.Value("i", 0)
    run = SEPARATE_PROCESS.Process(target=keep_training, args=(path, epochs_done))
    run.start()
    while epochs_done.value < 3:
        assert run.is_alive()
        time.sleep(0.001)
    time.sleep(wait)
    run.kill()
    run.join()
    load_checkpoint(MF(200, 500, 600), path)
