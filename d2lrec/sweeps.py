"""One experiment with many settings, and several seeds for each."""

import io
import itertools
import json
import reprlib

import numpy as np
import pandas as pd
from tqdm import tqdm

from .arguments import whole_number
from .files import append, open_alone
from .runs import line_of, read_finished
from .training import numbers_in

COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]  # Okabe and Ito's


def sweep(run, grid, seeds=(0,), path=None, progress=True):
    """Run an experiment with every combination of settings and every seed.

    Args:
        run: called as `run(seed=..., **setting)`; returns a dict from name to number.
        grid: dict from the name of a setting to the list of its values, which are numbers
            (`run` gets NumPy's as Python's), strings, booleans or None, each once.
        seeds: whole numbers, each once.
        path: a file that keeps what is finished, a line for each run: called again, `sweep`
            runs only the rest. Delete it after a change of `run`. One sweep at a time has it.
        progress: whether to show a bar.
    Returns:
        DataFrame with a row per run: the settings, `seed`, what `run` gave, and `error`,
        which is empty unless the run diverged, that is, raised FloatingPointError. Then it
        has the message, and what `run` would have given is NaN.
    Raises:
        ValueError: `path` is not a file that `sweep` has written, is damaged, or another sweep
            has it; there is nothing to run; a value is there twice or cannot be kept in a
            file; or `run` gives no numbers, or a figure with the name of a setting.
        OSError: the file cannot be written.
    """
    settings = settings_of(grid, seeds)
    keys = [json.dumps(setting, sort_keys=True) for setting in settings]
    pairs = list(zip(keys, settings, strict=True))
    with io.BytesIO() if path is None else open_alone(path) as file:
        finished = read_finished(file, path)
        for key, setting in tqdm(pairs, unit="run", disable=not progress):
            if key not in finished:
                finished[key] = figures_of(run, setting)
                append(file, line_of(key, finished[key]), path)
    table = pd.DataFrame([{**setting, **finished[key]} for key, setting in pairs])
    table["error"] = table.pop("error")  # the last column
    return table


def settings_of(grid, seeds):
    """All combinations of the values in the grid and the seeds: a list of dicts."""
    if grid.keys() & {"seed", "error"}:
        raise ValueError(f"seed and error are columns of their own, got {list(grid)}")
    lists = {name: values_of(name, values) for name, values in grid.items()}
    lists["seed"] = [whole_number("a seed", x, 0) for x in values_of("seeds", seeds)]
    rows = itertools.product(*lists.values())
    settings = [dict(zip(lists, row, strict=True)) for row in rows]
    if not settings:
        raise ValueError(f"nothing to run: the grid is {grid}, the seeds are {seeds}")
    return settings


def values_of(name, values):
    """The values of a setting, NumPy's numbers as Python's; ValueError if one is there twice."""
    try:
        found = [x.item() if isinstance(x, np.generic) else x for x in values]
        json.dumps(found)  # TypeError for what cannot be kept in a file
        wrong = pd.Series(found, dtype=object).duplicated().any()  # 1, 1.0, True are one
    except TypeError:
        wrong = True
    if wrong or isinstance(values, str):
        rule = "a list of numbers, strings, booleans or None, each once"
        raise ValueError(f"{name} must be {rule}, got {reprlib.repr(values)}")
    return found


def figures_of(run, setting):
    """Run one setting: the dict of its figures and its `error`, which is all if it diverged."""
    try:
        figures = numbers_in(run(**setting), "run")
    except FloatingPointError as error:
        return {"error": str(error) or repr(error)}
    if figures.keys() & {*setting, "error"}:
        raise ValueError(f"run gave {list(figures)}; settings have these names too")
    return {**figures, "error": ""}


def mean_and_spread(table, by, names):
    """Show columns of a sweep as "mean ± standard deviation" over the runs of each group.

    `by` is the name of a setting, or a list of them. Returns strings: a Series for one name of
    a column, a DataFrame for a list of names; "nan ± nan" where a run has diverged.
    """
    mean, spread = means_and_spreads(table, by, names)
    return mean.map("{:.3f}".format) + " ± " + spread.map("{:.3f}".format)


def means_and_spreads(table, by, names):
    """Mean and standard deviation over the runs of each group, NaN where a run has diverged."""
    runs = table.groupby(by, sort=False, dropna=False)[names]
    return runs.agg(lambda x: x.mean(skipna=False)), runs.agg(lambda x: x.std(skipna=False))


def plot_sweep(table, x, y, by=None, **options):
    """Draw the mean of y over the seeds against x, with its standard deviation as a bar.

    There is a line for each value of `by`; `options` go to `DataFrame.plot`. Returns the axes.
    """
    by_value = [x] if by is None else [x, by]
    mean, spread = means_and_spreads(table.sort_values(by_value), by_value, y)
    if by is not None:
        mean, spread = mean.unstack(by), spread.unstack(by)
    looks = {"marker": "o", "capsize": 3, "color": COLORS, "ylabel": y, **options}
    return mean.plot(yerr=spread, **looks)
