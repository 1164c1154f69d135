"""All that a GPU can run of this book, and how fast: `make gpu`.

- `tests`: the unit tests, which train on a GPU where there is one, among them those of
  test_devices.py, which otherwise have a pretended one.
- `times` (gpu_times.py): NCF's 20 epochs of GMF with batches from 256 to 16,384, the
  learning rate growing with the root, by `CatchUpAdam` and by the fused Adam; ALS, the
  softmax model, and MF on MovieLens 100K. The share of the bandwidth is the time in
  which a copy of a gigabyte moves as many bytes as an epoch of NCF must (see
  `move_the_bytes` in fast.py), by that of the epoch. Epochs are the median without the
  first, which compiles. The table, d2lrec/results/gpu.csv, is shown on the page fast.
- `notebooks`: every page, exercise and solution whole. Digits depend on the device, so
  cells that print others than the stored ones are named; a cell that raises, too.

What is done is kept in _build (see kept.py), and the same command goes on with the
rest. An error is said, stops nothing else, and is tried again the next time.
`--quick` takes a minute, with small made-up data, and `--device cpu` tries it all
without a GPU; both write their table into _build.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from gpu_times import TASKS, card, measure
from kept import ROOT, Kept
from processes import in_own_process

TABLE = ROOT / "d2lrec" / "results" / "gpu.csv"
COLUMNS = [
    "task", "batch_size", "epochs", "seconds", "first_epoch", "seconds_per_epoch",
    "hit_rate", "ndcg", "test_rmse", "bytes_per_second", "bytes_per_epoch",
    "share_of_bandwidth", "peak_mib", "error", "card", "torch", "date",
]  # fmt: skip
QUICK_PAGE, QUICK_TESTS = "exercises/metrics.ipynb", ["tests/test_devices.py"]
OVER = "TimeoutError: not begun"  # an error that leaves the table incomplete
AT_A_TIME = max(1, (os.cpu_count() or 1) // 4)  # where nothing is timed


def run_pytest(*arguments):
    """Run tests: their number, and of each that failed the name and what was said."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml"]
        command += [f"--junit-xml={report}", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if not report.exists():
            raise RuntimeError((done.stderr + done.stdout)[-200:])
        tests = list(ElementTree.parse(report).iter("testcase"))
    failed = {}
    for test in tests:
        for problem in (*test.findall("failure"), *test.findall("error")):
            failed[f"{test.get('classname')} {test.get('name')}"] = problem.text or ""
    return {"tests": len(tests), "failed": failed}


def run_notebook(path):
    """Run a page: the number of its cells, those that print other digits or raise."""
    found = run_pytest("-n0", path)
    differ = [n for n, said in found["failed"].items() if "outputs differ" in said]
    raising = [name for name in found["failed"] if name not in differ]
    problems = {"differ": differ, "raise": raising}
    cells = {key: [name.split()[-1] for name in x] for key, x in problems.items()}
    return {"cells": found["tests"], **cells}


def jobs(part, quick):
    """What there is to do in a part: a dict from a name to a function."""
    if part == "tests":
        options = ["-m", "not (site or colab)", f"-n{AT_A_TIME}"]
        which = QUICK_TESTS if quick else ["tests"]
        return {"unit tests": partial(run_pytest, *options, *which)}
    if part == "times":
        return {x: partial(in_own_process, measure, x, quick) for x in TASKS}
    found = {}
    for path in sorted((ROOT / "book").rglob(QUICK_PAGE if quick else "*.ipynb")):
        version = hashlib.sha256(path.read_bytes()).hexdigest()[:6]
        name = f"{path.parent.name} {path.stem} {version}"  # changed, it has another
        found[name] = partial(run_notebook, str(path.relative_to(ROOT)))
    return found


def do(part, quick, kept, deadline):
    """Do what is left of a part: a dict from a name to its result or its error."""

    def one(name, function):
        def in_time():
            if time.monotonic() > deadline:
                raise TimeoutError("not begun, as the minutes are over")
            return function()

        try:
            result, _ = kept.get(name, in_time)
        except Exception as error:  # goes into the row, and the others go on
            result = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(f"{part}, {name}: {in_short(result)}", flush=True)
        return name, result

    with ThreadPoolExecutor(AT_A_TIME if part == "notebooks" else 1) as pool:
        todo = jobs(part, quick)
        return dict(pool.map(one, todo.keys(), todo.values()))


def in_short(result):
    """A result for a line: four digits, and of tests that failed the names alone."""

    def shown(x):
        return [*x] if isinstance(x, dict) else f"{x:.4g}" if type(x) is float else x

    return ", ".join(f"{name} {shown(x)}" for name, x in result.items())


def write_table(results, about, path):
    """Write the times as a table, with the share of the bandwidth."""
    import pandas as pd

    rows = [{"task": task, **row, **about} for task, row in results.items()]
    table = pd.DataFrame(rows).reindex(columns=COLUMNS)
    achieved = table.pop("bytes_per_epoch") / table.seconds_per_epoch
    table["share_of_bandwidth"] = achieved / table.bytes_per_second.max()
    print(table.drop(columns=[*about]).to_string(index=False, float_format="%.4g"))
    path.write_text(table.to_csv(index=False, float_format="%.5g"))
    print(f"written to {path.relative_to(ROOT)}")


def main(arguments=None):
    parts = ["tests", "times", "notebooks"]
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.py")
    parser.add_argument("parts", nargs="*", help=f"of {parts}; by default all")
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    asked = parser.parse_args(arguments)
    if not {*asked.parts} <= {*parts}:
        parser.error(f"parts are {parts}, got {asked.parts}")
    deadline = time.monotonic() + 60 * asked.minutes
    if asked.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    about = in_own_process(card)
    on_cpu = about["card"] == "cpu"
    if on_cpu and asked.device == "gpu":
        sys.exit("There is no GPU here. To try it: make gpu DEVICE=cpu QUICK=--quick")
    kept = Kept(f"gpu {about['card']}{' quick' * asked.quick}".replace("/", " "))
    about["date"] = str(date.today())
    for part in asked.parts or parts:
        results = do(part, asked.quick, kept, deadline)
        left = [x for x in results.values() if x.get("error", "").startswith(OVER)]
        if part == "times" and not left:
            path = ROOT / "_build" / "gpu.csv" if on_cpu or asked.quick else TABLE
            write_table(results, about, path)
    if time.monotonic() > deadline:
        print("The minutes are over: the same command goes on with the rest.")


if __name__ == "__main__":
    main()
