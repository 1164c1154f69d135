"""Checks of the tables of sweeps."""

from collections.abc import Iterable
from itertools import permutations

import pandas as pd

from .verdict import NotYetError, differs, kind_of, says_what_is_wrong

K_GRID = [1, 2, 5, 10, 20, 30, 50, 100, 200]


@says_what_is_wrong
def check_latent_size(table, best_k):
    """Check a sweep over num_factors and weight_decay, and the k chosen by it."""
    runs = runs_of(table, {"num_factors": K_GRID, "weight_decay": []}, "valid_rmse")
    means = runs.groupby(["num_factors", "weight_decay"]).valid_rmse.mean().unstack()
    means = means[means.reindex(K_GRID).dropna(axis="columns").columns]
    if steps_in(means.columns, 1.5) < 2:
        return "run every k with the same two or more weight decays, a factor 2 apart."
    at_1, best = means.loc[1].min(), means.min().min()
    if at_1 - best > 0.03:
        found = f"k = 1 has {at_1:.3f}, the best k {best:.3f}"
        return f"{found}, not within 0.03: has the model biases and the global mean?"
    if best < 0.905:  # found is 0.912; other seeds move the best mean by 0.001
        return f"the best has {best:.3f}, which is too good; on which ratings?"
    if best > 0.92:
        return f"the best has {best:.3f}; is it the best epoch, with a penalty?"
    if differs(best_k, means.min(axis="columns").idxmin()):
        return "best_k is not the k whose mean over the seeds is lowest in your table."


OPTIMIZERS = ["SGD", "SGD with momentum", "Adagrad", "Adam", "AdamW"]


@says_what_is_wrong
def check_optimizers(table, close):
    """Check a sweep over optimizers, and the list of those close to the best."""
    grid = {"optimizer": OPTIMIZERS, "lr": [], "weight_decay": []}
    runs = runs_of(table, grid, "valid_rmse")
    for name, part in runs.groupby("optimizer"):
        if steps_in(part.lr, 9) < 3:
            return f"{name} needs at least three learning rates, a factor of ten apart."
        if steps_in(part.weight_decay, 1.5) < 2:
            return f"{name} needs at least two weight decays, a factor 2 apart."
    settings = runs.groupby([*grid]).valid_rmse
    means = settings.agg(lambda figures: figures.mean(skipna=False))
    lowest = means.groupby("optimizer").min()
    for name, figure in lowest.items():
        if not 0.90 < figure < 0.93:  # found are 0.911 to 0.922, whatever the rates
            return f"the best of {name} is {figure:.3f}, not between 0.90 and 0.93."
    if not means.isna().any():
        return "no run diverged: try SGD with rates up to 1000, and keep failed runs."
    limit = lowest.min() + settings.std()[means.idxmin()]
    names = set(map(str, close)) if isinstance(close, Iterable) else None
    if names != set(lowest[lowest <= limit].index):
        near = "at most one standard deviation (of the best setting) above the lowest"
        return f"close has the names of the optimizers whose best mean is {near}."


@says_what_is_wrong
def check_negatives(table):
    """Check the table of a sweep of GMF over num_negatives and num_factors."""
    grid = {"num_negatives": range(1, 11), "num_factors": [8, 16, 32, 64]}
    runs = runs_of(table, grid, "valid_ndcg")
    for name, other in permutations(grid):
        values_of = runs.groupby(other)[name].agg(set)
        if not any(values >= set(grid[name]) for values in values_of):
            return f"run every {name} with one and the same {other}."
    means = runs.groupby([*grid]).valid_ndcg.mean()
    lowest, highest = means.min(skipna=False), means.max(skipna=False)
    if not 0.36 < lowest <= highest < 0.46:  # found are 0.392 to 0.422
        found = f"valid_ndcg is between {lowest:.3f} and {highest:.3f}"
        return f"{found}, not 0.36 and 0.46: which candidates, after which epoch?"


def runs_of(table, grid, figure):
    """The runs of a table; a column, value, seed or difference missing ends the check.

    `grid` has for each setting the values that some run must have had.
    """
    if not isinstance(table, pd.DataFrame):
        raise NotYetError(f"give the table that sweep returned, not {kind_of(table)}.")
    columns = [*grid, "seed", figure]
    for name in columns:
        count = list(table.columns).count(name)
        if count != 1:
            raise NotYetError(f"the table needs one column {name}, it has {count}.")
    runs = {name: floats_in(table, name) for name in columns if name != "optimizer"}
    runs = table[columns].assign(**runs)
    for name, values in grid.items():
        absent = [value for value in values if value not in set(runs[name])]
        if absent:
            raise NotYetError(f"{name} has not been {absent[0]} in any run.")
    if runs.groupby([*grid]).seed.nunique().min() < 3:
        raise NotYetError("run each setting with three seeds.")
    for name in ["seed", *grid]:
        others = [other for other in [*grid, "seed"] if other != name]
        if changes_nothing(runs, name, others, figure):
            same = f"{figure} is mostly the same whatever {name} is"
            raise NotYetError(f"{same}: does {name} reach the training? Do not round.")
    return runs


def floats_in(table, name):
    try:
        return table[name].astype(float)
    except (TypeError, ValueError):
        raise NotYetError(f"in the column {name}, not all is a number.") from None


def changes_nothing(runs, name, others, figure):
    """Whether most runs that only differ in `name` have the same figure."""
    groups = runs.dropna(subset=figure).groupby(others)
    several = groups[name].nunique() > 1
    return (groups[figure].nunique()[several] == 1).mean() > 0.5


def steps_in(values, factor):
    """Count values, each at least `factor` times the one before; 0 is as 1e-6."""
    steps, last = 0, 0.0
    for value in pd.Series(values).dropna().clip(lower=1e-6).sort_values():
        if value >= factor * last:
            steps, last = steps + 1, value
    return steps
