"""The check of what is read from a run's history."""

import math

import pandas as pd

from .verdict import differs, kind_of, says_what_is_wrong, tried

COLUMNS = ["train_loss", "valid_rmse", "test_rmse"]
# A row for each of COLUMNS, from epoch 0, the untrained model.
HISTORIES = {
    "five rows": [
        [math.nan, 9.0, 4.0, 1.0, 0.25],
        [3.05, 2.5, 2.1, 2.2, 2.4],
        [3.1, 2.6, 2.3, 2.0, 2.7],
    ],
    "four rows, the last of which is the best": [
        [math.nan, 2.0, 1.44, 1.69],
        [1.9, 1.4, 1.3, 1.2],
        [2.0, 1.25, 1.5, 1.6],
    ],
    "two rows": [[math.nan, 0.81], [1.1, 0.95], [0.9, 0.97]],
}


@says_what_is_wrong
def check_figures(figures):
    """Check `to_report(history)`: the epoch a run stands for, and its RMSEs: a dict."""
    for case, rows in HISTORIES.items():
        history = pd.DataFrame(dict(zip(COLUMNS, rows, strict=True)))
        history = history.rename_axis("epoch")
        found = tried(figures, history.copy(), on=f"for a history of {case}")
        if hint := wrong_in_figures(found, history):
            return f"for a history of {case}: {hint}"


def wrong_in_figures(found, history):
    """Give the first hint that applies to what should be the best epoch's figures."""
    epoch, on_test = history.valid_rmse.idxmin(), history.test_rmse.idxmin()
    train_loss, valid_rmse, test_rmse = history.loc[epoch]
    expected = {"epoch": epoch, "train_rmse": math.sqrt(train_loss)}
    expected |= {"valid_rmse": valid_rmse, "test_rmse": test_rmse}
    names = f"return a dict with the names {', '.join(expected)}"
    if not isinstance(found, dict | pd.Series):
        return f"{names}; this is {kind_of(found)}."
    missing = [name for name in expected if name not in found]
    if missing:
        return f"{names}; {' and '.join(missing)} is missing."
    wrong = [name for name, value in expected.items() if differs(found[name], value)]
    if not wrong:
        return None
    best_on_test = [on_test, history.test_rmse[on_test]]
    if not differs([found["epoch"], found["test_rmse"]], best_on_test):
        return "the epoch is the best on the test set, which has no part in choosing."
    if "epoch" in wrong and not differs(found["epoch"], history.index[-1]):
        return "this is the last epoch; which is the best on the validation set?"
    before = history.valid_rmse[epoch - 1]
    if "epoch" not in wrong and not differs(found["valid_rmse"], before):
        return "rows are counted from 0, the untrained model: take all from one row."
    return f"look at {' and '.join(wrong)}: one row, and train_loss is a squared error."
