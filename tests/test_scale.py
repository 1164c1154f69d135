"""The benchmark of the page scale: its data, its optimizer, and what it stored."""

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from systems import posix_only
from torch import nn

from d2lrec import MF

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import planted
import scale
import scale_measures

MEASURED = pd.read_csv(scale.RESULTS / "scale.csv")


@pytest.mark.parametrize("num_rows", [100, 10**4, 10**7])
def test_rows_follow_the_power_law(num_rows):
    rows = planted.draw_rows(np.random.default_rng(0), 10**6, num_rows)
    assert rows.dtype == torch.int64
    assert 0 <= rows.min() <= rows.max() < num_rows
    for share in (0.01, 0.1, 0.5):
        drawn = (rows < share * num_rows).double().mean()
        expected = math.log(1 + 100 * share) / math.log(101)
        assert drawn == pytest.approx(expected, abs=0.003)  # six standard deviations


def test_a_chunk_is_the_same_again_and_unlike_others():
    truth = planted.plant(50, 20)
    again = planted.make_chunk(planted.plant(50, 20), 3)
    for one, other in zip(planted.make_chunk(truth, 3), again, strict=True):
        assert one.equal(other)
    users, items, ratings = planted.make_chunk(truth, 4)
    assert not users.equal(planted.make_chunk(truth, 3)[0])
    assert (users.max() + 1, items.max() + 1) == (50, 20)
    noise, other_noise = ratings - truth(users, items), again[2] - truth(*again[:2])
    # The standard deviation of n draws has a relative error of about 1 / sqrt(2 n).
    tolerance = 6 / math.sqrt(2 * planted.CHUNK)
    assert noise.std().item() == pytest.approx(planted.NOISE, rel=tolerance)
    correlation = np.corrcoef(noise, other_noise)[0, 1]
    assert abs(correlation) < 6 / math.sqrt(planted.CHUNK)


def test_the_stream_gives_each_chunk_once_in_batches():
    truth = planted.plant(50, 20)
    stream = planted.Stream(truth, 2)
    for _ in range(2):
        batches = list(stream)
        assert {len(ratings) for *_, ratings in batches} == {planted.BATCH}
        ratings = torch.cat([ratings for *_, ratings in batches])
        assert ratings.equal(
            torch.cat([planted.make_chunk(truth, n)[2] for n in (0, 1)])
        )


def test_the_truth_recovers_itself_and_an_untrained_model_nothing():
    truth = planted.plant(50, 20)
    found = planted.recovery(truth, truth)
    assert found["r2"] == 1
    assert found["rmse"] == pytest.approx(planted.NOISE, rel=0.015)
    assert planted.recovery(planted.learner(truth, 4, sparse=False), truth)["r2"] < 0.2


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
    optimizer = planted.RowWiseAdagrad(sparse.parameters(), lr=0.1, eps=0.01)
    sums = [torch.zeros(len(table)) for table in dense.parameters()]
    for _ in range(4):
        # Ten of six users and of five items: rows are there more than once.
        batch = torch.randint(6, (10,)), torch.randint(5, (10,))
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
    dense = torch.zeros(3, 4), torch.zeros(2, dtype=torch.int64)
    assert scale_measures.num_bytes(dense) == 3 * 4 * 4 + 2 * 8
    indices, values = torch.tensor([[1, 5]]), torch.ones(2, 4)
    sparse = torch.sparse_coo_tensor(indices, values, (100, 4), check_invariants=True)
    assert scale_measures.num_bytes([sparse]) == 2 * 8 + 2 * 4 * 4


@posix_only
@pytest.mark.parametrize("way", ["Adam", "row-wise Adagrad"])
def test_a_small_run_gives_a_row_like_those_stored(way):
    smallest = min(scale.SIZES)
    run = ["size", way, smallest]
    [setting] = [row for row in scale.settings() if [*row[:3]] == run]
    row = scale_measures.measure(*setting)
    columns = MEASURED[["sweep", "way", "interactions"]]
    [stored] = MEASURED[(columns == run).all(axis=1)].to_dict("records")
    for figure in ("rmse", "r2"):
        assert row[figure] == pytest.approx(stored[figure], abs=2e-3)
    for figure in ("parameter_mb", "gradient_mb", "state_mb"):
        assert row[figure] == pytest.approx(stored[figure], rel=1e-3)
    assert row.keys() <= set(MEASURED)


def test_the_sizes_up_to_a_hundred_million_were_run():
    adagrad = MEASURED.query("sweep == 'size' and way == 'row-wise Adagrad'")
    assert adagrad.interactions.tolist() == scale.SIZES
    assert max(scale.SIZES) == 10**8
    trained = adagrad.rmse.between(planted.NOISE, 1.15 * planted.NOISE)
    assert trained.all()
    assert len(MEASURED) == len(list(scale.settings()))
