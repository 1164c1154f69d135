"""Adam by rows takes the same steps as torch.optim.Adam, which moves all rows every time."""

import shutil
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from d2lrec import GMF, MF, CatchUpAdam, ImplicitIterator, train, train_epoch_by_rows
from d2lrec.catch_up import BETA1, BETA2, EPS, LAST_TABLED, RowState, sums_to_infinity
from d2lrec.training import train_epoch

NUM_USERS, NUM_ITEMS = 40, 70


def gmf():
    """GMF with larger tables than at its start: their gradients are far above Adam's eps."""
    model = GMF(4, NUM_USERS, NUM_ITEMS)
    for table in (model.P, model.Q):
        nn.init.normal_(table.weight, std=0.1)
    return model


MODELS = {
    "GMF": gmf,
    "MF": partial(MF, 4, NUM_USERS, NUM_ITEMS, init_std=0.1),
    "MF without biases": partial(MF, 4, NUM_USERS, NUM_ITEMS, init_std=0.1, biases=False),
}
needs_a_compiler = pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler is installed"
)


def iterator(batch_size=16):
    pairs = torch.arange(NUM_USERS * NUM_ITEMS)[:: NUM_ITEMS // 6]
    users, items = pairs // NUM_ITEMS, pairs % NUM_ITEMS
    return ImplicitIterator(users, items, NUM_USERS, NUM_ITEMS, batch_size, 2, device="cpu")


def model_of(make):
    torch.manual_seed(0)
    return make()


class Waits(TorchDispatchMode):
    """Counts how often a number is read from a tensor: there, a GPU's host would wait for it."""

    count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        reads = torch.ops.aten._local_scalar_dense, torch.ops.aten.nonzero, torch.ops.aten.equal
        self.count += operation.overloadpacket in reads
        return operation(*args, **(kwargs or {}))


def distance(model, other):
    """The largest difference between parameters of two models."""
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def adam_of(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)


def by_rows_of(model):
    return CatchUpAdam(model, 0.01, compiled=False)


def trained(make, optimizer_of, num_epochs=5, **options):
    model = model_of(make)
    optimizer = optimizer_of(model)
    if isinstance(optimizer, CatchUpAdam):
        options["train_epoch"] = train_epoch_by_rows
    history = train(
        model, iterator(), nn.BCEWithLogitsLoss(), optimizer, num_epochs,
        progress=False, **options,
    )  # fmt: skip
    return model, history


def assert_adams(ours, make, num_epochs=5):
    """Our parameters are as near to those of Adam in float64 as Adam's in float32, or nearly.

    Both have rounded the same numbers as often, in another order. On three instruction sets, with
    ten seeds of each model, ours were up to RATIO times as far away; allowed is MARGIN times that.
    What a wrong formula does is in the table below.
    """
    exact, _ = trained(lambda: make().double(), adam_of, num_epochs)
    adam, _ = trained(make, adam_of, num_epochs)
    assert distance(exact, model_of(make)) > 0.1  # they have gone a long way
    assert distance(ours, exact) < BOUND * distance(adam, exact)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_the_parameters_are_those_of_adam(make):
    _, adams = trained(make, adam_of)
    ours, history = trained(make, by_rows_of)
    assert_adams(ours, make)
    assert history.train_loss[1:].tolist() == pytest.approx(adams.train_loss[1:].tolist(), rel=1e-5)


def test_without_catching_up_they_are_not():
    sparse = model_of(MODELS["MF"])
    for table in (sparse.P, sparse.Q, sparse.user_bias, sparse.item_bias):
        table.sparse = True
    lazy = torch.optim.SparseAdam(sparse.parameters(), lr=0.01)
    train(sparse, iterator(), nn.BCEWithLogitsLoss(), lazy, 5, progress=False)
    adam, _ = trained(MODELS["MF"], lambda model: torch.optim.Adam(model.parameters(), lr=0.01))
    assert distance(sparse, adam) > 0.01


@needs_a_compiler
def test_compiled_it_does_the_same():
    by_rows = partial(trained, MODELS["GMF"], num_epochs=2, train_epoch=train_epoch_by_rows)
    plain, _ = by_rows(lambda model: CatchUpAdam(model, 0.01, compiled=False))
    compiled, _ = by_rows(lambda model: CatchUpAdam(model, 0.01))
    again, _ = by_rows(lambda model: CatchUpAdam(model, 0.01))
    assert distance(compiled, plain) < 2e-5
    assert distance(compiled, again) == 0


@pytest.mark.parametrize(("done", "missed"), [(1, 1), (1, 30), (50, 7), (3000, 1000), (30_000, 90)])
def test_missed_steps_are_made_up_for(done, missed):
    """Against Adam's formulas, step by step in double precision."""
    mean, square, param, lr = 2e-3, 4e-5, 0.5, 0.01
    state = RowState(torch.tensor([[param]]))
    state.write(
        torch.tensor([0]), torch.tensor([done]), torch.tensor([[param]]),
        torch.tensor([[mean]]), torch.tensor([[square]]),
    )  # fmt: skip
    found = state.read(
        torch.tensor([0]), torch.tensor([done + missed]), lr, sums_to_infinity("cpu")
    )
    for step in range(done + 1, done + missed + 1):
        mean, square = BETA1 * mean, BETA2 * square
        root = (square / (1 - BETA2**step)) ** 0.5
        param -= lr * mean / (1 - BETA1**step) / (root + EPS)
    expected = [torch.tensor([[value]]) for value in (param, mean, square)]
    torch.testing.assert_close(list(found), expected, rtol=2e-4, atol=1e-7)


@pytest.mark.parametrize("eps_over_root", [0.01, 0.1])
def test_small_averages_feel_eps(eps_over_root):
    """Where sqrt(v) comes near eps, what is left out is of second order in eps / sqrt(v)."""
    mean = root = EPS / eps_over_root
    done, missed, lr = 10, 60, 0.01
    row, at = torch.tensor([0]), torch.tensor([[1.0]])
    state = RowState(0 * at)
    state.write(row, torch.tensor([done]), 0 * at, mean * at, root**2 * at)
    found, _, _ = state.read(row, torch.tensor([done + missed]), lr, sums_to_infinity("cpu"))
    param = without_eps = 0.0
    for step in range(done + 1, done + missed + 1):
        mean, root = BETA1 * mean, BETA2**0.5 * root
        corrected_mean, corrected_root = mean / (1 - BETA1**step), root / (1 - BETA2**step) ** 0.5
        param -= lr * corrected_mean / (corrected_root + EPS)
        without_eps -= lr * corrected_mean / corrected_root
    assert found.item() == pytest.approx(param, rel=0.02 * eps_over_root**2 + 1e-6)
    assert without_eps != pytest.approx(param, rel=0.1 * eps_over_root)


def test_a_row_that_has_missed_nothing_stays():
    state = RowState(torch.randn(3, 2))
    rows = state.every_row()
    for step in (0, 5, LAST_TABLED + 7):
        state.done[:] = step
        param, mean, square = state.read(rows, torch.tensor([step]), 0.01, sums_to_infinity("cpu"))
        assert param.equal(state.param)
        assert mean.equal(state.mean)
        assert square.equal(state.square)


@pytest.mark.parametrize(
    ("optimizer_of", "epoch"),
    [
        (lambda model: torch.optim.Adam(model.parameters(), fused=True), train_epoch),
        (lambda model: CatchUpAdam(model, compiled=False), train_epoch_by_rows),
    ],
    ids=["Adam", "CatchUpAdam"],
)
def test_an_epoch_waits_for_the_device_once(optimizer_of, epoch):
    """Drawing and shuffling the examples included, whatever the number of batches."""
    model = model_of(MODELS["GMF"])
    optimizer, batches = optimizer_of(model), iterator()
    assert len(batches) > 10
    with Waits() as waits:
        epoch(model, batches, nn.BCEWithLogitsLoss(), optimizer)
    assert waits.count == 1
    with Waits() as waits:
        sum(rating.sum().item() for _, _, rating in batches)
    assert waits.count == len(batches), "the count must see an item() in each batch"
