"""The training loop and the checkpoints it keeps."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch

from d2lrec import MF, BatchIterator, load_checkpoint, rmse, save_checkpoint, train

SEPARATE_PROCESS = multiprocessing.get_context("fork")


@pytest.fixture
def batches():
    users, items = torch.cartesian_prod(torch.arange(5), torch.arange(6)).T
    return BatchIterator(users, items, (users + items) % 5 + 1.0, 7, device="cpu")


def fit(model, batches, num_epochs=3, lr=0.05, **options):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    return train(model, batches, torch.nn.MSELoss(), optimizer, num_epochs, **options)


def states_equal(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


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
    batches = BatchIterator([0, 0, 0], [0, 0, 0], [0.0, 0.0, 6.0], 2, False, device="cpu")
    model = MF(0, 1, 1, init_std=0.0)
    assert fit(model, batches, 1, lr=0.0).train_loss[1] == pytest.approx(12)  # not 18


def test_the_same_seed_gives_the_same_history(batches):
    histories = []
    for _ in range(2):
        torch.manual_seed(1)
        again = BatchIterator(batches.users, batches.items, batches.ratings, 7, device="cpu")
        histories.append(fit(MF(2, 5, 6), again))
    assert histories[0].equals(histories[1])


@pytest.mark.parametrize("training", [True, False])
def test_train_leaves_the_mode_as_it_was(training, batches):
    model = MF(2, 5, 6).train(training)
    fit(model, batches)
    assert model.training == training


@pytest.mark.parametrize(("maximize", "best_epoch"), [(False, 2), (True, 3)])
def test_the_best_state_is_kept(maximize, best_epoch, batches, tmp_path):
    scores, states = iter([5.0, 4.0, 1.0, 7.0, 3.0]), []

    def evaluate(model):
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"score": next(scores)}

    model, path = MF(2, 5, 6), tmp_path / "best.pt"
    options = {"monitor": "score", "maximize": maximize, "checkpoint": path}
    fit(model, batches, 4, evaluate=evaluate, **options)
    assert states_equal(model.state_dict(), states[-1])
    load_checkpoint(model, path)
    assert states_equal(model.state_dict(), states[best_epoch])
    assert [file.name for file in tmp_path.iterdir()] == ["best.pt"]


def test_a_score_of_nan_is_never_the_best(batches, tmp_path):
    scores = iter([np.nan, 2.0, np.nan])
    fit(
        MF(2, 5, 6), batches, 2, evaluate=lambda m: {"score": next(scores)},
        monitor="score", checkpoint=tmp_path / "best.pt",
    )  # fmt: skip
    assert (tmp_path / "best.pt").exists()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run_in_its_epoch(bad, batches, tmp_path):
    model, path = MF(2, 5, 6).eval(), tmp_path / "best.pt"
    batches.batch_size = len(batches.ratings)
    epochs_begun = []

    def evaluate(model):
        epochs_begun.append(1)
        return {"score": -len(epochs_begun)}

    def loss(prediction, rating):
        return (prediction - rating).square().mean() * (bad if len(epochs_begun) == 2 else 1)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with pytest.raises(FloatingPointError, match=rf"loss is {bad} in epoch 2"):
        train(model, batches, loss, optimizer, 5, evaluate, "score", checkpoint=path)
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


def test_an_unknown_monitor_is_refused(batches, tmp_path):
    with pytest.raises(ValueError, match="monitor='recall' is not among"):
        fit(MF(2, 5, 6), batches, monitor="recall", checkpoint=tmp_path / "best.pt")


@pytest.mark.parametrize("sizes", [(3, 5, 6), (2, 4, 6), (2, 5, 7)])
def test_a_checkpoint_of_another_shape_is_refused(sizes, tmp_path):
    save_checkpoint(MF(2, 5, 6), tmp_path / "best.pt")
    model = MF(*sizes)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"does not fit the model: .*\(5, 2\)"):
        load_checkpoint(model, tmp_path / "best.pt")
    assert states_equal(model.state_dict(), before)


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", "first half"])
def test_a_damaged_checkpoint_is_refused(damage, tmp_path):
    path = tmp_path / "best.pt"
    save_checkpoint(MF(2, 5, 6), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage == "first half" else damage)
    with pytest.raises(ValueError, match="is not a checkpoint of a model"):
        load_checkpoint(MF(2, 5, 6), path)


def test_a_pickled_object_is_not_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    torch.save(Trap(), tmp_path / "trap.pt")
    with pytest.raises(ValueError, match="is not a checkpoint of a model"):
        load_checkpoint(MF(2, 5, 6), tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()


def test_a_missing_checkpoint_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"best\.pt"):
        load_checkpoint(MF(2, 5, 6), tmp_path / "best.pt")


def keep_saving(path):
    model = MF(200, 1000, 2000)
    while True:
        save_checkpoint(model, path)


@pytest.mark.parametrize("wait", [0.0, 0.003, 0.007, 0.013])
def test_a_killed_run_leaves_no_damaged_checkpoint(wait, tmp_path):
    path = tmp_path / "best.pt"
    run = SEPARATE_PROCESS.Process(target=keep_saving, args=(path,))
    run.start()
    while not path.exists():
        time.sleep(0.001)
    time.sleep(0.05 + wait)
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    load_checkpoint(MF(200, 1000, 2000), path)


def test_a_failed_write_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path, model = tmp_path / "best.pt", MF(2, 5, 6)
    save_checkpoint(model, path)
    monkeypatch.setattr(os, "replace", lambda *args: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(MF(2, 5, 6), path)
    other = MF(2, 5, 6)
    load_checkpoint(other, path)
    assert states_equal(model.state_dict(), other.state_dict())
    assert [file.name for file in tmp_path.iterdir()] == ["best.pt"]
