"""One experiment with many settings, and several seeds for each."""

import itertools
import json
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from .files import write_whole

COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]  # Okabe and Ito's


def sweep(run, grid, seeds=(0,), path=None, progress=True):
    """Run an experiment with every combination of settings and every seed.

    Args:
        run: called as `run(seed=..., **setting)`; returns a dict from name to number.
        grid: dict from the name of a setting to the list of its values, which are Python's
            own numbers, strings, booleans or None.
        seeds: whole numbers.
        path: a file that keeps what is finished: called again, `sweep` runs only the rest.
            Delete it after a change of `run`.
        progress: whether to show a bar.
    Returns:
        DataFrame with a row per run: the settings, `seed`, what `run` gave, and `error`,
        which is empty unless the run diverged, that is, raised FloatingPointError. Then it
        has the message, and what `run` would have given is NaN.
    Raises:
        ValueError: `path` is not a file that `sweep` has written, there is nothing to run, or
            `run` gives a figure the name of a setting.
        TypeError: a value in the grid cannot be kept in a file, as it is a function, say.
    """
    values = itertools.product(*grid.values(), seeds)
    settings = [dict(zip([*grid, "seed"], some, strict=True)) for some in values]
    if not settings:
        raise ValueError(f"nothing to run: the grid is {grid}, the seeds are {seeds}")
    keys = [json.dumps(setting, sort_keys=True) for setting in settings]
    finished = read_finished(path)
    pairs = list(zip(keys, settings, strict=True))
    for key, setting in tqdm(pairs, unit="run", disable=not progress):
        if key not in finished:
            finished[key] = figures_of(run, setting)
            if path is not None:
                lines = [f"{json.dumps(pair)}\n" for pair in finished.items()]
                write_whole(path, "".join(lines).encode())
    table = pd.DataFrame([{**setting, **finished[key]} for key, setting in pairs])
    table["error"] = table.pop("error")  # the last column
    return table


def figures_of(run, setting):
    """Run one setting: the dict of its figures and its `error`, which is all if it diverged."""
    try:
        figures = {name: float(value) for name, value in run(**setting).items()}
    except FloatingPointError as error:
        return {"error": str(error) or repr(error)}
    if figures.keys() & {*setting, "error"}:
        raise ValueError(f"run gave {list(figures)}; settings have these names too")
    return {**figures, "error": ""}


def read_finished(path):
    """Read the runs that `sweep` has kept: a dict from a setting, as JSON, to its figures."""
    if path is None or not Path(path).exists():
        return {}
    finished = {}
    try:
        for line in Path(path).read_text().splitlines():
            key, figures = json.loads(line)
            finished[key] = {**figures, "error": figures["error"]}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"sweep has not written {path} ({error!r}): give another path, or delete it"
        ) from error
    return finished


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
