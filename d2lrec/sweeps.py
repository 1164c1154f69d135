"""One experiment with many settings, and several seeds for each."""

import json
from contextlib import suppress
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from .arguments import as_integer
from .files import append
from .training import numbers_in

# Okabe and Ito's, which color-blind readers can tell apart
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]


def sweep(run, grid, seeds=(0,), path=None, progress=True):
    """Run an experiment with every combination of settings and every seed.

    Args:
        run: called as `run(seed=..., **setting)`; returns a dict from name to number.
        grid: dict from the name of a setting to the list of its values, which are
            numbers (`run` gets NumPy's as Python's), strings, booleans or None, each
            once.
        seeds: integers, each once.
        path: a file that keeps what is finished, a line for each run: called again,
            `sweep` runs only the rest. Delete it after a change of `run`. Several
            sweeps may share it; of a setting that two of them have run, the first line
            counts.
        progress: whether to show a bar.
    Returns:
        DataFrame with a row per run: the settings, `seed`, what `run` gave, and
        `error`, which is empty unless the run diverged, that is, raised
        FloatingPointError. Then it has the message, and what `run` would have given is
        NaN.
    Raises:
        ValueError: `path` is not a file that `sweep` has written; there is nothing to
            run; a value is there twice or cannot be kept in a file; or `run` gives no
            numbers, or a figure with the name of a setting.
        OSError: the file cannot be written.
    """
    settings = {json.dumps(x, sort_keys=True): x for x in settings_of(grid, seeds)}
    finished = {} if path is None else read_finished(path)
    for key, setting in tqdm(settings.items(), unit="run", disable=not progress):
        if key not in finished:
            finished[key] = figures_of(run, setting)
            if path is not None:
                # the break comes first, and ends what a killed run has left
                append(path, b"\n" + json.dumps([key, finished[key]]).encode())
    table = pd.DataFrame([{**x, **finished[key]} for key, x in settings.items()])
    return table[[*table.columns.drop("error"), "error"]]  # the last column


def settings_of(grid, seeds):
    """All combinations of the values in the grid and the seeds: a list of dicts."""
    if grid.keys() & {"seed", "error"}:
        raise ValueError(f"seed and error are columns of their own, got {list(grid)}")
    lists = {name: values_of(name, values) for name, values in grid.items()}
    lists["seed"] = [as_integer("a seed", x, 0) for x in values_of("seeds", seeds)]
    settings = [dict(zip(lists, x, strict=True)) for x in product(*lists.values())]
    if not settings:
        raise ValueError(f"nothing to run: the grid is {grid}, the seeds are {seeds}")
    return settings


def values_of(name, values):
    """A setting's values, NumPy's numbers as Python's; ValueError if one repeats."""
    with suppress(TypeError):
        found = [x.item() if isinstance(x, np.generic) else x for x in values]
        json.dumps(found)  # TypeError for what cannot be kept in a file
        seen = pd.Series(found, dtype=object)
        if not isinstance(values, str) and seen.is_unique:  # 1, 1.0, True are one
            return found
    rule = "a list of numbers, strings, booleans or None, each once"
    raise ValueError(f"{name} must be {rule}, got {values!r:.100}")


def figures_of(run, setting):
    """Run one setting: its figures and `error`, or the error alone if it diverged."""
    try:
        figures = numbers_in(run(**setting), "run")
    except FloatingPointError as error:
        return {"error": str(error) or repr(error)}
    if figures.keys() & {*setting, "error"}:
        raise ValueError(f"run gave {list(figures)}; settings have these names too")
    return {**figures, "error": ""}


def read_finished(path):
    """Read the runs that `sweep` has kept: a dict from a setting, as JSON, to figures.

    Of a setting that is there twice, the first line counts. What begins as a line and
    is none was left by a killed run or a full disk, and is skipped: that run is done
    again. Raises ValueError if there is anything else.
    """
    append(path, b"")  # if the file cannot be written, we know it before a run
    finished = {}
    for number, line in enumerate(Path(path).read_bytes().split(b"\n"), 1):
        if not b'["{'.startswith(line[:3]):
            wrong = f"sweep has not written {path}, line {number}"
            raise ValueError(f"{wrong}: give another path, or delete it")
        with suppress(ValueError, TypeError, KeyError, RecursionError):  # cut off
            key, figures = json.loads(line)
            finished.setdefault(key, {**figures, "error": figures["error"]})
    return finished


def mean_and_spread(table, by, names):
    """Show columns of a sweep as "mean ± standard deviation" over each group's runs.

    `by` is the name of a setting, or a list of them. Returns strings: a Series for one
    name of a column, a DataFrame for a list of names. A single run is shown without a
    spread, as "0.453"; where a run has diverged, it is "nan ± nan".
    """

    def shown(runs):  # a Series (num_runs,)
        mean, spread = runs.mean(skipna=False), runs.std(skipna=False)
        return f"{mean:.3f} ± {spread:.3f}" if len(runs) > 1 else f"{mean:.3f}"

    return table.groupby(by, sort=False, dropna=False)[names].agg(shown)


def plot_sweep(table, x, y, by=None, **options):
    """Draw the mean of y over the seeds against x, with the standard deviation as bars.

    There is a line for each value of `by`; `options` go to `DataFrame.plot`. A point
    with a diverged run is left out. Returns the axes.
    """
    runs = table.groupby([x] if by is None else [x, by], dropna=False)[y]
    mean = runs.agg(lambda figures: figures.mean(skipna=False))
    spread = runs.agg(lambda figures: figures.std(skipna=False))
    if by is not None:
        mean, spread = mean.unstack(by), spread.unstack(by)
    looks = {"marker": "o", "capsize": 3, "color": COLORS, "ylabel": y, **options}
    return mean.plot(yerr=spread, **looks)
