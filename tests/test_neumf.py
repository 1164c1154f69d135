"""The script of the page neumf: its models, and its optimizers by rows."""

import copy
import importlib
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

NUM_USERS, NUM_ITEMS = 40, 70
BCE = nn.BCEWithLogitsLoss()


@pytest.fixture(scope="module")
def neumf():
    with pytest.MonkeyPatch.context() as patch:
        folder = Path(__file__).parent.parent / "benchmarks"
        patch.setattr(sys, "path", [str(folder), *sys.path])
        yield importlib.import_module("neumf")


def model_of(neumf, name, seed=0):
    """A model with larger tables than at its start: gradients far above Adam's eps."""
    torch.manual_seed(seed)
    model = {
        "GMF": lambda: neumf.GMFOfVectors(4, NUM_USERS, NUM_ITEMS),
        "MLP": lambda: neumf.MLP(8, NUM_USERS, NUM_ITEMS, [8, 4]),
        "NeuMF": lambda: neumf.NeuMF(4, NUM_USERS, NUM_ITEMS, [8, 4], mlp_factors=8),
    }[name]()
    for part in model.modules():
        if isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=0.3)
    return model


def some_batches(n=60):
    generator = torch.Generator().manual_seed(1)

    def below(high):
        return torch.randint(high, (15,), generator=generator)

    return [(below(NUM_USERS), below(NUM_ITEMS), below(2).float()) for _ in range(n)]


NAMES = ["GMF", "MLP", "NeuMF"]


@pytest.mark.parametrize("name", NAMES)
def test_adam_by_rows_takes_the_steps_of_torchs(neumf, name):
    """Both round in float32, in other orders: 60 steps of 0.01 agree to 1e-4.

    A step that is left out, or one too many, moves a parameter by up to 0.01.
    """
    ours, theirs = model_of(neumf, name), model_of(neumf, name)
    by_rows = neumf.TowerAdam(ours, 0.01, compiled=False)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.01)
    for batch in some_batches():
        found = by_rows.take_step(ours, BCE, *batch)
        expected = BCE(theirs(*batch[:2]), batch[2])
        assert found.item() == pytest.approx(expected.item(), abs=1e-5)
        adam.zero_grad()
        expected.backward()
        adam.step()
    by_rows.catch_up()
    torch.testing.assert_close(
        ours.state_dict(), theirs.state_dict(), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("name", NAMES)
def test_sgd_by_rows_takes_the_steps_of_torchs(neumf, name):
    """Here only rounding differs, which 60 steps do not let grow beyond 1e-5."""
    ours, theirs = model_of(neumf, name), model_of(neumf, name)
    by_rows = neumf.TowerSGD(ours, 0.5, compiled=False)
    sgd = torch.optim.SGD(theirs.parameters(), lr=0.5)
    for batch in some_batches():
        by_rows.take_step(ours, BCE, *batch)
        sgd.zero_grad()
        BCE(theirs(*batch[:2]), batch[2]).backward()
        sgd.step()
    torch.testing.assert_close(
        ours.state_dict(), theirs.state_dict(), rtol=0, atol=1e-5
    )


def test_the_first_layer_takes_both_vectors_side_by_side(neumf):
    model = model_of(neumf, "NeuMF")
    user, item, _ = some_batches(1)[0]
    x = torch.cat([model.U(user), model.V(item)], dim=1)  # as the paper writes it
    for layer in model.layers:
        x = layer(x).relu()
    both = torch.cat([model.P(user) * model.Q(item), x], dim=1)
    expected = model.h(both)[:, 0]
    torch.testing.assert_close(model(user, item), expected)


@pytest.mark.parametrize("name", ["MLP", "NeuMF"])
def test_ids_broadcast(neumf, name):
    model = model_of(neumf, name)
    users, items = torch.arange(5), torch.arange(7)
    table = model(users.unsqueeze(1), items)
    assert table.shape == (5, 7)
    pairs = torch.cartesian_prod(users, items)
    torch.testing.assert_close(table.flatten(), model(*pairs.T))


def test_without_a_size_the_mlp_has_that_of_gmf(neumf):
    model = neumf.NeuMF(10, NUM_USERS, NUM_ITEMS, [10, 10, 10])  # as in D2L
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert shapes["P.weight"] == shapes["U.weight"] == (NUM_USERS, 10)
    assert shapes["layers.0.weight"] == (10, 20)
    assert shapes["h.weight"] == (1, 20)


def test_put_together_scores_the_mean_of_both(neumf):
    sizes = NUM_USERS, NUM_ITEMS
    gmf, mlp = neumf.make_gmf(*sizes), neumf.make_mlp(*sizes)
    before = copy.deepcopy(gmf.state_dict())
    model = neumf.put_together(gmf, mlp, sizes)
    user, item, _ = some_batches(1)[0]
    mean = (gmf(user, item) + mlp(user, item)) / 2
    torch.testing.assert_close(model(user, item), mean)
    torch.testing.assert_close(gmf.state_dict(), before)


def test_a_row_that_waits_long_keeps_to_adam(neumf):
    """User 0 is in the first batch and in the last one only."""
    ours, theirs = model_of(neumf, "MLP"), model_of(neumf, "MLP")
    by_rows = neumf.TowerAdam(ours, 0.01, compiled=False)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.01)
    batches = [(u.clamp(min=1), i, r) for u, i, r in some_batches(120)]
    for n in (0, -1):
        batches[n][0][0] = 0
    for user, item, label in batches:
        by_rows.take_step(ours, BCE, user, item, label)
        adam.zero_grad()
        BCE(theirs(user, item), label).backward()
        adam.step()
    by_rows.catch_up()
    torch.testing.assert_close(ours.U.weight[0], theirs.U.weight[0], rtol=0, atol=1e-4)
