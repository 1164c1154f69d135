"""The losses on positives and negatives, against loops in plain Python."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from d2lrec import BPRLoss, HingeLossbRec, SampledSoftmaxLoss

LOSSES = {"BPR": BPRLoss(), "hinge": HingeLossbRec(), "softmax": SampledSoftmaxLoss()}
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def mean(numbers):
    return sum(numbers) / len(numbers)


def bpr_by_hand(positive, negative):
    pairs = [(p, n) for p, row in zip(positive, negative, strict=True) for n in row]
    return mean([-math.log(1 / (1 + math.exp(-(p - n)))) for p, n in pairs])


def hinge_by_hand(positive, negative, margin=1):
    pairs = [(p, n) for p, row in zip(positive, negative, strict=True) for n in row]
    return mean([max(0, margin - (p - n)) for p, n in pairs])


def softmax_by_hand(positive, negative, log_q):
    rows = []
    for p, row, of_row in zip(positive, negative, log_q, strict=True):
        others = sum(
            math.exp(n) / math.exp(q) for n, q in zip(row, of_row, strict=True)
        )
        rows.append(-math.log(math.exp(p) / (math.exp(p) + others)))
    return mean(rows)


@st.composite
def tables(draw):
    """Scores of positives, (batch,), of negatives, (batch, n), and log_q like these."""
    batch, n = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    score = st.floats(-10, 10)
    rows = st.lists(score, min_size=n, max_size=n)
    each = {"min_size": batch, "max_size": batch}
    return tuple(draw(st.lists(x, **each)) for x in (score, rows, rows))


@given(tables())
def test_each_loss_is_that_of_plain_python(table):
    positive, negative, _ = table
    p, n, q = (torch.tensor(x, dtype=torch.float64) for x in table)
    p = p.unsqueeze(1)  # (batch, 1)
    expected = {
        BPRLoss()(p, n): bpr_by_hand(positive, negative),
        HingeLossbRec()(p, n): hinge_by_hand(positive, negative),
        HingeLossbRec()(p, n, margin=0.2): hinge_by_hand(positive, negative, 0.2),
        SampledSoftmaxLoss()(p, n, q): softmax_by_hand(*table),
    }
    for loss, by_hand in expected.items():
        assert loss.shape == ()
        assert loss.item() == pytest.approx(by_hand, rel=1e-9, abs=1e-9)


@each_loss
def test_one_negative_each_may_come_as_vectors(loss):
    p, n = torch.randn(2, 7, 1)
    for positive in (p, p[:, 0]):
        for negative in (n, n[:, 0]):
            assert loss(positive, negative) == loss(p, n)


@each_loss
@pytest.mark.parametrize("far", [1e4, 1e30])
def test_gradients_of_huge_scores_are_finite(loss, far):
    p = torch.tensor([[far], [-far], [0.0]], requires_grad=True)
    n = torch.tensor([[-far, far], [-far, far], [0.0, far]], requires_grad=True)
    loss(p, n).backward()
    assert p.grad.isfinite().all()
    assert n.grad.isfinite().all()
    assert p.grad.sum() < 0 < n.grad.sum()  # positives rise, negatives fall


def test_with_one_negative_the_softmax_loss_is_that_of_bpr():
    p, n = torch.randn(2, 50)
    assert SampledSoftmaxLoss()(p, n).item() == pytest.approx(BPRLoss()(p, n).item())


def test_the_corrected_sum_is_on_average_that_over_all_items():
    torch.manual_seed(0)
    scores, q = torch.randn(20), torch.rand(20) + 0.1
    q = q / q.sum()
    drawn = torch.multinomial(q.expand(200_000, -1), 8, replacement=True)
    log_q = (8 * q[drawn]).log()
    sums = (scores[drawn] - log_q).exp().sum(dim=1)
    assert sums.mean().item() == pytest.approx(scores.exp().sum().item(), rel=0.01)


@each_loss
@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ((5, 1), (4, 3)),
        ((1, 1), (4, 3)),
        ((4,), (4, 3, 1)),
        ((4, 3), (4, 3)),
        ((1, 4), (4,)),
        ((4, 1, 1), (4, 3)),
        ((), (4,)),
        ((), ()),
        ((4,), (1, 4)),
        ((0, 1), (0, 3)),
        ((4, 1), (4, 0)),
    ],
)
def test_shapes_that_make_no_pairs_are_refused(loss, positive, negative):
    with pytest.raises(ValueError, match="batch, 1"):
        loss(torch.zeros(positive), torch.zeros(negative))


@pytest.mark.parametrize("shape", [(4,), (1, 3), (4, 1), (3, 4), (5,)])
def test_log_q_of_other_shapes_is_refused(shape):
    with pytest.raises(ValueError, match="log_q"):
        SampledSoftmaxLoss()(torch.zeros(4, 1), torch.zeros(4, 3), torch.zeros(shape))


def test_log_q_may_be_a_number_or_one_for_each_shared_negative():
    p, n, q = torch.randn(4, 1), torch.randn(4, 3), torch.randn(3)
    loss = SampledSoftmaxLoss()
    assert loss(p, n, q) == loss(p, n, q.expand(4, 3))
    assert loss(p, n, 0.5) == loss(p, n, torch.full((4, 3), 0.5))
    assert loss(p[:, 0], n[:, 0], q[0]) == loss(p, n[:, :1], q[:1])
