"""Experiments with many settings: what is run, what is kept, what is shown."""

import itertools
import math

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from d2lrec import mean_and_spread, plot_sweep, sweep

GRID = {"num_factors": [2, 8], "optimizer": ["SGD", "Adam"]}
SEEDS = (0, 3)
SETTINGS = list(itertools.product(GRID["num_factors"], GRID["optimizer"], SEEDS))


def figures_of(num_factors, optimizer, seed):
    return {"rmse": 1 / (num_factors + seed / 10), "epoch": seed + (optimizer == "Adam")}


def counted(calls, fail_at=None, error=None):
    """A run that notes its setting and, when it is the fail_at-th, raises the error."""

    def run(num_factors, optimizer, seed):
        calls.append((num_factors, optimizer, seed))
        if len(calls) == fail_at:
            raise error
        return figures_of(num_factors, optimizer, seed)

    return run


def diverging(calls, optimizer="SGD", num_factors=8):
    def run(**setting):
        calls.append(tuple(setting.values()))
        if (setting["optimizer"], setting["num_factors"]) == (optimizer, num_factors):
            raise FloatingPointError("the training loss is nan in epoch 2")
        return figures_of(**setting)

    return run


def never(**setting):
    pytest.fail(f"{setting} was run")


def quiet_sweep(run, grid=GRID, seeds=SEEDS, path=None):
    return sweep(run, grid, seeds, path, progress=False)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.jsonl"


def test_the_rows_are_all_combinations_times_seeds():
    calls = []
    table = quiet_sweep(counted(calls))
    assert calls == SETTINGS
    rows = [(*setting, *figures_of(*setting).values(), "") for setting in SETTINGS]
    names = ["num_factors", "optimizer", "seed", "rmse", "epoch", "error"]
    expected = pd.DataFrame(rows, columns=names).astype({"epoch": float})
    pd.testing.assert_frame_equal(table, expected)


def test_settings_may_be_left_out_and_figures_become_floats():
    table = sweep(lambda seed: {"hit": True, "epoch": 3}, {}, progress=False)
    assert table.to_dict("list") == {"seed": [0], "hit": [1.0], "epoch": [3.0], "error": [""]}
    assert table[["hit", "epoch"]].dtypes.tolist() == [float, float]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OverflowError])
@pytest.mark.parametrize("fail_at", [1, 4, len(SETTINGS)])
def test_a_sweep_that_was_stopped_goes_on_where_it_was(fail_at, error, path):
    with pytest.raises(error):
        quiet_sweep(counted([], fail_at, error), path=path)
    calls = []
    resumed = quiet_sweep(counted(calls), path=path)
    assert calls == SETTINGS[fail_at - 1 :]
    pd.testing.assert_frame_equal(resumed, quiet_sweep(figures_of), check_exact=True)
    pd.testing.assert_frame_equal(quiet_sweep(never, path=path), resumed, check_exact=True)


def test_each_run_is_kept_before_the_next_begins(path):
    num_lines = []

    def run(**setting):
        num_lines.append(len(path.read_text().splitlines()) if path.exists() else 0)
        return figures_of(**setting)

    quiet_sweep(run, path=path)
    assert num_lines == list(range(len(SETTINGS)))


def test_only_the_file_is_written_and_its_folder_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quiet_sweep(figures_of)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ZeroDivisionError):
        quiet_sweep(counted([], 4, ZeroDivisionError), path="sweeps/runs.jsonl")
    assert [file.name for file in tmp_path.rglob("*")] == ["sweeps", "runs.jsonl"]


def test_a_diverged_run_is_recorded_and_not_run_again(path):
    calls = []
    table = quiet_sweep(diverging(calls), path=path)
    assert calls == SETTINGS
    diverged = [setting[:2] == (8, "SGD") for setting in SETTINGS]
    for name in ("rmse", "epoch"):
        assert table[name].isna().tolist() == diverged
    message = "the training loss is nan in epoch 2"
    assert table.error.tolist() == [message if bad else "" for bad in diverged]
    pd.testing.assert_frame_equal(quiet_sweep(never, path=path), table)
    pd.testing.assert_frame_equal(quiet_sweep(diverging([])), table)


def test_the_error_is_the_last_column_even_if_the_first_run_diverges():
    table = quiet_sweep(diverging([], num_factors=2))
    assert list(table) == ["num_factors", "optimizer", "seed", "rmse", "epoch", "error"]


def test_all_runs_may_diverge_and_without_a_message():
    def run(seed):
        raise FloatingPointError

    table = quiet_sweep(run, {})
    assert list(table) == ["seed", "error"]
    assert (table.error != "").all()


@pytest.mark.parametrize(
    "damage",
    {
        "bytes": lambda whole: b"\xff\xfe\x00\x80",
        "CSV": lambda whole: b"k,rmse\n2,0.9\n",
        "number": lambda whole: b"5\n",
        "pair of numbers": lambda whole: b"[1, 2]\n",
        "object of two": lambda whole: b'{"k": 2, "rmse": 0.9}\n',
        "object with an error": lambda whole: b'{"k": 2, "error": ""}\n',
        "no error": lambda whole: b'["{}", {"rmse": 0.9}]\n',
        "garbage at the end": lambda whole: whole + b"garbage\n",
        "truncated": lambda whole: whole[:-2],
    }.items(),
    ids=lambda damage: damage[0],
)
def test_a_file_of_another_kind_is_refused_and_left(damage, path):
    quiet_sweep(figures_of, path=path)
    content = damage[1](path.read_bytes())
    path.write_bytes(content)
    with pytest.raises(ValueError, match="sweep has not written") as refusal:
        quiet_sweep(figures_of, path=path)
    assert str(path) in str(refusal.value)
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["runs.jsonl"]


def test_another_grid_runs_only_what_is_new_and_forgets_nothing(path):
    quiet_sweep(figures_of, path=path)
    calls, grid = [], {"num_factors": [1, 8], "optimizer": ["SGD", "Adam"]}
    table = quiet_sweep(counted(calls), grid, (0, 3, 4), path)
    rows = itertools.product(*grid.values(), (0, 3, 4))
    assert calls == [row for row in rows if row not in SETTINGS]
    pd.testing.assert_frame_equal(table, quiet_sweep(figures_of, grid, (0, 3, 4)))
    quiet_sweep(never, path=path)


def test_a_part_of_the_grid_in_another_order_runs_nothing(path):
    whole = quiet_sweep(figures_of, path=path)
    part = quiet_sweep(never, {"optimizer": ["Adam"], "num_factors": [8]}, (3,), path)
    assert list(part) == ["optimizer", "num_factors", "seed", "rmse", "epoch", "error"]
    assert part.to_dict("records") == whole.to_dict("records")[-1:]


@pytest.mark.parametrize(
    ("grid", "seeds"),
    [({"num_factors": [], "optimizer": ["SGD"]}, (0,)), (GRID, ()), ({}, ())],
    ids=["a setting", "seeds", "both"],
)
def test_nothing_to_run_is_refused(grid, seeds, path):
    with pytest.raises(ValueError, match="nothing to run"):
        quiet_sweep(never, grid, seeds, path)
    assert not path.exists()


@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "in a file"])
@pytest.mark.parametrize("value", [math.sqrt, {1, 2}, 1j], ids=["function", "set", "complex"])
def test_a_value_that_cannot_be_kept_is_refused_before_the_first_run(value, kept, path):
    with pytest.raises(TypeError):
        quiet_sweep(never, {"k": [1, value]}, path=path if kept else None)
    assert not path.exists()


@pytest.mark.parametrize("name", ["num_factors", "seed", "error"])
def test_a_figure_with_the_name_of_another_column_is_refused(name, path):
    with pytest.raises(ValueError, match=f"'{name}'"):
        quiet_sweep(lambda **setting: {"rmse": 0.9, name: 1}, path=path)
    assert not path.exists()


@pytest.mark.parametrize("value", [None, True, 3, 1e-4, "Adam", "±", 'a "b"\n'], ids=repr)
def test_a_setting_of_each_kind_survives_the_file(value, path):
    def run(setting, seed):
        assert setting is value
        return {"rmse": seed}

    table = quiet_sweep(run, {"setting": [value]}, path=path)
    pd.testing.assert_frame_equal(quiet_sweep(never, {"setting": [value]}, path=path), table)


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf, 1 / 3, 5e-324])
def test_a_figure_survives_the_file(figure, path):
    first = quiet_sweep(lambda seed: {"rmse": figure, "epoch": 2}, {}, path=path)
    again = quiet_sweep(never, {}, path=path)
    assert again.rmse.tolist() == pytest.approx([figure] * 2, rel=0, abs=0, nan_ok=True)
    assert again.error.tolist() == ["", ""]
    pd.testing.assert_frame_equal(again, first, check_exact=True)


# Tables and figures


@pytest.fixture
def table():
    """Means 0.5, 0.7, 0.55 and 0.9; deviations 0.1, 0.02, 0 and 0.2."""
    figures = {
        (20, "SGD"): [0.4, 0.5, 0.6],
        (20, "Adam"): [0.68, 0.70, 0.72],
        (5, "SGD"): [0.55, 0.55, 0.55],
        (5, "Adam"): [0.7, 0.9, 1.1],
    }
    rows = [
        {"k": k, "optimizer": optimizer, "seed": seed, "rmse": value}
        for (k, optimizer), values in figures.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_mean_and_spread_by_two_settings(table):
    shown = mean_and_spread(table, ["k", "optimizer"], "rmse")
    assert shown.name == "rmse"
    assert shown.index.names == ["k", "optimizer"]
    assert shown.to_dict() == {
        (20, "SGD"): "0.500 ± 0.100",
        (20, "Adam"): "0.700 ± 0.020",
        (5, "SGD"): "0.550 ± 0.000",
        (5, "Adam"): "0.900 ± 0.200",
    }


@pytest.mark.parametrize("by", ["k", ["k"]], ids=["a name", "a list"])
def test_mean_and_spread_of_two_figures(by, table):
    table["epoch"] = table.seed * 10.0
    shown = mean_and_spread(table[table.optimizer == "SGD"], by, ["rmse", "epoch"])
    assert list(shown.index) == [20, 5]
    assert shown.to_dict("list") == {
        "rmse": ["0.500 ± 0.100", "0.550 ± 0.000"],
        "epoch": ["10.000 ± 10.000"] * 2,
    }


def test_one_run_has_no_spread(table):
    shown = mean_and_spread(table[table.seed == 0], ["k", "optimizer"], "rmse")
    assert shown[20, "SGD"] == "0.400 ± nan"


def test_one_diverged_seed_is_shown(table):
    table.loc[(table.optimizer == "SGD") & (table.seed == 1), "rmse"] = math.nan
    shown = mean_and_spread(table[table.k == 20], "optimizer", "rmse")
    assert shown.to_dict() == {"SGD": "nan ± nan", "Adam": "0.700 ± 0.020"}


@pytest.mark.parametrize("other", [0.9, "nesterov"])
def test_none_is_a_setting_too(other):
    table = quiet_sweep(lambda setting, seed: {"rmse": 0.5}, {"setting": [None, other]})
    assert mean_and_spread(table, "setting", "rmse").tolist() == ["0.500 ± 0.000"] * 2


@pytest.fixture
def axes():
    matplotlib.use("Agg")
    yield plt.figure().add_subplot()
    plt.close("all")


def drawn(bars):
    """The points of a line, and the lower and upper end of each bar."""
    line, _, (ends,) = bars
    return line.get_xydata().tolist(), [segment[:, 1].tolist() for segment in ends.get_segments()]


def test_plot_sweep_draws_a_line_for_each_value(table, axes):
    assert plot_sweep(table, "k", "rmse", by="optimizer", ax=axes) is axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("k", "rmse")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["Adam", "SGD"]
    (adam, adam_ends), (sgd, sgd_ends) = map(drawn, axes.containers)
    assert adam == [[5, pytest.approx(0.9)], [20, pytest.approx(0.7)]]
    assert sgd == [[5, pytest.approx(0.55)], [20, pytest.approx(0.5)]]
    assert adam_ends == [pytest.approx([0.7, 1.1]), pytest.approx([0.68, 0.72])]
    assert sgd_ends == [pytest.approx([0.55, 0.55]), pytest.approx([0.4, 0.6])]


def test_plot_sweep_draws_one_line_without_by(table, axes):
    plot_sweep(table[table.optimizer == "Adam"], "k", "rmse", ax=axes)
    ((points, ends),) = map(drawn, axes.containers)
    assert points == [[5, pytest.approx(0.9)], [20, pytest.approx(0.7)]]
    assert ends == [pytest.approx([0.7, 1.1]), pytest.approx([0.68, 0.72])]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("k", "rmse")


@pytest.mark.parametrize("by", [None, "optimizer"])
def test_one_seed_is_drawn_without_bars(by, table, axes):
    part = table[(table.seed == 1) & ((table.optimizer == "Adam") | (by is not None))]
    plot_sweep(part, "k", "rmse", by, ax=axes)
    points = axes.containers[0][0].get_xydata().tolist()
    assert points == [[5, pytest.approx(0.9)], [20, pytest.approx(0.7)]]


def test_options_go_to_the_plot(table, axes):
    plot_sweep(table, "k", "rmse", "optimizer", ax=axes, logx=True, ylabel="error", marker="s")
    assert axes.get_xscale() == "log"
    assert axes.get_ylabel() == "error"
    assert axes.containers[0][0].get_marker() == "s"
