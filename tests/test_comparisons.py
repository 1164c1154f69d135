"""The paired test: by hand, by simulation, and what it refuses."""

import math

import pytest
import torch

from d2lrec import paired_test


def test_by_hand():
    """Differences 1, 0, 0, 1: mean 1/2, variance 1/3, standard error sqrt(1/12)."""
    found = paired_test([1, 1, 0, 1], [0, 1, 0, 0])
    assert found["difference"] == 0.5
    assert found["error"] == pytest.approx(math.sqrt(1 / 12))
    assert found["z"] == pytest.approx(math.sqrt(3))
    assert found["p"] == pytest.approx(0.0832645)  # 2 (1 - Phi(1.7320508))


def test_pairs_are_what_is_compared():
    """Users differ far more than models, and yet the models can be told apart."""
    generator = torch.Generator().manual_seed(0)
    users = 100 * torch.randn(1000, generator=generator)
    first = users + 0.5 + torch.randn(1000, generator=generator)
    assert paired_test(first, users)["p"] < 1e-6
    assert paired_test(first, users.flip(0))["p"] > 0.05


def test_of_equal_models_one_in_twenty_is_below_0_05():
    generator = torch.Generator().manual_seed(0)
    hits = (torch.rand(2, 2000, 500, generator=generator) < 0.3).float()
    p = torch.tensor([paired_test(a, b)["p"] for a, b in zip(*hits, strict=True)])
    # 2,000 tests with a rate of 0.05 have a standard error of 0.005
    assert (p < 0.05).double().mean().item() == pytest.approx(0.05, abs=0.02)
    assert p.mean().item() == pytest.approx(0.5, abs=0.04)


def test_no_difference_and_nothing_but_a_difference():
    assert paired_test([1, 2, 3], [1, 2, 3])["p"] == 1
    assert paired_test([1, 2, 3], [1, 2, 3])["z"] == 0
    assert paired_test([2, 3, 4], [1, 2, 3])["p"] == 0
    assert paired_test([1, 2, 3], [2, 3, 4])["z"] == -math.inf


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ([1, 2], [1, 2, 3], "need the same users: 2 and 3"),
        ([1], [1], "need the same users: 1 and 1"),
        ([], [], "need the same users: 0 and 0"),
        ([1, math.nan], [1, 2], "NaN"),
        ([1, math.inf], [1, 2], "NaN or infinite"),
        (["a", "b"], [1, 2], "first must be numbers"),
        ([1, 2], [[1], [2]], "second must have 1 dimensions"),
    ],
)
def test_what_cannot_be_compared_is_refused(first, second, says):
    with pytest.raises(ValueError, match=says):
        paired_test(first, second)
