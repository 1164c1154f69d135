"""The benchmarks of the front page: that tables, pictures and pages say the same, and mean it."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from d2lrec import MF, evaluate_ranking

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "benchmarks"))
import compare  # noqa: E402 (benchmarks/ is no package)
import own_data  # noqa: E402

CURVES, SUMMARY = pd.read_csv(compare.CURVES), pd.read_csv(compare.SUMMARY)
PICTURES = {"benchmark-rankings.svg", "benchmark-ratings.svg"}


def test_the_summary_follows_from_the_curves():
    again = compare.summarize(CURVES)
    pd.testing.assert_frame_equal(
        again, SUMMARY[again.columns], rtol=2e-4, check_dtype=False
    )
    assert list(SUMMARY.contender) == list(compare.CONTENDERS)
    assert set(CURVES.seed) == set(range(compare.ROUNDS))


def test_the_usual_loop_has_the_quality_of_its_settings():
    """Which other code trained, with the same settings and seeds."""
    gmf = pd.read_csv(compare.RESULTS / "ncf.csv").query(
        "model == 'GMF' and epoch == 11"
    )
    curves = CURVES.query("epoch == 11").groupby("contender").hit_rate
    assert sorted(curves.get_group("usual loop")) == pytest.approx(
        sorted(gmf.hit_rate), abs=1e-5
    )
    assert curves.mean()["GMF, by rows"] == pytest.approx(
        gmf.hit_rate.mean(), abs=0.005
    )


def test_the_pictures_are_drawn_from_the_curves():
    drawn = compare.draw(CURVES)
    assert {path.name for path in drawn} == PICTURES
    for path, content in drawn.items():
        assert content == path.read_bytes(), "python benchmarks/compare.py draw"
        assert len(content) < 60_000


def test_other_curves_give_other_pictures():
    other = CURVES.assign(seconds=CURVES.seconds * np.where(CURVES.seed == 0, 1.1, 1.0))
    assert all(
        content != path.read_bytes() for path, content in compare.draw(other).items()
    )


@pytest.mark.parametrize("page", ["index", "results"])
def test_the_pages_say_what_the_summary_says(page):
    text = (ROOT / "book" / f"{page}.md").read_text()
    rows = compare.rows_for_pages(SUMMARY)
    shown = re.findall(
        r"^\| [^|]+ \| \d\.\d{3} ± \d\.\d{3} \| [\d.]+ \| .*$", text, re.MULTILINE
    )
    assert set(shown) <= set(rows.values())
    assert len(shown) == (len(rows) if page == "results" else 7)
    for name in PICTURES:
        [description] = re.findall(rf"!\[([^]]*)\]\(assets/{name}\)", text)
        assert len(description) > 60


@pytest.mark.parametrize("page", ["index", "results"])
def test_the_pages_say_how_many_times(page):
    text = (ROOT / "book" / f"{page}.md").read_text()
    by_name = SUMMARY.set_index("contender")
    seconds, to_target = by_name.seconds, by_name.seconds_to_target
    als, sparse = to_target["ALS, k = 64"], to_target["implicit: ALS"]
    usual, quicker = seconds["usual loop"], seconds["usual loop, quicker parts"]
    assert f"{usual / als:.0f} times" in text
    assert re.search(rf"\b{quicker / als:.0f}\b", text)
    assert f"{als / sparse:.0f} times faster" in text


def test_factors_and_predictions_are_told_apart_and_evaluated():
    torch.manual_seed(0)
    P, Q = torch.randn(5, 3).numpy(), torch.randn(40, 3).numpy()
    candidates = torch.rand(5, 40).argsort(dim=1)[:, :20]

    dot = MF(3, 5, 40, biases=False)
    dot.load_state_dict(
        {"P.weight": torch.tensor(P), "Q.weight": torch.tensor(Q)}, strict=False
    )
    found = compare.evaluate([None, None, candidates.numpy()], [P, Q])
    assert found == evaluate_ranking(dot, candidates)
    predictions, ratings = np.array([1.0, 4.0]), np.array([1.0, 2.0])
    found = compare.evaluate([None] * 5 + [ratings], [predictions])
    assert found["test_rmse"] == pytest.approx(2**0.5)


def test_the_watch_stands_still_while_a_state_is_put_away(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(compare.time, "perf_counter", lambda: now[0])

    def slow_state():
        now[0] += 50
        return [np.arange(3)]

    watch = compare.Stopwatch(tmp_path)
    for _ in range(2):
        now[0] += 1
        watch.lap(slow_state)
    assert [point["seconds"] for point in watch.points] == [1, 2]
    assert compare.arrays_in(tmp_path / "2.npz")[0].tolist() == [0, 1, 2]


def test_the_target_is_reached_or_not():
    curve = pd.DataFrame(
        {"data": compare.ML100K, "seconds": [1, 2], "test_rmse": [0.95, 0.92]}
    )
    assert compare.seconds_to_target(curve) == 2
    assert compare.seconds_to_target(curve[:1]) == float("inf")
    curve = pd.DataFrame(
        {"data": compare.ML1M, "seconds": [1, 2], "hit_rate": [0.71, 0.69]}
    )
    assert compare.seconds_to_target(curve) == 1


def test_als_is_that_of_the_page():
    """Its cells are run; on a tiny matrix with two blocks it finds them."""
    from torch import nn

    from d2lrec import MF

    page = compare.functions_of_the_page(torch=torch, nn=nn, MF=MF, device="cpu")
    R = torch.block_diag(torch.ones(4, 3), torch.ones(4, 3))
    model = page["als"](R, 2, penalty=0.001)
    with torch.no_grad():
        scores = model.P.weight @ model.Q.weight.T
    assert torch.allclose(scores, R, atol=0.1)
    assert {"softmax_mf", "UserBatches", "interaction_matrix"} <= page.keys()


OWN_DATA = pd.read_csv(own_data.RESULTS / "own-data.csv")


def test_a_readers_own_ratings_take_the_steps_that_are_stored(tmp_path):
    ratings = own_data.make_ratings(20_000, 300, 200)
    assert not ratings.duplicated(["userId", "movieId"]).any()
    assert (len(ratings), ratings.userId.nunique(), ratings.movieId.nunique()) == (
        20_000,
        300,
        200,
    )
    assert set(ratings.rating) == {n / 2 for n in range(1, 11)}
    ratings.to_csv(tmp_path / "ratings.csv", index=False)
    steps = [step for step, _, _ in own_data.measure(tmp_path)]
    assert OWN_DATA.groupby("ratings", sort=False).step.agg(
        list
    ).to_dict() == dict.fromkeys(own_data.SIZES, steps)


def test_an_epoch_takes_a_little_longer_than_all_the_steps_before_it():
    """As the page own-data says of the stored seconds."""
    for _, table in OWN_DATA.groupby("ratings"):
        seconds = table.set_index("step").seconds
        before = seconds.loc[:"make batches"].sum()
        assert before < seconds["train, an epoch"] < 1.5 * before
