"""The losses on one model, and the stored runs of the page ranking-losses."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import d2lrec
from d2lrec import evaluate_full_ranking
from d2lrec.baselines import ScoreTable

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import losses

RESULTS = Path(d2lrec.__file__).parent / "results"
NUM_USERS, NUM_ITEMS = SIZES = [90, 40]
each_loss = pytest.mark.parametrize("name", losses.LOSSES)


def some_interactions(seed=0):
    """Users with 0 to 30 films, of which the first are watched most; some twice."""
    generator = torch.Generator().manual_seed(seed)
    likes = torch.linspace(0.8, 0.05, NUM_ITEMS).expand(NUM_USERS, -1)
    table = torch.rand(SIZES, generator=generator) < likes
    table[5], table[6, 30:] = False, False
    return table, table.nonzero(as_tuple=True)


@pytest.mark.parametrize("popular", [False, True])
def test_batches_have_each_interaction_once_and_only_unseen_negatives(popular):
    table, (users, items) = some_interactions()
    torch.manual_seed(0)
    batches = losses.RankingBatches(users, items, SIZES, 3, popular)
    picks, found = [], []
    for of_batch, _, rows in batches:
        assert torch.equal(of_batch[rows[:, 0]], rows[:, 1])
        found.append(rows[:, 1:3])
        picks.append(rows)
    picks, found = torch.cat(picks), torch.cat(found)
    expected = torch.stack([users, items], dim=1)
    assert torch.equal(found.unique(dim=0), expected)  # sorted, as nonzero sorts
    assert picks.shape == (len(users), 6)
    assert not table[picks[:, 1:2], picks[:, 3:]].any()


def test_popular_negatives_are_drawn_by_how_often_a_film_occurs():
    table, (users, items) = some_interactions()
    torch.manual_seed(0)
    batches = losses.RankingBatches(users, items, SIZES, 2000, popular=True)
    seen = table[6:7]
    drawn = batches.negatives_of(torch.zeros(50, dtype=torch.int64), seen)
    share = torch.bincount(drawn.flatten(), minlength=NUM_ITEMS) / drawn.numel()
    counts = torch.bincount(items, minlength=NUM_ITEMS) * ~table[6]
    # 100,000 draws: a share of 0.1 has an error of 0.001.
    torch.testing.assert_close(share, counts / counts.sum(), rtol=0, atol=0.006)


def test_scores_are_picked_from_the_table():
    torch.manual_seed(0)
    table = torch.randn(4, NUM_ITEMS)
    picks = torch.tensor([[0, 7, 3, 1, 2], [3, 9, 0, 39, 38]])
    positive, negative = losses.pick_scores(table, picks)
    assert torch.equal(positive, torch.stack([table[0, 3:4], table[3, :1]]))
    assert torch.equal(negative, torch.stack([table[0, 1:3], table[3, [39, 38]]]))


def test_the_pointwise_loss_is_that_of_plain_python():
    positive, negative = torch.tensor([[0.5], [-1.0]]), torch.tensor([[2.0], [0.0]])
    p, n = torch.sigmoid(positive), torch.sigmoid(negative)
    by_hand = -(p.log().sum() + (1 - n).log().sum()) / 4
    assert losses.PointwiseLoss()(positive, negative).item() == pytest.approx(
        by_hand.item()
    )


@pytest.mark.parametrize("popular", [False, True])
def test_the_corrected_sum_is_that_over_the_unseen_films(popular):
    table, (users, items) = some_interactions()
    torch.manual_seed(0)
    batches = losses.RankingBatches(users, items, SIZES, 5000, popular)
    loss = losses.CorrectedSoftmax(batches)
    scores, user = torch.randn(NUM_ITEMS), 6
    place = torch.zeros(1, dtype=torch.int64)
    negative = batches.negatives_of(place, table[user : user + 1])
    row = torch.tensor([[0, user, 0]])
    found = loss(scores.unsqueeze(0), torch.cat([row, negative], dim=1))
    over_all = torch.cat([scores[:1], scores[~table[user]]]).logsumexp(0) - scores[0]
    assert found.item() == pytest.approx(over_all.item(), abs=0.05)


def test_the_full_softmax_is_the_cross_entropy_over_all_films():
    torch.manual_seed(0)
    table = torch.randn(3, NUM_ITEMS)
    picks = torch.tensor([[0, 8, 4, 1], [2, 3, 5, 1], [2, 3, 6, 1]])
    expected = torch.nn.functional.cross_entropy(table[[0, 2, 2]], picks[:, 2])
    assert losses.full_softmax(table, picks).item() == pytest.approx(expected.item())


@each_loss
def test_training_lowers_the_loss_and_is_the_same_again(name):
    _, (users, items) = some_interactions()
    curves = []
    for _ in range(2):
        batches, loss = losses.training_of(name, users, items, SIZES)
        model, history = losses.train_by(batches, loss, SIZES, 12, 0.02, 1e-6)
        curves.append(history.train_loss[1:])
    assert curves[0].equals(curves[1])
    assert curves[0].iloc[-1] < 0.97 * curves[0].iloc[0]
    assert losses.all_scores(model).isfinite().all()


def test_the_quick_ndcg_is_that_of_the_full_ranking():
    table, (users, items) = some_interactions()
    torch.manual_seed(0)
    model = losses.SoftmaxMF(8, *SIZES)
    held_out = (~table).float().multinomial(1)[:, 0]
    found = losses.ndcg_of(model, held_out, table)
    scores = ScoreTable(losses.all_scores(model))
    expected = evaluate_full_ranking(scores, held_out, users, items, NUM_ITEMS)
    assert found == pytest.approx(expected["ndcg"], rel=1e-5)


def test_the_stored_runs_are_complete_and_bpr_is_at_the_level_of_gmf():
    runs = pd.read_csv(RESULTS / "losses.csv")
    assert list(runs.loss.unique()) == list(losses.LOSSES)
    assert (runs.groupby(["loss", "ranking"]).seed.apply(list).map(len) == 3).all()
    means = runs[runs.ranking == "sampled"].groupby("loss").hit_rate.mean()
    assert means["BPR"] >= 0.6935  # 0.694, as printed
    tried = pd.read_csv(RESULTS / "losses-chosen.csv")
    assert tried.groupby("loss").size().nunique() == 1  # a search of one size
    best = tried.loc[tried.groupby("loss").ndcg.idxmax()].set_index("loss")
    chosen = runs.drop_duplicates("loss").set_index("loss")
    columns = ["lr", "penalty", "epochs"]
    assert best.loc[chosen.index, columns].eq(chosen[columns]).all(axis=None)
    paired = pd.read_csv(RESULTS / "losses-paired.csv")
    assert list(chosen.index) == list(tried.loss.unique())
    assert set(paired["first"]) == set(losses.LOSSES)
