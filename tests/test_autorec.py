"""AutoRec, its masked loss, and the stored run of the page autorec."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import d2lrec
from d2lrec import ease

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import autorec

RESULTS = Path(d2lrec.__file__).parent / "results"
CLASSES = [
    autorec.AutoRec,
    autorec.WhoRated,
    autorec.Stars,
    autorec.FromMean,
    autorec.Linear,
]
each_model = pytest.mark.parametrize("make", CLASSES, ids=lambda make: make.__name__)


def some_rows(num_rows=40, num_users=12, seed=0):
    """Ratings of films with one taste: the even users like what the odd ones do not."""
    generator = torch.Generator().manual_seed(seed)
    liked = torch.rand(num_rows, 1, generator=generator) < 0.5  # by the even users
    even = torch.arange(num_users) % 2 == 0
    stars = torch.where(liked == even, 5.0, 2.0)
    return stars * (torch.rand(num_rows, num_users, generator=generator) < 0.6)


@each_model
def test_a_whole_row_comes_out_also_for_a_row_without_ratings(make):
    torch.manual_seed(0)
    model = make(7, 12).eval()
    rows = torch.cat([some_rows(3), torch.zeros(1, 12)])
    predicted = model(rows)
    assert predicted.shape == rows.shape
    assert predicted.isfinite().all()
    one_by_one = torch.cat([model(row[None]) for row in rows])
    torch.testing.assert_close(predicted, one_by_one, rtol=1e-4, atol=1e-5)


def test_the_masked_loss_is_what_plain_python_finds():
    rows, prediction = torch.tensor([[3.0, 0, 5], [0, 1, 0]]), torch.tensor(
        [[2.5, 9, 4], [9, 3, -9]]
    )  # fmt: skip
    total = 0.5**2 + 1**2 + 2**2
    assert autorec.masked_loss(prediction, rows).item() == pytest.approx(total / 6 / 2)


@each_model
def test_only_ratings_have_a_gradient(make):
    torch.manual_seed(0)
    rows = some_rows()
    prediction = make(7, 12)(rows)
    prediction.retain_grad()
    autorec.masked_loss(prediction, rows).backward()
    assert torch.equal(prediction.grad != 0, rows > 0)


def test_an_epoch_has_each_row_once_and_not_always_in_one_order():
    table = torch.arange(10.0)[:, None]
    batches = autorec.RowBatches(table, 4)
    torch.manual_seed(0)
    first, second = (torch.cat([rows for rows, _, _ in batches]) for _ in range(2))
    assert len(batches) == len([*batches]) == 3
    assert first.sort(dim=0).values.equal(table)
    assert not first.equal(second)


def test_who_rated_sees_no_stars_and_stars_no_difference_to_the_middle():
    rows = some_rows()
    others = torch.where(rows > 0, 6 - rows, 0)
    model = autorec.WhoRated(7, 12)
    assert model.reads(rows).equal(model.reads(others))
    assert autorec.Stars(7, 12).reads(rows).sum(dim=1).abs().max() < 2.5 * 12
    assert autorec.Stars(7, 12).reads(rows)[rows == 0].eq(0).all()


def test_rows_of_the_linear_model_have_one_length():
    lengths = autorec.Linear(7, 12).reads(some_rows()).norm(dim=1)
    torch.testing.assert_close(lengths, torch.full_like(lengths, 10))


def test_what_the_linear_model_adds_to_the_mean_is_linear_and_of_low_rank():
    torch.manual_seed(0)
    model, rows = autorec.Linear(3, 12).eval().double(), some_rows().double()
    mean = (rows.sum(1, keepdim=True) + 17.5) / (rows.sign().sum(1, keepdim=True) + 5)
    rest = (model(rows) - mean - model.decoder.bias).detach()
    assert torch.linalg.matrix_rank(rest, rtol=1e-6) == 3
    P, V = model.decoder.weight, model.encoder.weight
    torch.testing.assert_close(rest, (model.reads(rows) @ V.T @ P.T).detach())


def test_it_learns_a_taste_that_the_rows_share():
    rows = some_rows()
    model, history = autorec.train_autorec(
        rows, num_epochs=200, lr=0.02, weight_decay=0, batch_size=10, num_hidden=8
    )
    assert history.train_loss.iloc[-1] < 0.1 * history.train_loss.iloc[1]
    assert autorec.rmse_of_table(autorec.complete(model, rows), rows) < 0.5


def test_a_seed_gives_the_same_model_and_the_schedule_ends_at_rest():
    def trained(seed, **options):
        options = {"num_hidden": 4, "batch_size": 10, "num_epochs": 3, **options}
        return autorec.train_autorec(some_rows(), seed=seed, **options)[0]

    first, same, other = trained(0), trained(0), trained(1)
    assert first.decoder.weight.equal(same.decoder.weight)
    assert not first.decoder.weight.equal(other.decoder.weight)
    assert not trained(0, schedule=True).decoder.weight.equal(first.decoder.weight)


def test_ridge_without_its_diagonal_is_ease():
    R = (some_rows() > 0).float()
    G = (R.T @ R).double()
    B = torch.linalg.solve(G + 3 * torch.eye(len(G)), G)
    zero_diagonal = (B / (1 - B.diagonal())).fill_diagonal_(0)
    scores = (R.double() @ zero_diagonal).float()
    torch.testing.assert_close(ease(R, 3.0).scores.weight, scores)


def test_the_stored_run_is_whole():
    runs = pd.read_csv(RESULTS / "autorec.csv")
    names = ["MF", *autorec.MODELS]
    tested = runs.dropna(subset="test_rmse")
    assert tested.groupby("model", sort=False).split.apply(list).to_dict() == {
        name: [0, 1, 2, 3, 4] for name in names
    }
    assert tested.test_rmse.between(0.85, 0.95).all()
    for name, (_, weight_decays, _) in autorec.MODELS.items():
        grid = runs[(runs.model == name) & runs.valid_rmse.notna()]
        assert len(grid) == 2 * len(weight_decays)
        if len(grid):
            best = grid.loc[grid.valid_rmse.idxmin()]
            used = tested[tested.model == name]
            assert used.weight_decay.eq(best.weight_decay).all()
            assert used.dropout.eq(best.dropout).all()
    paired = pd.read_csv(RESULTS / "autorec-paired.csv")
    for second in ("MF", "AutoRec"):
        for splits in ("all", "0"):
            part = paired[(paired.second == second) & (paired.splits == splits)]
            assert list(part["first"]) == [name for name in names if name != second]


def test_the_paired_tests_are_of_each_users_mean():
    table = {"user_id": [0, 0, 1], "squared": [1.0, 3.0, 5.0]}
    one = pd.DataFrame(table).assign(model="one", split=0)
    errors = pd.concat([one, one.assign(model="two", squared=[1.0, 1.0, 1.0])])
    [first, _] = autorec.compared(errors, "two").to_dict("records")
    assert first["first"] == "one"
    assert first["difference"] == pytest.approx((1 + 4) / 2)
