"""The scripts of the page fast: the loop with workers, and a step as it was before."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from d2lrec import GMF, CatchUpAdam

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import fast_steps
import usual_loops

NUM_USERS, NUM_ITEMS = 12, 40
BCE = nn.BCEWithLogitsLoss()


def gmf():
    torch.manual_seed(0)
    model = GMF(4, NUM_USERS, NUM_ITEMS)
    for table in (model.P, model.Q):
        nn.init.normal_(table.weight, std=0.3)
    return model


def test_workers_give_each_interaction_and_four_unseen_items(monkeypatch):
    pairs = [(user, item) for user in range(NUM_USERS) for item in range(user, 20)]
    columns = []

    def train(model, batches, optimizer):
        assert batches.num_workers == 4
        columns.extend(zip(*(torch.cat(x).tolist() for x in zip(*batches, strict=True)),
                           strict=True))  # fmt: skip

    monkeypatch.setattr(usual_loops, "train_as_usual", train)
    usual_loops.train_with_workers(None, pairs, set(pairs), NUM_ITEMS, None)
    positives = [(user, item) for user, item, label in columns if label == 1]
    negatives = [(user, item) for user, item, label in columns if label == 0]
    assert sorted(positives) == pairs
    assert len(negatives) == 4 * len(pairs)
    assert not set(negatives) & set(pairs)


def test_both_evaluations_of_usual_loops_agree():
    candidates = torch.rand(NUM_USERS, NUM_ITEMS).argsort(dim=1)[:, :20]
    found = usual_loops.evaluate_with_loader(gmf(), candidates)
    assert found == pytest.approx(usual_loops.evaluate_as_usual(gmf(), candidates))


def test_the_step_before_is_the_same_step():
    """Both round in float32, in other orders: 60 steps of 0.01 agree to 1e-4."""
    ours, theirs = gmf(), gmf()
    adam, before = CatchUpAdam(ours, compiled=False), fast_steps.Before(theirs, {})
    adam.lr = before.lr = 0.01
    for _ in range(60):
        ids = torch.randint(NUM_USERS, (15,)), torch.randint(NUM_ITEMS, (15,))
        label = torch.randint(2, (15,)).float()
        losses = [
            optimizer.step_on_batch(model, BCE, *ids, label).item()
            for model, optimizer in ((ours, adam), (theirs, before))
        ]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    adam.catch_up()
    before.catch_up()
    torch.testing.assert_close(
        ours.state_dict(), theirs.state_dict(), rtol=0, atol=1e-4
    )
