"""The check of what is read from a run's history."""

import math

import pandas as pd

from .verdict import differs, kind_of, says_what_is_wrong, tried

# train_loss, valid_rmse and test_rmse of the epochs from 0, the untrained model.
HISTORIES = {
    "five rows": (
        [math.nan, 9.0, 4.0, 1.0, 0.25],
        [3.05, 2.5, 2.1, 2.2, 2.4],
        [3.1, 2.6, 2.3, 2.0, 2.7],
    ),
    "four rows, the last of which is the best": (
        [math.nan, 2.0, 1.44, 1.69],
        [1.9, 1.4, 1.3, 1.2],
        [2.0, 1.25, 1.5, 1.6],
    ),
    "two rows": ([math.nan, 0.81], [1.1, 0.95], [0.9, 0.97]),
}


@says_what_is_wrong
def check_figures(figures):
    """Check `figures(history)`: the epoch a run reports, and its RMSEs, as a dict."""
    for case, columns in HISTORIES.items():
        names = ["train_loss", "valid_rmse", "test_rmse"]
        history = pd.DataFrame(dict(zip(names, columns, strict=True))).rename_axis(
            "epoch"
        )
        found = tried(figures, history.copy(), on=f"for a history of {case}")
        if hint := wrong_in_figures(found, history):
            return f"for a history of {case}: {hint}"


def wrong_in_figures(found, history):
    """Give the first hint that applies to what should be the figures of the best epoch."""
    epoch = history.valid_rmse.idxmin()
    train_loss, valid_rmse, test_rmse = history.loc[epoch]
    expected = {"epoch": epoch, "train_rmse": math.sqrt(train_loss)}
    expected |= {"valid_rmse": valid_rmse, "test_rmse": test_rmse}
    names = f"return a dict with the names {', '.join(expected)}"
    if not isinstance(found, dict | pd.Series):
        return f"{names}; this is {kind_of(found)}."
    missing = [name for name in expected if name not in found]
    if missing:
        return f"{names}; this one lacks {' and '.join(missing)}."
    wrong = [name for name, value in expected.items() if differs(found[name], value)]
    if not wrong:
        return None
    by_test = history.test_rmse.idxmin()
    if not differs(found["epoch"], by_test) and not differs(
        found["test_rmse"], history.test_rmse[by_test]
    ):
        return "the epoch is the best on the test set: then the test set has been used to choose."
    if "epoch" in wrong and not differs(found["epoch"], history.index[-1]):
        return "this is the last epoch; which is the best on the validation set?"
    if "epoch" not in wrong and not differs(
        found["valid_rmse"], history.valid_rmse[epoch - 1]
    ):
        return "rows are counted from 0, the untrained model; read all figures from one row."
    return f"look at {' and '.join(wrong)}: one row, and train_loss is a squared error."
