"""The benchmark of the page scale: its data, its optimizer, and what it stored."""

import importlib.util
import math

import numpy as np
import pandas as pd
import pytest
import torch
from test_book import ROOT
from torch import nn

from d2lrec import MF

spec = importlib.util.spec_from_file_location("scale", ROOT / "benchmarks" / "scale.py")
scale = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scale)

MEASURED = pd.read_csv(scale.RESULTS / "scale.csv")


@pytest.mark.parametrize("num_rows", [100, 10**4, 10**7])
def test_rows_follow_the_power_law(num_rows):
    rows = scale.draw_rows(np.random.default_rng(0), 10**6, num_rows)
    assert rows.dtype == torch.int64
    assert 0 <= rows.min() <= rows.max() < num_rows
    for share in (0.01, 0.1, 0.5):
        drawn = (rows < share * num_rows).double().mean()
        expected = math.log(1 + 100 * share) / math.log(101)
        assert drawn == pytest.approx(expected, abs=0.003)  # six standard deviations


def test_a_chunk_is_the_same_again_and_unlike_others():
    truth = scale.plant(50, 20)
    again = scale.make_chunk(scale.plant(50, 20), 3)
    for one, other in zip(scale.make_chunk(truth, 3), again, strict=True):
        assert one.equal(other)
    users, items, ratings = scale.make_chunk(truth, 4)
    assert not users.equal(scale.make_chunk(truth, 3)[0])
    assert (users.max(), items.max()) == (49, 19)
    noise, other_noise = ratings - truth(users, items), again[2] - truth(*again[:2])
    assert noise.std().item() == pytest.approx(
        scale.NOISE, rel=0.015
    )  # a deviation is 0.0022
    assert abs(np.corrcoef(noise, other_noise)[0, 1]) < 0.02


def test_the_stream_gives_each_chunk_once_in_batches():
    truth = scale.plant(50, 20)
    stream = scale.Stream(truth, 2)
    for _ in range(2):
        batches = list(stream)
        assert {len(ratings) for *_, ratings in batches} == {scale.BATCH}
        ratings = torch.cat([ratings for *_, ratings in batches])
        assert ratings.equal(torch.cat([scale.make_chunk(truth, n)[2] for n in (0, 1)]))


def test_the_truth_recovers_itself_and_an_untrained_model_nothing():
    truth = scale.plant(50, 20)
    found = scale.recovery(truth, truth)
    assert found["r2"] == 1
    assert found["rmse"] == pytest.approx(scale.NOISE, rel=0.015)
    assert scale.recovery(scale.learner(truth, 4, sparse=False), truth)["r2"] < 0.2


def row_wise_adagrad_by_hand(tables, grads, sums, lr, eps):
    for table, grad, total in zip(tables, grads, sums, strict=True):
        for row in range(len(table)):
            if grad[row].any():
                total[row] += (grad[row] ** 2).mean()
                table[row] -= lr * grad[row] / (total[row].sqrt() + eps)


def test_row_wise_adagrad_takes_the_steps_of_the_formula():
    torch.manual_seed(0)
    sparse, dense = MF(3, 8, 5, init_std=0.5), MF(3, 8, 5)
    dense.load_state_dict(sparse.state_dict())
    for table in sparse.children():
        table.sparse = True
    optimizer = scale.RowWiseAdagrad(sparse.parameters(), lr=0.1, eps=0.01)
    sums = [torch.zeros(len(table)) for table in dense.parameters()]
    for _ in range(4):
        batch = (
            torch.randint(6, (10,)),
            torch.randint(5, (10,)),
        )  # some rows more than once
        for model in (sparse, dense):
            model.zero_grad()
            nn.functional.mse_loss(model(*batch), torch.ones(10)).backward()
        optimizer.step()
        with torch.no_grad():
            grads = [table.grad for table in dense.parameters()]
            row_wise_adagrad_by_hand(list(dense.parameters()), grads, sums, 0.1, 0.01)
    for ours, expected in zip(sparse.parameters(), dense.parameters(), strict=True):
        assert (ours - expected).abs().max() < 1e-6
    assert sparse.P.weight[6:].equal(dense.P.weight[6:])  # in no batch
    kept = [optimizer.state[table]["sum"] for table in sparse.parameters()]
    assert [len(total) for total in kept] == [8, 5, 8, 5]


def test_memory_is_counted():
    assert scale.num_bytes([torch.zeros(3, 4), torch.zeros(2, dtype=torch.int64)]) == 64
    sparse = torch.sparse_coo_tensor(
        [[1, 5]], [[1.0] * 4] * 2, (100, 4), check_invariants=True
    )
    assert scale.num_bytes([sparse]) == 2 * 8 + 2 * 4 * 4


@pytest.mark.parametrize("way", ["Adam", "row-wise Adagrad"])
def test_a_small_run_gives_a_row_like_those_stored(way):
    row = scale.measure("size", way, 10**5, 1000, 250, scale.RANK)
    [stored] = MEASURED.query(
        f"sweep == 'size' and way == '{way}' and interactions == 10**5"
    ).to_dict("records")
    for figure in ("rmse", "r2"):
        assert row[figure] == pytest.approx(stored[figure], abs=2e-3)
    for figure in ("parameter_mb", "gradient_mb", "state_mb"):
        assert row[figure] == pytest.approx(stored[figure], rel=1e-3)
    assert row.keys() <= set(MEASURED)


def test_the_sizes_up_to_a_hundred_million_were_run_whole():
    adagrad = MEASURED.query("sweep == 'size' and way == 'row-wise Adagrad'")
    assert adagrad.interactions.tolist() == scale.SIZES
    assert max(scale.SIZES) == 10**8
    assert adagrad.rmse.between(
        scale.NOISE, 1.15 * scale.NOISE
    ).all()  # so trained, all of them
    assert len(MEASURED) == len(list(scale.settings()))
