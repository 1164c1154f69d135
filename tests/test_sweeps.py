"""Experiments with many settings: what is run, what is kept, what is shown."""

import itertools
import math
import time

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from systems import SEPARATE_PROCESS, posix_only, small_disk

from d2lrec import mean_and_spread, plot_sweep, sweep, sweeps
from d2lrec.files import append

GRID = {"num_factors": [2, 8], "optimizer": ["SGD", "Adam"]}
SEEDS = (0, 3)
SETTINGS = list(itertools.product(GRID["num_factors"], GRID["optimizer"], SEEDS))


def figures_of(num_factors, optimizer, seed):
    return {
        "rmse": 1 / (num_factors + seed / 10),
        "epoch": seed + (optimizer == "Adam"),
    }


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
    assert table.to_dict("list") == {
        "seed": [0],
        "hit": [1.0],
        "epoch": [3.0],
        "error": [""],
    }
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
    pd.testing.assert_frame_equal(
        quiet_sweep(never, path=path), resumed, check_exact=True
    )


def test_each_run_is_kept_before_the_next_begins(path):
    num_lines = []

    def run(**setting):
        num_lines.append(path.read_bytes().count(b"\n"))
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


def test_names_of_figures_are_the_same_after_reading_them(path):
    table = quiet_sweep(lambda seed: {3: 0.5}, {}, path=path)
    assert list(table) == ["seed", "3", "error"]
    pd.testing.assert_frame_equal(quiet_sweep(never, {}, path=path), table)


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
        "bytes": lambda kept: b"\xff\xfe\x00\x80",
        "CSV": lambda kept: b"k,rmse\n2,0.9\n",
        "number": lambda kept: b"5\n",
        "pair of numbers": lambda kept: b"[1, 2]\n",
        "a number for a setting": lambda kept: b'[1, {"error": ""}]\n',
        "object of two": lambda kept: b'{"k": 2, "rmse": 0.9}\n',
        "object with an error": lambda kept: b'{"k": 2, "error": ""}\n',
        "list of strings": lambda kept: b'["a", "b"]',
        "a space": lambda kept: b" ",
        "garbage at the end": lambda kept: kept + b"\ngarbage\n",
        "garbage without an end": lambda kept: kept + b"\ngarbage",
        "garbage at the beginning": lambda kept: b"garbage" + kept,
        "the end of a line before others": lambda kept: kept[40:],
        "a deep one": lambda kept: b"[" * 620_693 + b"\n",
        "a long line of text": lambda kept: b"ratings " * 80_000 + b"\n",
        "long and of another encoding": lambda kept: b"\xe4" * 620_693,
        "a table": lambda kept: b"1\t2\t5\t881250949\n" * 40_000,
        "a checkpoint": lambda kept: b"PK\x03\x04" + bytes(3000),
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
    assert len(str(refusal.value)) < 500
    assert path.read_bytes() == content
    assert [file.name for file in path.parent.iterdir()] == ["runs.jsonl"]


def test_the_wrong_line_is_named_and_can_be_deleted(path):
    quiet_sweep(figures_of, path=path)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:3], b"mine", *lines[4:]]))
    with pytest.raises(
        ValueError, match=r"jsonl, line 4: give another path, or delete it"
    ):
        quiet_sweep(never, path=path)
    path.write_bytes(b"\n".join([*lines[:3], *lines[4:]]))
    calls = []
    quiet_sweep(counted(calls), path=path)
    assert calls == SETTINGS[2:3]


CUT_OFF = [
    b'["{}", {"rmse": 0.9}]',
    b'["{}", 0.9]',
    b'["{}", "error"]',
    b'["{}", null]',
]
CUT_OFF += [
    b'["{}"]',
    b'["{}", {"rmse": 0.9, "error": ""}, 3]',
    b'["{\xff',
    b'["{"rmse',
]
CUT_OFF += [b'["{}", {"rmse": 0.9, "error": ""}] 12', b'["{}", ' + b"[" * 620_693]


@pytest.mark.parametrize("line", CUT_OFF, ids=lambda line: repr(line)[:40])
@pytest.mark.parametrize("key", ["a new one", "that of a run"])
def test_what_begins_as_a_line_and_is_none_is_passed_over(line, key, path):
    if key == "that of a run":
        line = line.replace(b"{}", b'{\\"k\\": 2, \\"seed\\": 0}', 1)
    path.write_bytes(line)
    first = quiet_sweep(lambda k, seed: {"rmse": k / 7}, {"k": [2]}, path=path)
    assert first.rmse.tolist() == [2 / 7] * 2
    assert path.read_bytes().startswith(line + b"\n")
    pd.testing.assert_frame_equal(quiet_sweep(never, {"k": [2]}, path=path), first)


def test_a_file_of_the_first_edition_is_read(path):
    """It ended each line, and began none, with the break."""
    quiet_sweep(figures_of, path=path)
    old = path.read_bytes()[1:] + b"\n"
    path.write_bytes(old)
    table = quiet_sweep(never, path=path)
    assert path.read_bytes() == old
    pd.testing.assert_frame_equal(table, quiet_sweep(figures_of), check_exact=True)
    quiet_sweep(figures_of, seeds=(0, 3, 4), path=path)
    quiet_sweep(never, seeds=(0, 3, 4), path=path)
    assert path.read_bytes().startswith(old + b'\n["{')


def test_a_folder_in_place_of_the_file_is_named(path):
    path.mkdir()
    with pytest.raises(OSError, match=r"runs\.jsonl"):
        quiet_sweep(never, path=path)


def test_every_part_of_a_last_line_is_passed_over_and_run_again(path):
    """That is what a run leaves that was killed while it wrote its line."""
    expected = quiet_sweep(figures_of, path=path)
    written = path.read_bytes()
    start = written.rindex(b"\n")
    for end in range(start, len(written)):
        path.write_bytes(written[:end])
        calls = []
        assert quiet_sweep(counted(calls), path=path).equals(expected)
        assert calls == SETTINGS[-1:]
        assert path.read_bytes() == written[:end] + written[start:]
        assert quiet_sweep(never, path=path).equals(expected)


def test_many_runs_append_their_lines_alone(path, monkeypatch):
    """What is written grows with the runs, not with their square."""
    written, num_runs = [], 1000

    def counting(path, content):
        written.append(len(content))
        append(path, content)

    monkeypatch.setattr(sweeps, "append", counting)
    quiet_sweep(lambda seed: {"rmse": seed / 7}, {}, range(num_runs), path)
    assert len(written) == 1 + num_runs  # the first, of nothing, tries the file
    assert sum(written) == path.stat().st_size
    assert max(written) < 100
    assert len(quiet_sweep(never, {}, range(num_runs), path)) == num_runs


@posix_only
def test_a_line_is_appended_and_the_others_are_not_written_again(path):
    sizes = []

    def run(**setting):
        sizes.append(path.stat().st_size)
        return figures_of(**setting)

    path.touch()
    number = path.stat().st_ino
    quiet_sweep(run, path=path)
    assert path.stat().st_ino == number
    assert sizes == sorted(sizes)
    link = path.with_name("link.jsonl")
    link.symlink_to(path)
    quiet_sweep(figures_of, seeds=(0, 3, 4), path=link)
    assert link.is_symlink()
    assert path.read_bytes().count(b"\n") == len(SETTINGS) * 3 // 2


@posix_only
def test_a_full_disk_names_the_file_and_what_fits_is_kept(path):
    with small_disk(500), pytest.raises(OSError, match=r"runs\.jsonl"):
        quiet_sweep(figures_of, path=path)
    kept = path.read_bytes().count(b"\n") - 1  # and a part of a line
    calls = []
    table = quiet_sweep(counted(calls), path=path)
    assert calls == SETTINGS[kept:]
    assert 1 < kept < len(SETTINGS)
    pd.testing.assert_frame_equal(table, quiet_sweep(figures_of), check_exact=True)


def test_an_error_of_the_run_does_not_name_the_file(path):
    with pytest.raises(FileNotFoundError, match=r"ratings\.csv") as missing:
        quiet_sweep(
            lambda **setting: {"rmse": len(open("ratings.csv").read())},  # noqa: SIM115
            path=path,
        )
    assert missing.value.filename == "ratings.csv"


def slow_sweep(path, seeds, figure):
    def run(seed):
        time.sleep(0.002)
        return {"rmse": figure(seed)}

    quiet_sweep(run, {}, seeds, path)


@posix_only
@pytest.mark.parametrize("part", [None, b'["{\\"se'], ids=["new", "after a killed run"])
def test_two_sweeps_at_once_keep_the_runs_of_both(part, path):
    if part is not None:
        path.write_bytes(part)
    parts = range(50), range(50, 100)
    both = [
        SEPARATE_PROCESS.Process(
            target=slow_sweep, args=(path, seeds, lambda seed: seed / 7)
        )
        for seeds in parts
    ]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert [each.exitcode for each in both] == [0, 0]
    assert path.read_bytes().count(b"\n") == 100
    table = quiet_sweep(never, {}, range(100), path)
    assert table.rmse.tolist() == [seed / 7 for seed in range(100)]


def test_of_a_setting_that_is_there_twice_the_first_counts(path):
    """The second sweep begins with an empty file and ends within a run of the first."""

    def run(seed):
        slow_sweep(path, [0, 1], lambda seed: 1.0)
        return {"rmse": 2.0}

    assert quiet_sweep(run, {}, [0], path).rmse.tolist() == [2.0]
    assert path.read_bytes().count(b"\n") == 3
    assert quiet_sweep(never, {}, [0, 1], path).rmse.tolist() == [1.0, 1.0]


@posix_only
@pytest.mark.parametrize("wait", [0.0, 0.01, 0.03, 0.07])
def test_a_killed_sweep_loses_at_most_the_run_it_was_at(wait, path):
    begun = SEPARATE_PROCESS.Value("i", 0)

    def run(seed):
        begun.value = seed
        return {"rmse": seed / 7}

    arguments = run, {}, range(20_000), path
    quick = SEPARATE_PROCESS.Process(target=quiet_sweep, args=arguments)
    quick.start()
    while begun.value < 2:
        assert quick.is_alive()
        time.sleep(0.001)
    time.sleep(wait)
    assert quick.is_alive()
    quick.kill()
    quick.join()
    calls = []

    def go_on(seed):
        calls.append(seed)
        return {"rmse": seed / 7}

    last = begun.value
    table = quiet_sweep(go_on, {}, range(last + 2), path)
    assert table.rmse.tolist() == [seed / 7 for seed in range(last + 2)]
    assert calls in ([last, last + 1], [last + 1])


def test_another_grid_runs_only_what_is_new_and_forgets_nothing(path):
    quiet_sweep(figures_of, path=path)
    calls, grid = [], {"num_factors": [1, 8], "optimizer": ["SGD", "Adam"]}
    table = quiet_sweep(counted(calls), grid, (0, 3, 4), path)
    rows = itertools.product(*grid.values(), (0, 3, 4))
    assert calls == [row for row in rows if row not in SETTINGS]
    pd.testing.assert_frame_equal(table, quiet_sweep(figures_of, grid, (0, 3, 4)))
    quiet_sweep(never, path=path)


def test_a_part_of_the_grid_in_another_order_runs_nothing(path):
    table = quiet_sweep(figures_of, path=path)
    part = quiet_sweep(never, {"optimizer": ["Adam"], "num_factors": [8]}, (3,), path)
    assert list(part) == ["optimizer", "num_factors", "seed", "rmse", "epoch", "error"]
    assert part.to_dict("records") == table.to_dict("records")[-1:]


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
@pytest.mark.parametrize(
    "value", [math.sqrt, {1, 2}, 1j], ids=["function", "set", "complex"]
)
def test_a_value_that_cannot_be_kept_is_refused_before_the_first_run(value, kept, path):
    named = "k must be a list of numbers, strings, booleans or None"
    with pytest.raises(ValueError, match=named):
        quiet_sweep(never, {"k": [1, value]}, path=path if kept else None)
    assert not path.exists()


@pytest.mark.parametrize(
    "value", [torch.tensor(1), pd.Timestamp(0), np.ones(2)], ids=repr
)
def test_a_value_of_a_library_is_refused(value):
    with pytest.raises(ValueError, match="k must be a list of numbers"):
        quiet_sweep(never, {"k": [value, 2]})


@pytest.mark.parametrize("values", ["Adam", 5, None, 0.1, np.array(3)], ids=repr)
def test_what_is_no_list_of_values_is_refused(values):
    with pytest.raises(ValueError, match="k must be a list of numbers"):
        quiet_sweep(never, {"k": values})
    with pytest.raises(ValueError, match=r"seeds? must be a"):
        quiet_sweep(never, {}, values)


ONE_TWICE = [[1, 1], [2, 1, 2], [1, 1.0], [1, True], [0.0, -0.0], [None, None]]
ONE_TWICE += [["Adam", "SGD", "Adam"], [math.nan, float("nan")], [np.float32(0.5), 0.5]]
ONE_TWICE += [np.array([3, 4, 3]), [(1, 2), (1, 2)], [0] * 100_000]


@pytest.mark.parametrize("values", ONE_TWICE, ids=lambda values: repr(values)[:30])
def test_a_value_that_is_there_twice_is_refused(values, path):
    """Its rows would be one run, shown as several without a spread."""
    named = r"k must be a list of .*, each once, got"
    with pytest.raises(ValueError, match=named) as refusal:
        quiet_sweep(never, {"k": values}, path=path)
    assert len(str(refusal.value)) < 300
    assert not path.exists()


@pytest.mark.parametrize(
    "seeds", [(0, 0), [1, 2, 1], np.array([3, 3]), [1, np.int64(1)]], ids=repr
)
def test_a_seed_that_is_there_twice_is_refused(seeds):
    with pytest.raises(ValueError, match=r"seeds must be a list of .*, each once, got"):
        quiet_sweep(never, {}, seeds)


@pytest.mark.parametrize(
    "seed", [0.5, 1.0, "1", None, True, -1, np.float64(1)], ids=repr
)
def test_a_seed_that_is_no_integer_is_refused(seed):
    with pytest.raises(ValueError, match="a seed must be an integer, at least 0, got"):
        quiet_sweep(never, {}, [seed])


@pytest.mark.parametrize("name", ["seed", "error"])
def test_the_columns_of_a_sweep_are_no_settings(name):
    with pytest.raises(ValueError, match="seed and error are columns of their own"):
        quiet_sweep(never, {"k": [1], name: [0, 1]})


ARRAYS = [np.arange(2), np.array([0.1, 0.2]), np.float32([0.1, 0.2])]
ARRAYS += [np.array(["a", "b"]), np.array([True, False])]
ARRAYS += [pd.Series([1, 2]), pd.Index([1, 2]), range(2), (1, 2)]


@pytest.mark.parametrize("values", ARRAYS, ids=repr)
def test_numbers_of_numpy_are_those_of_python(values, path):
    def run(k, seed):
        assert type(seed) is int
        assert type(k) in (int, float, str, bool)
        return {"rmse": np.float32(seed) / 4}

    table = quiet_sweep(run, {"k": values}, np.arange(2), path)
    assert table.k.tolist() == [value for value in values for _ in "ab"]
    again = quiet_sweep(never, {"k": [*list(values)]}, [0, 1], path)
    pd.testing.assert_frame_equal(again, table)


def test_values_may_be_given_by_a_generator():
    table = quiet_sweep(
        lambda k, seed: {"rmse": k}, {"k": (k for k in (1, 2))}, iter((0, 1))
    )
    assert table.rmse.tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize(
    "figures", [0.9, None, [0.9], {"rmse": "0.9"}, {"rmse": None}, {"rmse": [1, 2]}]
)
def test_a_run_that_gives_no_numbers_is_refused(figures, path):
    named = "run must return a dict from name to number, got"
    with pytest.raises(ValueError, match=named):
        quiet_sweep(lambda **setting: figures, path=path)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("name", ["num_factors", "seed", "error"])
def test_a_figure_with_the_name_of_another_column_is_refused(name, path):
    with pytest.raises(ValueError, match=f"'{name}'"):
        quiet_sweep(lambda **setting: {"rmse": 0.9, name: 1}, path=path)
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "value", [None, True, 3, 1e-4, "Adam", "±", 'a "b"\n'], ids=repr
)
def test_a_setting_of_each_kind_survives_the_file(value, path):
    def run(setting, seed):
        assert setting is value
        return {"rmse": seed}

    table = quiet_sweep(run, {"setting": [value]}, path=path)
    pd.testing.assert_frame_equal(
        quiet_sweep(never, {"setting": [value]}, path=path), table
    )


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


@pytest.mark.parametrize("names", ["rmse", ["rmse"]], ids=["a name", "a list"])
def test_a_single_run_is_shown_without_a_spread(names, table):
    """As a baseline among models of several seeds."""
    single = table[(table.optimizer == "Adam") | (table.seed == 0)]
    shown = mean_and_spread(single, ["k", "optimizer"], names)
    shown = shown.rmse if names == ["rmse"] else shown
    assert shown[20, "SGD"] == "0.400"
    assert shown[5, "SGD"] == "0.550"
    assert shown[20, "Adam"] == "0.700 ± 0.020"


def test_one_diverged_seed_is_shown(table):
    table.loc[(table.optimizer == "SGD") & (table.seed == 1), "rmse"] = math.nan
    shown = mean_and_spread(table[table.k == 20], "optimizer", "rmse")
    assert shown.to_dict() == {"SGD": "nan ± nan", "Adam": "0.700 ± 0.020"}
    single = mean_and_spread(table[table.seed == 1], ["k", "optimizer"], "rmse")
    assert single[20, "SGD"] == "nan"


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
    return line.get_xydata().tolist(), [
        segment[:, 1].tolist() for segment in ends.get_segments()
    ]


def test_plot_sweep_draws_a_line_for_each_value(table, axes):
    assert plot_sweep(table, "k", "rmse", by="optimizer", ax=axes) is axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("k", "rmse")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "Adam",
        "SGD",
    ]
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
    plot_sweep(
        table, "k", "rmse", "optimizer", ax=axes, logx=True, ylabel="error", marker="s"
    )
    assert axes.get_xscale() == "log"
    assert axes.get_ylabel() == "error"
    assert axes.containers[0][0].get_marker() == "s"
