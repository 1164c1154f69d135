"""What `make bench` says of its curves: a table with a row for each contender."""

import pandas as pd
from contenders import ML1M, ML100K, target_of

# Of an epoch, for the contenders that go through examples.
EXAMPLES = {ML1M: 5 * 994_169, ML100K: 90_000}
EXAMPLE_BY_EXAMPLE = "usual", "GMF", "MF", "Surprise"
QUALITY = ["hit_rate", "ndcg", "test_rmse"]


def seconds_to_target(curve):
    """When one contender's curve with one seed first has its target, or infinity."""
    target = target_of(curve.contender.iloc[0])
    if curve.data.iloc[0] == ML1M:
        reached = curve.hit_rate >= target
    else:
        reached = curve.test_rmse <= target
    return curve.seconds[reached].min() if reached.any() else float("inf")


def summarize(curves):
    """A row per contender: medians of the seconds, mean and spread of the quality."""
    rows = []
    for (data, contender), runs in curves.groupby(["data", "contender"], sort=False):
        by_seed = runs.groupby("seed")
        last = by_seed.last()
        to_target = [seconds_to_target(run) for _, run in by_seed]
        row = {"data": data, "contender": contender, "epochs": last.epoch.max()}
        row["seconds"] = last.seconds.median()
        row["seconds_to_target"] = pd.Series(to_target).median()
        mean, spread = last[QUALITY].mean(), last[QUALITY].std().add_suffix("_spread")
        rows.append({**row, **mean, **spread})
    return pd.DataFrame(rows)


def add_processes(summary, points):
    """Add memory and seconds of compiling, and the examples trained on in a second."""
    noted = {"seconds_compiling": "median", "peak_mib": "max", "libraries_mib": "max"}
    summary = summary.join(points.groupby("contender").agg(noted), on="contender")
    examples = summary.epochs * summary.data.map(EXAMPLES)
    per_second = examples / (summary.seconds - summary.seconds_compiling)
    counted = summary.contender.str.startswith(EXAMPLE_BY_EXAMPLE)
    return summary.assign(examples_per_second=per_second.where(counted))


def rows_for_pages(summary):
    """The rows of the pages' table, in Markdown: a dict from contender to row."""
    rows = {}
    for row in summary.itertuples():
        mean, spread = row.hit_rate, row.hit_rate_spread
        if row.data == ML100K:
            mean, spread = row.test_rmse, row.test_rmse_spread
        seconds = seconds_for_pages(row.seconds)
        to_target = seconds_for_pages(row.seconds_to_target)
        figures = f"{mean:.3f} ± {spread:.3f} | {seconds} | {to_target}"
        rows[row.contender] = f"| {row.contender} | {figures} | {row.peak_mib:,.0f} |"
    return rows


def seconds_for_pages(seconds):
    """Seconds with two digits or three, or never."""
    if seconds == float("inf"):
        return "never"
    digits = 2 if seconds < 0.995 else 1 if seconds < 99.5 else 0
    return f"{seconds:.{digits}f}"


def show(summary):
    """Print the summary, its rows for the pages, and how many times faster each is."""
    targets = summary.contender.map(target_of)
    for (data, target), rows in summary.groupby(["data", targets], sort=False):
        print(f"\n{data}, target {target}")
        rows = rows.drop(columns="data").dropna(axis="columns", how="all")
        print(rows.to_string(index=False))
    print("", *rows_for_pages(summary).values(), sep="\n")
    by_name = summary[summary.data == ML1M].set_index("contender")
    usual = by_name.seconds["usual loop"]
    for name, seconds in by_name.seconds_to_target.items():
        if seconds < float("inf"):
            print(f"all epochs of the usual loop / {name}: {usual / seconds:.0f}")
