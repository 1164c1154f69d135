"""Checks of what is read from a run, and of the tables of a sweep."""

import math
from collections.abc import Iterable

import pandas as pd

from .verdict import differs, says_what_is_wrong


@says_what_is_wrong
def check_figures(figures):
    """Check `figures(history)`: the epoch a run reports, and its RMSEs, as a dict."""
    rows = {
        "train_loss": [math.nan, 9.0, 4.0, 1.0, 0.25],
        "valid_rmse": [3.0, 2.5, 2.1, 2.2, 2.4],
        "test_rmse": [3.1, 2.6, 2.3, 2.0, 2.7],
    }
    found = figures(pd.DataFrame(rows).rename_axis("epoch"))
    expected = {"epoch": 2, "train_rmse": 2.0, "valid_rmse": 2.1, "test_rmse": 2.3}
    if not isinstance(found, dict) or set(found) != set(expected):
        return f"return a dict with the names {', '.join(expected)}."
    if not differs(found["epoch"], 3) and not differs(found["test_rmse"], 2.0):
        return "the epoch is the best on the test part: then the test part has been used to choose."
    if not differs(found["epoch"], 4):
        return "this is the last epoch; which is the best on the validation part?"
    if not differs(found["epoch"], 2) and not differs(found["valid_rmse"], 2.5):
        return "rows are counted from 0, the untrained model; read all figures from one row."
    wrong = [name for name, value in expected.items() if differs(found[name], value)]
    if wrong:
        return f"look at {' and '.join(wrong)}: one row, and train_loss is a squared error."


K_GRID = [1, 2, 5, 10, 20, 30, 50, 100, 200]


@says_what_is_wrong
def check_latent_size(table, best_k):
    """Check the table of a sweep over num_factors and weight_decay, and the k chosen by it."""
    hint = lacks(table, ["num_factors", "weight_decay"], {"num_factors": K_GRID})
    if hint:
        return hint
    means = table.groupby(["num_factors", "weight_decay"]).valid_rmse.mean().unstack()
    means = means[means.reindex(K_GRID).dropna(axis="columns").columns]
    if len(means.columns) < 2:
        return "run every k with the same weight decays, at least two of them."
    at_1, best = means.loc[1].min(), means.min().min()
    if at_1 - best > 0.03:
        return (
            f"k = 1 has {at_1:.3f}, the best k {best:.3f}: one factor beside the biases and the "
            "global mean should come within 0.03 of it; does the model have them?"
        )
    if best < 0.90:
        return f"a validation RMSE of {best:.3f} is too good; which ratings is it computed on?"
    if best > 0.92:
        return f"the best has {best:.3f}; is it the best epoch, and is the penalty there?"
    if differs(best_k, means.min(axis="columns").idxmin()):
        return "best_k is not the k whose mean over the seeds is lowest in your table."


OPTIMIZERS = ["SGD", "SGD with momentum", "Adagrad", "Adam", "AdamW"]


@says_what_is_wrong
def check_optimizers(table, close):
    """Check the table of a sweep over optimizers, and the list of those close to the best."""
    hint = lacks(table, ["optimizer", "lr", "weight_decay"], {"optimizer": OPTIMIZERS})
    if hint:
        return hint
    tried = table.groupby("optimizer")[["lr", "weight_decay"]].nunique()
    for name, row in tried.iterrows():
        if row.lr < 3 or row.weight_decay < 2:
            return f"{name} needs at least three learning rates and two weight decays."
    settings = table.groupby(["optimizer", "lr", "weight_decay"]).valid_rmse
    means = settings.agg(lambda figures: figures.mean(skipna=False))
    lowest = means.groupby("optimizer").min()
    for name, figure in lowest.items():
        if not 0.90 < figure < 0.93:
            return f"the best of {name} is {figure:.3f}; it should be between 0.90 and 0.93."
    if not means.isna().any():
        return "no run diverged: try SGD with rates up to 1000, and keep failed runs in the table."
    limit = lowest.min() + settings.std()[means.idxmin()]
    if not isinstance(close, Iterable) or {*map(str, close)} != {*lowest[lowest <= limit].index}:
        return (
            "close has the optimizers whose best mean is at most one standard deviation (over the "
            "seeds of the best setting of all) above the best mean; compute it from your table."
        )


@says_what_is_wrong
def check_negatives(table):
    """Check the table of a sweep of GMF over num_negatives and num_factors."""
    grid = {"num_negatives": range(1, 11), "num_factors": [8, 16, 32, 64]}
    hint = lacks(table, list(grid), grid, "valid_ndcg")
    if hint:
        return hint
    tried = table.groupby(list(grid)).valid_ndcg.mean().reset_index()
    if (tried.num_negatives.value_counts().max() < 4) or (
        tried.num_factors.value_counts().max() < 10
    ):
        return "keep the latent size while the negatives change, and the negatives while it does."
    means = tried.valid_ndcg
    if not 0.36 < means.min() <= means.max() < 0.46:
        return (
            f"NDCG@10 between {means.min():.3f} and {means.max():.3f}: expected is 0.36 to 0.46 "
            "for the validation films; which candidates are ranked, and after which epoch?"
        )


def lacks(table, names, grid, figure="valid_rmse"):
    """Say what a table of a sweep lacks: a column, a value of the grid, or seeds."""
    if not isinstance(table, pd.DataFrame):
        return "give the table that sweep returned."
    missing = [name for name in [*names, "seed", figure] if name not in table.columns]
    if missing:
        return f"the table lacks the column {', '.join(missing)}."
    for name, values in grid.items():
        absent = sorted(set(values) - set(table[name]))
        if absent:
            return f"{name} has not been {absent[0]} in any run."
    if table.groupby(names).seed.nunique().min() < 3:
        return "run each setting with three seeds."
