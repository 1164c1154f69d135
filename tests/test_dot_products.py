"""Several dot products side by side, and the stored figures of all ranking models."""

import math
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

import d2lrec
from d2lrec import (
    ease,
    evaluate_full_ranking,
    evaluate_ranking,
    item_knn,
    popularity,
    read_data_ml1m,
)

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
from dot_products import (
    LinearAutoencoder,
    as_mf,
    best_weights,
    low_rank,
    side_by_side,
    spread_of,
    train_autoencoder,
    weights_in_tenths,
)

RESULTS = Path(d2lrec.__file__).parent / "results"
NUM_USERS, NUM_ITEMS = 15, 12
SEEDS = {  # of models with something random in them
    *("MF", "MF with c", "GMF", "softmax", "ALS, k = 64", "ALS, published settings"),
    *("ALS", "side by side"),
}
METRICS = ["hit_rate", "ndcg"]


def random_model(k, seed):
    generator = torch.Generator().manual_seed(seed)
    P = torch.randn(NUM_USERS, k, generator=generator)
    return as_mf(P, torch.randn(NUM_ITEMS, k, generator=generator))


def all_scores(model):
    with torch.no_grad():
        return model(torch.arange(NUM_USERS).unsqueeze(1), torch.arange(NUM_ITEMS))


def interactions():
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(NUM_USERS, NUM_ITEMS, generator=generator) < 0.3).float()


def test_a_bias_becomes_a_factor():
    P, Q, bias = torch.ones(2, 3), torch.ones(4, 3), torch.arange(4.0)
    model = as_mf(P, Q, bias)
    scores = model(torch.arange(2).unsqueeze(1), torch.arange(4))
    assert scores.tolist() == 2 * [[3, 4, 5, 6]]


def test_side_by_side_the_scores_add_up():
    models = [random_model(k, seed=k) for k in (1, 3, 5)]
    joined = side_by_side(models, [0.2, 0.0, 0.8])
    assert joined.P.weight.shape == (NUM_USERS, 9)
    expected = sum(
        weight * all_scores(model) / all_scores(model).std()
        for model, weight in zip(models, [0.2, 0.0, 0.8], strict=True)
    )
    torch.testing.assert_close(all_scores(joined), expected)
    assert spread_of(models[0]) == pytest.approx(all_scores(models[0]).std().item())


def test_a_table_of_low_rank_needs_no_more_factors():
    scores = all_scores(random_model(3, seed=0))
    torch.testing.assert_close(all_scores(low_rank(scores, 3)), scores)
    cut = all_scores(low_rank(scores, 2))
    lost = torch.linalg.svdvals(scores)[2]  # Eckart and Young 1936
    assert (scores - cut).norm().item() == pytest.approx(lost.item(), rel=1e-4)


def test_weights_in_tenths():
    weights = weights_in_tenths(3)
    assert len(weights) == len({*map(tuple, weights)}) == math.comb(12, 2)
    assert all(sum(w) == pytest.approx(1) and min(w) >= 0 for w in weights)
    assert [0.3, 0.6, 0.1] in weights


def test_the_best_weights_leave_out_what_only_disturbs():
    good, bad = random_model(3, seed=0), random_model(3, seed=1)
    best = all_scores(good).argmax(dim=1, keepdim=True)  # (num_users, 1)
    candidates = torch.cat([best, torch.arange(NUM_ITEMS).expand(NUM_USERS, -1)], dim=1)
    weights = best_weights([bad, good], [candidates, candidates.clone()])
    joined = side_by_side([bad, good], weights)
    assert evaluate_ranking(joined, candidates)["ndcg"] == 1
    assert weights[1] >= 0.5


def test_an_autoencoder_becomes_the_mf_that_scores_as_it_does():
    torch.manual_seed(0)
    R = interactions()
    autoencoder = LinearAutoencoder(4, R).eval()
    with torch.no_grad():
        expected = autoencoder(torch.arange(NUM_USERS))
        model = as_mf(autoencoder.X @ autoencoder.W, autoencoder.Q, autoencoder.b)
    torch.testing.assert_close(all_scores(model), expected)


def test_an_autoencoder_learns_what_goes_together():
    """Two groups of users, each with its own half of the items."""
    R = torch.zeros(NUM_USERS, NUM_ITEMS)
    R[:8, :6], R[8:, 6:] = 1, 1
    R[0, 3] = 0  # which user 0 should like
    scores = all_scores(train_autoencoder(R, num_factors=4, num_epochs=100))
    assert scores[0, 3] > scores[0, 6:].max()
    again = all_scores(train_autoencoder(R, num_factors=4, num_epochs=100))
    assert torch.equal(scores, again)


# What `make ncf` stored.


@pytest.fixture(scope="module")
def runs():
    return pd.read_csv(RESULTS / "rankings.csv")


def test_each_model_was_ranked_both_ways_with_all_seeds(runs):
    for (name, ranking), group in runs.groupby(["model", "ranking"]):
        assert ranking in ("full", "sampled")
        assert group.seed.tolist() == ([0, 1, 2] if name in SEEDS else [0])


def test_the_errors_are_those_of_a_mean_over_users(runs):
    """A hit is 1 or 0, so the variance follows from the mean."""
    trained = runs[runs.model != "chance"]  # whose ties are parts of hits
    expected = (trained.hit_rate * (1 - trained.hit_rate) / 6039) ** 0.5
    assert trained.hit_rate_error.to_numpy() == pytest.approx(expected, abs=5e-5)


def test_the_paired_tests_are_of_the_stored_means(runs):
    means = runs.groupby(["ranking", "model"])[METRICS].mean()
    paired = pd.read_csv(RESULTS / "rankings-paired.csv")
    for row in paired.itertuples():
        one, other = (
            means.loc[(row.ranking, name), row.metric]
            for name in (row.first, row.second)
        )
        assert row.difference == pytest.approx(one - other, abs=2e-5)
        assert row.z == pytest.approx(row.difference / row.error, rel=1e-3)
        assert row.p == pytest.approx(math.erfc(abs(row.z) / 2**0.5), rel=1e-2)


def test_the_last_epoch_is_the_one_that_was_ranked(runs):
    epochs = pd.read_csv(RESULTS / "ncf.csv")
    last = epochs[epochs.epoch == 20].set_index(["model", "seed"])[METRICS]
    sampled = runs[runs.ranking == "sampled"].set_index(["model", "seed"])[METRICS]
    assert len(last) == 9
    # One computes the scores pair by pair, the other for all items: a score may round
    # otherwise, and a tie of two users at most is broken by it.
    differences = (sampled.loc[last.index] - last).abs().max()
    assert (differences < 2.5 / 6040).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["popularity", "item kNN", "EASE"])
def test_a_stored_baseline_is_found_again(runs, name):
    try:
        users, items, candidates, *sizes = read_data_ml1m()
    except OSError as error:
        pytest.skip(str(error).splitlines()[0])
    if not (candidates[:, 1:] == candidates[:, :1]).any():
        pytest.skip("the stored figures are those of NCF's negatives")
    R = d2lrec.interaction_matrix(users, items, *sizes)
    model = {
        "popularity": lambda: popularity(items, *sizes),
        "item kNN": lambda: item_knn(R),
        "EASE": lambda: ease(R),
    }[name]()
    stored = runs[runs.model == name].set_index("ranking")[METRICS]
    held_out = candidates[:, 0]
    found = {
        "full": evaluate_full_ranking(model, held_out, users, items, sizes[1]),
        "sampled": evaluate_ranking(model, candidates),
    }
    for ranking, figures in found.items():
        # as above: scores of another processor round otherwise
        assert figures == pytest.approx(stored.loc[ranking].to_dict(), abs=2.5 / 6040)
