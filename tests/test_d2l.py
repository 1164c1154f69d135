"""D2L's protocols, and the stored run of the page d2l."""

import sys

import pandas as pd
import pytest
import torch
from pages import ROOT

sys.path.append(str(ROOT / "benchmarks"))
import d2l

from d2lrec import load_histories

SIZES = [7, 9]
RESULTS = ROOT / "d2lrec" / "results"


def random_table(seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(3, SIZES, generator=generator).float()
    drawn = torch.rand(SIZES, generator=generator)
    return scores, drawn < 0.3, drawn.argmax(dim=1)


def by_sorting(scores, seen, held_out, num_ranked, k):
    """A list for each user, sorted and searched, with equal scores by id."""
    results = []
    for user, film in enumerate(held_out.tolist()):
        ranked = [i for i in range(num_ranked) if not seen[user, i]]
        ranked.sort(key=lambda i, user=user: -scores[user, i])
        if film in ranked:
            place, last = ranked.index(film), len(ranked) - 1
            results.append((float(place < k), (last - place) / last))
        else:
            results.append((0.0, 0.0))
    return torch.tensor(results, dtype=torch.float64).T


@pytest.mark.parametrize("num_ranked", [7, 9])
@pytest.mark.parametrize("seed", range(5))
def test_ranked_like_d2l_is_a_sorted_list(seed, num_ranked):
    table = random_table(seed)
    found = d2l.ranked_like_d2l(*table, num_ranked, k=2)
    assert torch.allclose(torch.stack(found), by_sorting(*table, num_ranked, 2))


def test_ties_at_random_are_the_mean_over_orders():
    scores, seen, held_out = random_table(0)
    found = torch.stack(d2l.ranked_like_d2l(scores, seen, held_out, 9, "at random", 2))
    total = torch.zeros(2, 7, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    for _ in range(400):
        noise = 0.5 * torch.rand(SIZES, generator=generator)
        total += by_sorting(scores + noise, seen, held_out, 9, 2)
    assert torch.allclose(found, total / 400, atol=0.1)


def test_the_average_of_running_averages():
    errors = torch.tensor([3.0, 4, 1, 1])  # RMSEs of 12.5^0.5 and 1
    first = 12.5**0.5
    assert d2l.averaged_like_d2l(errors, 2) == pytest.approx(
        (first + (first + 1) / 2) / 2
    )
    assert d2l.averaged_like_d2l(errors, 4) == pytest.approx((27 / 4) ** 0.5)


def test_a_split_is_about_a_tenth_and_has_a_seed():
    first, second = (d2l.split_like_d2l(10_000, seed) for seed in (0, 1))
    assert 900 < first.sum() < 1100
    assert (first != second).any()
    assert (first == d2l.split_like_d2l(10_000, 0)).all()


def some_histories():
    users = torch.arange(7).repeat_interleave(8)
    items = torch.cat([torch.randperm(9)[:8] for _ in range(7)])
    return load_histories(users, items, torch.arange(56), *SIZES, 5)


def new_models():
    return {
        "neumf": d2l.new_neumf(SIZES),
        "mf": d2l.Pairs(d2l.MF(4, *SIZES)),
        "caser": d2l.start_like_d2l(d2l.PairwiseCaser(4, *SIZES)),
    }


@pytest.mark.parametrize("name", ["neumf", "mf", "caser"])
def test_pairs_and_table_agree(name):
    torch.manual_seed(0)
    model, histories = new_models()[name].eval(), some_histories()
    films = torch.tensor([3, 0, 8, 1, 2, 7, 5])
    with torch.no_grad():
        for p in model.parameters():
            p.normal_()
        table = d2l.table_of(model, histories.latest)
        paired, again = model.pairs(torch.arange(7), histories.latest, films, films)
    assert table.shape == (7, 9)
    assert torch.allclose(paired, table[torch.arange(7), films], atol=1e-4)
    assert torch.equal(paired, again)


def test_a_table_has_a_row_for_each_of_many_users():
    model = d2l.Pairs(d2l.MF(4, 150, 9))
    assert d2l.table_of(model, torch.zeros(150, 5)).shape == (150, 9)


@pytest.mark.parametrize("name", ["mf", "caser"])
def test_training_lowers_the_loss(name):
    torch.manual_seed(0)
    model = new_models()[name]
    history = d2l.train_pairwise(
        model, some_histories(), SIZES, 30, lr=0.05, batch_size=8, seed=0
    )
    assert history.train_loss.iloc[-1] < 0.6 < history.train_loss.iloc[1]


def test_what_is_never_a_negative_is_not_drawn():
    """With 8 of 9 films seen, the ninth is the only negative, unless it is spared."""
    histories, drawn = some_histories(), []
    missing = 36 - torch.zeros(7).index_add_(0, histories.users, histories.items + 0.0)

    class Noting(d2l.Pairs):
        def pairs(self, user, before, *films):
            drawn.append((user, films[1]))
            return super().pairs(user, before, *films)

    model = Noting(d2l.MF(4, *SIZES))
    d2l.train_pairwise(model, histories, SIZES, 1, lr=0.1, batch_size=8, seed=0)
    assert all((films == missing[users]).all() for users, films in drawn)
    with pytest.raises((ValueError, RuntimeError, ZeroDivisionError)):
        d2l.train_pairwise(model, histories, SIZES, 1, lr=0.1, batch_size=8, seed=0,
                           never=missing.long())  # fmt: skip


def test_the_stored_run_is_whole():
    runs = pd.read_csv(RESULTS / "d2l.csv", dtype={"films": str})
    trained = runs[~runs.section.isin(["all equal", "popularity"])]
    for _, group in trained.groupby(
        ["section", "step", "split", "films", "ties"], dropna=False
    ):
        assert sorted(group.seed) == [*d2l.SEEDS]
    equal = runs[(runs.section == "all equal") & (runs.ties == "by id")]
    assert equal.hit_rate.round(3).tolist() == [0.075, 0.075]
    assert equal.auc.round(3).tolist() == [0.531, 0.733]


def test_what_is_printed_has_a_place():
    printed = pd.read_csv(RESULTS / "d2l-printed.csv")
    assert printed["where"].str.startswith("https://github.com/").all()
    keys = ["section", "model", "build", "metric"]
    assert not printed.duplicated(keys).any()
