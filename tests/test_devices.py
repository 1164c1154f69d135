"""What needs a GPU to be seen: where tensors lie, and may lie.

The functions below run in a process of their own: on a pretended GPU, for which
tests/pretend.py has changed torch there, and on a real one where there is one. The
pretended one calculates as the CPU does, so its figures are the CPU's to the bit. A
real one draws other numbers, so figures after a draw are only compared in their form.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import traceback
from functools import cache, partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import d2lrec
from d2lrec.training import train_epoch

TESTS = Path(__file__).parent
CPU = torch.device("cpu")
DEVICES = ["pretended", *(["real"] if d2lrec.try_gpu().type == "cuda" else [])]
NUM_USERS, NUM_ITEMS = 40, 70
USERS = torch.arange(NUM_USERS).repeat_interleave(6)
TWO_DEVICES = "on the device and on the CPU|on the same device|indices should be"
ITEMS = (USERS * 7 + torch.arange(6).repeat(NUM_USERS) * 11) % NUM_ITEMS


def device():
    """The device of the process: the pretended one, or else a real one."""
    return d2lrec.try_gpu()


def numbers_of(figures):
    """All numbers of dicts and sequences, whatever these hold, one after the other."""
    if isinstance(figures, dict):
        figures = figures.values()
    elif not isinstance(figures, list | tuple):
        return [figures] if isinstance(figures, float) else []
    return [number for part in figures for number in numbers_of(part)]


def check(found, expected):
    """Are they equal? On a real device, are there as many numbers, all finite?"""
    if "pretend" in sys.modules:
        assert found == expected
    found, expected = numbers_of(found), numbers_of(expected)
    assert len(found) == len(expected) > 0
    assert all(map(math.isfinite, found))


def on_both_devices(figures_of):
    """The figures are those of the CPU."""
    check(figures_of(device()), figures_of(CPU))


def without_a_draw(device):
    """What draws nothing on the device, so that a real one comes to the same."""
    torch.manual_seed(0)
    mf = d2lrec.MF(4, NUM_USERS, NUM_ITEMS, global_mean=3.5).to(device)
    gmf = d2lrec.GMF(4, NUM_USERS, NUM_ITEMS).to(device)
    adam = torch.optim.Adam(mf.parameters(), fused=True)
    by_rows = d2lrec.CatchUpAdam(gmf, compiled=device.type == "cuda")
    ratings = 1.0 + (USERS + ITEMS) % 5
    batches = d2lrec.BatchIterator(USERS, ITEMS, ratings, 32, False, device=device)
    for _ in range(5):
        train_epoch(mf, batches, nn.MSELoss(), adam)
        d2lrec.train_epoch_by_rows(gmf, batches, nn.MSELoss(), by_rows)
    users, items = USERS.to(device), ITEMS.to(device)
    R = d2lrec.interaction_matrix(users, items, NUM_USERS, NUM_ITEMS)
    fitted = [d2lrec.train_als(R, 4, 0.01), d2lrec.ease(R)]
    scores = [model(users, items).tolist() for model in (mf, gmf, *fitted)]
    candidates = torch.arange(NUM_ITEMS, device=device).expand(NUM_USERS, -1)
    return scores, d2lrec.evaluate_ranking(mf, candidates)


def same_numbers():
    """With nothing drawn, the figures are those of the CPU but for the rounding."""
    found, expected = (numbers_of(without_a_draw(x)) for x in (device(), CPU))
    assert len(found) == len(expected) > 200
    assert found == pytest.approx(expected, rel=1e-2, abs=1e-3)


def train_ratings(device):
    torch.manual_seed(0)
    model = d2lrec.MF(4, NUM_USERS, NUM_ITEMS, global_mean=3.5).to(device)
    ratings = 1 + (USERS + ITEMS) % 5
    batches = d2lrec.BatchIterator(USERS, ITEMS, ratings, 32, device=device)
    adam = torch.optim.Adam(model.parameters(), 0.01, weight_decay=1e-4, fused=True)
    with tempfile.TemporaryDirectory() as folder:
        best = Path(folder) / "best.pt"
        history = d2lrec.train(
            model, batches, d2lrec.RMSELoss(), adam, 4, monitor="rmse", checkpoint=best,
            evaluate=lambda m: {"rmse": d2lrec.rmse(m, batches)}, progress=False,
        )  # fmt: skip
        d2lrec.load_checkpoint(model, best)
    assert {parameter.device for parameter in model.parameters()} == {device}
    return (
        history.rmse.tolist(),
        d2lrec.rmse(model, batches),
        d2lrec.predict(model, 3, 5),
    )


def train_rankings(device, by_rows):
    torch.manual_seed(0)
    model = d2lrec.GMF(4, NUM_USERS, NUM_ITEMS).to(device)
    batches = d2lrec.ImplicitIterator(
        USERS, ITEMS, NUM_USERS, NUM_ITEMS, 32, device=device
    )
    candidates = torch.arange(NUM_ITEMS, device=device).expand(NUM_USERS, -1)
    options = {"train_epoch": d2lrec.train_epoch_by_rows} if by_rows else {}
    make = partial(d2lrec.CatchUpAdam, compiled=False) if by_rows else torch.optim.Adam
    optimizer = make(model.parameters() if not by_rows else model, lr=0.01)
    history = d2lrec.train(
        model, batches, nn.BCEWithLogitsLoss(), optimizer, 3, progress=False,
        evaluate=lambda model: d2lrec.evaluate_ranking(model, candidates), **options,
    )  # fmt: skip
    held_out, seen = candidates[:, 0], (USERS.to(device), ITEMS.to(device))
    full = d2lrec.evaluate_full_ranking(model, held_out, *seen, NUM_ITEMS)
    assert {parameter.device for parameter in model.parameters()} == {device}
    return history[1:].to_dict(), full


def placed_anywhere(model_on, data_on):
    """Train and evaluate with data that may lie elsewhere than the model."""
    torch.manual_seed(0)
    users, items, candidates = (
        ids.to(data_on)
        for ids in (USERS, ITEMS, torch.arange(NUM_ITEMS).expand(NUM_USERS, -1))
    )
    ratings = 1 + (users + items) % 5
    model = d2lrec.GMF(4, NUM_USERS, NUM_ITEMS).to(model_on)
    rated = d2lrec.BatchIterator(users, items, ratings, 32, device=data_on)
    drawn = d2lrec.ImplicitIterator(
        users, items, NUM_USERS, NUM_ITEMS, 32, device=data_on
    )
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    options = {"evaluate": lambda m: {"rmse": d2lrec.rmse(m, rated)}, "progress": False}
    history = d2lrec.train(model, rated, nn.MSELoss(), adam, 2, **options)
    by_rows = d2lrec.CatchUpAdam(model, lr=0.01, compiled=False)
    loss = d2lrec.train_epoch_by_rows(model, drawn, nn.BCEWithLogitsLoss(), by_rows)
    user = torch.arange(NUM_USERS, device=model_on).unsqueeze(1)
    scores = model(user, candidates.to(model_on)).detach()
    films = pd.DataFrame({"item_id": range(1, NUM_ITEMS + 1)})
    assert {parameter.device for parameter in model.parameters()} == {model_on}
    return [
        history[1:].to_dict(),
        loss,
        d2lrec.evaluate_ranking(model, candidates),
        d2lrec.evaluate_full_ranking(model, candidates[:, 3], users, items, NUM_ITEMS),
        d2lrec.hit_rate(d2lrec.rank_held_out(scores, candidates)),
        d2lrec.predict(model, users[5], items[7]),
        d2lrec.recommend(model, users[9], films, seen=items[:50]).to_dict(),
    ]


def placements():
    """Wherever model and data lie, the figures are the same."""
    expected, there = placed_anywhere(CPU, CPU), device()
    for model_on, data_on in ((there, CPU), (CPU, there), (there, there)):
        check(placed_anywhere(model_on, data_on), expected)


def columns():
    """Columns on two devices are brought together on that of the users."""
    times = (USERS + 3 * ITEMS) % 17
    expected = d2lrec.leave_one_out(USERS, ITEMS, times, NUM_ITEMS, num_negatives=5)
    for here, there in ((CPU, device()), (device(), CPU)):
        users, items = USERS.to(here), ITEMS.to(there)
        held = d2lrec.leave_one_out(users, items, times.to(there), NUM_ITEMS, 5)
        assert {column.device for column in held} == {here}
        assert [x.tolist() for x in held] == [x.tolist() for x in expected]
        unseen = d2lrec.UnseenItems(users, items, NUM_USERS, NUM_ITEMS)
        ranks = torch.zeros(NUM_USERS, dtype=torch.int64, device=there)
        assert unseen(torch.arange(NUM_USERS, device=there), ranks).device == here


def stay():
    """What makes a model of tensors leaves it where they are."""
    for place in (CPU, device()):
        users, items = USERS.to(place), ITEMS.to(place)
        R = d2lrec.interaction_matrix(users, items, NUM_USERS, NUM_ITEMS)
        counted = d2lrec.popularity(items, NUM_USERS, NUM_ITEMS)
        fitted = d2lrec.train_als(R, 4, 0.01, num_iterations=2)
        assert R.device == place
        for model in (counted, fitted):
            assert {table.device for table in model.state_dict().values()} == {place}
            model(users, items)


def mistakes():
    """What is wrong on a GPU is wrong here: else the others would prove nothing."""
    there, here = torch.arange(5, device=device()), torch.arange(5)
    for mixed in (
        lambda: there + here,
        lambda: here[there],
        lambda: torch.cat([there, here]),
    ):
        with pytest.raises(RuntimeError, match=TWO_DEVICES):
            mixed()
    with pytest.raises(TypeError, match=r"\.cpu\(\)"):
        there.numpy()
    model = d2lrec.MF(4, NUM_USERS, NUM_ITEMS).to(device())
    with pytest.raises(RuntimeError, match=TWO_DEVICES):
        model(USERS, ITEMS)
    assert there[here].cpu().equal(here)  # as on a GPU


def times():
    """What `make gpu` times, in small; compiled steps have a test of their own."""
    sys.path.append(str(TESTS.parent / "benchmarks"))
    import gpu_times

    for task in gpu_times.TASKS:
        if "by rows" not in task:
            figures = gpu_times.measure(task, quick=True)
            assert all(map(math.isfinite, figures.values())), task


FUNCTIONS = {
    "ratings": lambda: on_both_devices(train_ratings),
    "rankings": lambda: on_both_devices(partial(train_rankings, by_rows=False)),
    "by rows": lambda: on_both_devices(partial(train_rankings, by_rows=True)),
    "same numbers": same_numbers,
    "placements": placements,
    "columns": columns,
    "stay": stay,
    "times": times,
    "mistakes": mistakes,
}


def errors():
    """Call all functions: a dict from the name of one that fails to its traceback."""
    found = {}
    for name, function in FUNCTIONS.items():
        try:
            function()
        except Exception:
            found[name] = traceback.format_exc()
    return json.dumps(found)


@pytest.fixture(scope="module")
def errors_on():
    """Gives the errors on a device; one process, as each takes seconds to begin."""

    @cache
    def errors_on(name):
        install = "import pretend; pretend.install(); " if name == "pretended" else ""
        call = f"{install}import test_devices as t; print(t.errors())"
        done = subprocess.run(
            [sys.executable, "-c", call], cwd=TESTS, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return errors_on


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.slow
def test_on_a_gpu(name, device, errors_on):
    assert name not in errors_on(device), errors_on(device)[name]


@pytest.mark.parametrize("notebook", ["movielens.ipynb", "solutions/one-film.ipynb"])
@pytest.mark.slow
def test_a_notebook_on_a_pretended_gpu(tmp_path, notebook):
    path = TESTS.parent / "book" / notebook
    done = subprocess.run(
        [sys.executable, TESTS / "pretend.py", path], cwd=tmp_path, capture_output=True,
        text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
