"""The benchmarks: that tables, pictures and pages say the same, and mean it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from systems import posix_only
from torch import nn

from d2lrec import MF, evaluate_ranking

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import als_large
import clock
import compare
import contest
import own_data
import pictures
import summary
from contenders import CONTENDERS, ML1M, ML100K, rounds
from softmax import train_softmax

ROOT = Path(__file__).parent.parent
CURVES, SUMMARY = pd.read_csv(compare.CURVES), pd.read_csv(compare.SUMMARY)
LARGE = pd.read_csv(als_large.RESULTS / "als-large.csv")
PICTURES = {"benchmark-rankings.svg", "benchmark-ratings.svg"}
PORT_EPOCHS = CURVES[CURVES.contender == "usual loop"].epoch.max()


def test_the_summary_follows_from_the_curves():
    again = summary.summarize(CURVES)
    stored = SUMMARY[again.columns]
    pd.testing.assert_frame_equal(again, stored, rtol=2e-4, check_dtype=False)
    assert list(SUMMARY.contender) == list(CONTENDERS)
    assert set(CURVES.seed) == set(range(compare.ROUNDS))


def test_the_usual_loop_has_the_quality_of_its_settings():
    """Which other code trained, with the same settings and seeds."""
    ncf = pd.read_csv(compare.RESULTS / "ncf.csv")
    gmf = ncf[(ncf.model == "GMF") & (ncf.epoch == PORT_EPOCHS)].hit_rate
    curves = CURVES[CURVES.epoch == PORT_EPOCHS].groupby("contender").hit_rate
    usual = sorted(curves.get_group("usual loop"))
    # Of two runs of `make ncf`: rounding moved one user's film over place 10.
    assert usual == pytest.approx(sorted(gmf), abs=1.5 / 6040)
    assert curves.mean()["GMF, by rows"] == pytest.approx(gmf.mean(), abs=0.005)


def test_the_pictures_are_drawn_from_the_curves():
    drawn = pictures.draw(CURVES)
    assert {path.name for path in drawn} == PICTURES
    for path, content in drawn.items():
        assert content == path.read_bytes(), "python benchmarks/compare.py draw"
        assert len(content) < 60_000  # the front page must load quickly


def test_other_curves_give_other_pictures():
    other = CURVES.assign(seconds=CURVES.seconds * np.where(CURVES.seed == 0, 1.1, 1.0))
    for path, content in pictures.draw(other).items():
        assert content != path.read_bytes()


def test_the_page_of_results_says_what_the_summary_says():
    text = (ROOT / "book" / "results.md").read_text()
    rows = summary.rows_for_pages(SUMMARY)
    row_of_a_contender = r"^\| [^|]+ \| \d\.\d{3} ± \d\.\d{3} \| [\d.]+ \| .*$"
    shown = re.findall(row_of_a_contender, text, re.MULTILINE)
    assert set(shown) == set(rows.values())
    assert len(shown) == len(rows)
    for name in PICTURES:
        [description] = re.findall(rf"!\[([^]]*)\]\(assets/{name}\)", text)
        assert len(description) > 60


def test_the_page_of_results_says_how_many_times():
    text = (ROOT / "book" / "results.md").read_text()
    by_name = SUMMARY.set_index("contender")
    seconds, to_target = by_name.seconds, by_name.seconds_to_target
    als, sparse = to_target["ALS, k = 64"], to_target["implicit: ALS"]
    usual, quicker = seconds["usual loop"], seconds["usual loop, quicker parts"]
    assert f"{usual / als:,.0f} times" in text
    by_rows = seconds["GMF, by rows"]  # a gain of code, then one of method
    assert f"{usual / by_rows:.0f} times faster" in text
    assert re.search(rf"\b{by_rows / als:.0f}(th| times)", text)
    assert f"For the quicker form it is {quicker / als:,.0f}," in text
    assert f"{sparse / als:.1f} times as fast to 0.704" in text
    less = seconds["implicit: ALS"] / seconds["ALS, k = 64"]
    assert f"takes {less:.1f} times less for all of its training" in text


def test_what_starts_the_contenders_imports_nothing_large():
    """Its memory counts for them, too."""
    code = "import sys, compare; print(*sys.modules)"
    folder, command = ROOT / "benchmarks", [sys.executable, "-c", code]
    modules = subprocess.run(command, cwd=folder, capture_output=True, text=True).stdout
    assert "compare" in modules.split()
    assert not {"numpy", "pandas", "torch", "d2lrec"} & set(modules.split())


def tiny_data(folder):
    """Write data as `contest.write_data` does: two groups of users, with items each."""
    pairs = torch.block_diag(torch.ones(6, 8), torch.ones(6, 8)).nonzero()
    users, items = pairs.T.numpy()
    sizes = {"num_users": 12, "num_items": 16}
    candidates = np.stack([np.random.default_rng(u).permutation(16) for u in range(12)])
    pairs = {"users": users, "items": items, "candidates": candidates, **sizes}
    ratings = {}
    for part in ("train", "test"):
        ratings |= {f"{part}_users": users, f"{part}_items": items}
        ratings[f"{part}_ratings"] = (3 + users % 2).astype(np.float32)
    np.savez(folder / f"{ML1M} 0.npz", **pairs)
    np.savez(folder / f"{ML100K} 0.npz", **ratings, **sizes)


@posix_only
@pytest.mark.parametrize(
    ("name", "quality"),
    [
        ("ALS, k = 64", {"hit_rate", "ndcg"}),
        ("softmax, k = 64", {"hit_rate", "ndcg"}),
        ("BPR, uniform negatives", {"hit_rate", "ndcg"}),
        ("MF, lists one at a time", {"test_rmse"}),
        ("MF, larger steps", {"test_rmse"}),
        ("Bayesian MF (Gibbs)", {"test_rmse"}),
    ],
)
def test_a_contender_gives_a_point_for_each_epoch(name, quality, tmp_path):
    tiny_data(tmp_path)
    points = pd.DataFrame(contest.compete(name, 0, tmp_path))
    stored = CURVES[(CURVES.contender == name) & (CURVES.seed == 0)]
    assert points.epoch.tolist() == stored.epoch.tolist()
    assert points.seconds.is_monotonic_increasing
    assert points[list(quality)].notna().all(axis=None)
    assert (points.peak_mib >= points.libraries_mib).all()
    assert set(points) & set(summary.QUALITY) == quality


def test_every_contender_has_its_function():
    """By its source, as the other libraries are not among what tests need."""
    for contender in CONTENDERS.values():
        path = ROOT / "benchmarks" / "contenders" / f"{contender.module}.py"
        parameters = "data, seed, watch"
        assert f"def {contender.function}({parameters}" in path.read_text()


def test_factors_and_predictions_are_told_apart_and_evaluated():
    torch.manual_seed(0)
    dot = MF(3, 5, 40, biases=False, init_std=1.0)
    candidates = torch.rand(5, 40).argsort(dim=1)[:, :20]
    P, Q = dot.P.weight.detach().numpy(), dot.Q.weight.detach().numpy()
    found = contest.evaluate({"candidates": candidates.numpy()}, {"P": P, "Q": Q})
    assert found == evaluate_ranking(dot, candidates)

    ratings, predictions = np.array([1.0, 2.0]), np.array([1.0, 4.0])
    data, state = {"test_ratings": ratings}, {"predictions": predictions}
    assert contest.evaluate(data, state)["test_rmse"] == pytest.approx(2**0.5)


def test_the_watch_stands_still_while_a_state_is_stored(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    def slow_state():
        now[0] += 50
        return {"P": np.arange(3)}

    watch = clock.Stopwatch(tmp_path)
    for _ in range(2):
        now[0] += 1
        watch.lap(slow_state)
    assert [point["seconds"] for point in watch.points] == [1, 2]
    assert contest.arrays_in(watch.path_of(2))["P"].tolist() == [0, 1, 2]


def test_the_target_is_reached_or_not():
    ratings = {"data": ML100K, "seconds": [1, 2], "test_rmse": [0.95, 0.92]}
    curve = pd.DataFrame(ratings).assign(contender="MF")
    assert summary.seconds_to_target(curve) == 2
    assert summary.seconds_to_target(curve[:1]) == float("inf")
    assert summary.seconds_to_target(curve.assign(contender="myFM")) == float("inf")
    rankings = {"data": ML1M, "seconds": [1, 2], "hit_rate": [0.71, 0.69]}
    curve = pd.DataFrame(rankings).assign(contender="implicit: ALS")
    assert summary.seconds_to_target(curve) == 1


def test_seconds_have_two_digits_or_three():
    shown = [summary.seconds_for_pages(x) for x in (0.114, 0.996, 9.96, 846.1)]
    assert shown == ["0.11", "1.0", "10.0", "846"]
    assert summary.seconds_for_pages(float("inf")) == "never"


def test_a_sampler_is_judged_by_the_mean_of_its_rounds(tmp_path):
    """Without the first ones, and with a lap after every fifth."""
    watch = clock.Stopwatch(tmp_path)
    mean = rounds.MeanOfRounds(watch)
    for number in range(1, 32):
        mean.add(np.array([number, 1.0]))
    assert [point["epoch"] for point in watch.points] == [25, 30]
    states = [contest.arrays_in(watch.path_of(n))["predictions"] for n in (25, 30)]
    assert [state.tolist() for state in states] == [[23, 1], [25.5, 1]]


def softmax_by_hand(R, weight_decay, num_epochs, num_factors, seed):
    """The scores of the softmax model, trained without its classes and d2lrec.train."""
    torch.manual_seed(seed)
    model = MF(num_factors, *R.shape)
    adam = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=weight_decay)

    def scores(users):  # (batch, num_items)
        return model.P.weight[users] @ model.Q.weight.T + model.item_bias.weight[:, 0]

    for _ in range(num_epochs):
        for users in torch.randperm(len(R)).split(256):
            user, item = R[users].nonzero().T  # of each interaction in the batch
            logits = scores(users)[user]  # (interactions, num_items)
            adam.zero_grad()
            nn.functional.cross_entropy(logits, item).backward()
            adam.step()
    return scores(torch.arange(len(R))).detach()


def test_the_softmax_model_is_trained_as_its_formula_says():
    R = (torch.rand(300, 20, generator=torch.Generator().manual_seed(0)) < 0.2).float()
    seen = []

    def evaluate(model):
        seen.append(len(seen))
        return {}

    settings = {"num_epochs": 3, "num_factors": 4, "seed": 5}
    model = train_softmax(R, 1e-3, evaluate=evaluate, **settings)
    with torch.no_grad():
        scores = model(torch.arange(300))
        users, items = torch.tensor([0, 299]), torch.tensor([3, 19])
        biases = model.user_bias.weight[users, 0]
        torch.testing.assert_close(model(users, items), scores[users, items] + biases)
    by_hand = softmax_by_hand(R, 1e-3, **settings)
    torch.testing.assert_close(scores, by_hand, rtol=1e-4, atol=1e-6)
    assert len(seen) == 1 + settings["num_epochs"]  # one before the first epoch


OWN_DATA = pd.read_csv(own_data.RESULTS / "own-data.csv")


@posix_only
def test_a_readers_own_ratings_take_the_steps_that_are_stored(tmp_path):
    num_ratings, num_users, num_items = 20_000, 300, 200
    ratings = own_data.make_ratings(num_ratings, num_users, num_items)
    assert len(ratings) == num_ratings
    assert not ratings.duplicated(["userId", "movieId"]).any()
    assert ratings.userId.nunique() == num_users
    assert ratings.movieId.nunique() == num_items
    assert set(ratings.rating) == {n / 2 for n in range(1, 11)}
    ratings.to_csv(tmp_path / "ratings.csv", index=False)
    steps = [step for step, _, _ in own_data.measure(tmp_path)]
    stored = OWN_DATA.groupby("ratings", sort=False).step.agg(list)
    assert stored.to_dict() == dict.fromkeys(own_data.SIZES, steps)


def test_an_epoch_takes_a_little_longer_than_all_the_steps_before_it():
    """As the page own-data says of the stored seconds."""
    for _, table in OWN_DATA.groupby("ratings"):
        seconds = table.set_index("step").seconds
        before = seconds.loc[:"make batches"].sum()
        assert before < seconds["train, an epoch"] < 1.5 * before


@posix_only
def test_als_is_measured_at_a_size_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(als_large, "NUM_USERS", 30)
    monkeypatch.setattr(als_large, "NUM_ITEMS", 20)
    als_large.write_pairs(tmp_path, num_pairs=200)
    users, items = (np.load(tmp_path / f"{name}.npy") for name in ("users", "items"))
    assert len(set(zip(users.tolist(), items.tolist(), strict=True))) == 200
    assert (np.diff(users) >= 0).all()
    found = als_large.of_the_book(tmp_path)
    assert found["seconds_of_iteration"] > 0
    assert found["peak_mib"] >= found["libraries_mib"] > 0
    assert set(found) < set(LARGE.columns)
    assert set(LARGE.contender) == {"ALS", "implicit: ALS"}
