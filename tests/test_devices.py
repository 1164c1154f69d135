"""What needs a GPU to be seen, on a pretended one: all tensors of a training lie on its
device.

Each function below runs in a process of its own, in which tests/pretend.py has changed
torch.
"""

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

import d2lrec

TESTS = Path(__file__).parent
NUM_USERS, NUM_ITEMS = 40, 70
USERS = torch.arange(NUM_USERS).repeat_interleave(6)
ITEMS = (USERS * 7 + torch.arange(6).repeat(NUM_USERS) * 11) % NUM_ITEMS


def on_both_devices(figures_of):
    """The figures are those of the CPU, to the bit."""
    from pretend import CPU, DEVICE

    assert figures_of(DEVICE) == figures_of(CPU)


def train_ratings(device):
    torch.manual_seed(0)
    model = d2lrec.MF(4, NUM_USERS, NUM_ITEMS, global_mean=3.5).to(device)
    ratings = 1 + (USERS + ITEMS) % 5
    batches = d2lrec.BatchIterator(USERS, ITEMS, ratings, 32, device=device)
    adam = torch.optim.Adam(model.parameters(), 0.01, weight_decay=1e-4, fused=True)
    with tempfile.TemporaryDirectory() as folder:
        best = Path(folder) / "best.pt"
        history = d2lrec.train(
            model, batches, d2lrec.RMSELoss(), adam, 4, progress=False,
            evaluate=lambda model: {"rmse": d2lrec.rmse(model, batches)},
            monitor="rmse", checkpoint=best,
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


def mixtures():
    """Batches, candidates and interactions land on the model's device by themselves."""
    from pretend import CPU, DEVICE

    for there, here in ((DEVICE, CPU), (CPU, DEVICE)):
        model = d2lrec.MF(4, NUM_USERS, NUM_ITEMS).to(there)
        batches = d2lrec.BatchIterator(USERS, ITEMS, 1 + USERS % 5, 32, device=here)
        candidates = torch.arange(NUM_ITEMS, device=here).expand(NUM_USERS, -1)
        pairs = candidates[:, 0], USERS.to(here), ITEMS.to(here)
        for epoch, adam in (
            (d2lrec.training.train_epoch, torch.optim.Adam(model.parameters())),
            (d2lrec.train_epoch_by_rows, d2lrec.CatchUpAdam(model, compiled=False)),
        ):
            assert epoch(model, batches, d2lrec.RMSELoss(), adam) > 0
        assert d2lrec.rmse(model, batches) > 0
        assert 0 <= d2lrec.evaluate_ranking(model, candidates)["hit_rate"] <= 1
        assert 0 <= d2lrec.evaluate_full_ranking(model, *pairs, NUM_ITEMS)["ndcg"] <= 1
        assert {parameter.device for parameter in model.parameters()} == {there}
        popular = d2lrec.popularity(pairs[2], NUM_USERS, NUM_ITEMS)
        R = d2lrec.interaction_matrix(*pairs[1:], NUM_USERS, NUM_ITEMS)
        fitted = d2lrec.train_als(R, 2, penalty=0.1, num_iterations=1)
        for model in (popular, fitted):
            assert {parameter.device for parameter in model.parameters()} == {here}


def mistakes():
    """What is wrong on a GPU is wrong here: else the others would prove nothing."""
    from pretend import DEVICE

    there, here = torch.arange(5, device=DEVICE), torch.arange(5)
    for mixed in (
        lambda: there + here,
        lambda: here[there],
        lambda: torch.cat([there, here]),
    ):
        with pytest.raises(RuntimeError, match="on the device and on the CPU"):
            mixed()
    with pytest.raises(TypeError, match=r"use \.cpu\(\) first"):
        there.numpy()
    model = d2lrec.MF(4, NUM_USERS, NUM_ITEMS).to(DEVICE)
    with pytest.raises(RuntimeError, match="on the device and on the CPU"):
        model(USERS, ITEMS)
    assert there[here].cpu().equal(here)  # as on a GPU


FUNCTIONS = {
    "ratings": lambda: on_both_devices(train_ratings),
    "rankings": lambda: on_both_devices(partial(train_rankings, by_rows=False)),
    "by rows": lambda: on_both_devices(partial(train_rankings, by_rows=True)),
    "mixtures": mixtures,
    "mistakes": mistakes,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_on_a_pretended_gpu(name):
    call = (
        "import pretend; pretend.install(); import test_devices; "
        f"test_devices.FUNCTIONS[{name!r}]()"
    )
    done = subprocess.run(
        [sys.executable, "-c", call], cwd=TESTS, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("notebook", ["movielens.ipynb", "solutions/one-film.ipynb"])
def test_a_notebook_on_a_pretended_gpu(tmp_path, notebook):
    path = TESTS.parent / "book" / notebook
    done = subprocess.run(
        [sys.executable, TESTS / "pretend.py", path], cwd=tmp_path, capture_output=True,
        text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
