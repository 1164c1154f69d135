"""`make gpu` on the CPU: what it keeps, what it says of failures, and its table."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from pages import BOOK, cells_of, source_of

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import gpu
import gpu_times
from kept import Kept

TASKS = "copy of a gigabyte", "GMF, fused Adam, 1024", "ALS, k = 64", "softmax, k = 64"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Calls the script with its tasks in this process: the table that it writes."""
    monkeypatch.setattr(gpu, "Kept", lambda name: Kept(name, tmp_path / "_build"))
    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    monkeypatch.setattr(gpu, "TASKS", TASKS)
    monkeypatch.setattr(gpu, "in_own_process", lambda function, *args: function(*args))
    monkeypatch.setattr(gpu, "card", lambda: {"card": "cpu", "torch": "2"})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    def run(*options):
        gpu.main(["times", "--device", "cpu", "--quick", *options])
        return pd.read_csv(tmp_path / "_build" / "gpu.csv", index_col="task")

    return run


def failing(name, quick):
    if name == TASKS[1]:
        raise RuntimeError("no compiler\nand more")
    return gpu_times.measure(name, quick)


def test_one_that_fails_says_why_and_is_tried_again(run, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "measure", failing)
    table = run()
    assert tuple(table.index) == TASKS
    assert table.error.dropna().to_dict() == {TASKS[1]: "RuntimeError: no compiler"}
    assert table.seconds.notna().sum() == len(TASKS) - 1
    monkeypatch.setattr(gpu, "measure", gpu_times.measure)
    again = run()
    assert again.error.isna().all()
    assert again.share_of_bandwidth[TASKS[1]] > 0
    assert (again.card == "cpu").all()
    others = table.index.drop(TASKS[1])
    assert again.seconds[others].equals(
        table.seconds[others]
    )  # kept, not measured anew


def test_when_the_minutes_are_over_nothing_is_begun(run, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "measure", lambda name, quick: pytest.fail(name))
    with pytest.raises(FileNotFoundError):  # a table that is not complete
        run("--minutes", "0")
    said = capsys.readouterr().out
    assert said.count("TimeoutError: not begun") == len(TASKS)
    assert "the same command goes on" in said


def test_without_a_gpu_it_says_how_to_try_it(run, monkeypatch):
    with pytest.raises(SystemExit, match="make gpu DEVICE=cpu QUICK=--quick"):
        gpu.main(["times"])


def test_make_passes_on_what_it_is_told():
    told = ["DEVICE=cpu", "QUICK=--quick", "PARTS=tests times", "MINUTES=8"]
    options = ["--dry-run", "--no-print-directory", "--old-file=.venv/ready"]
    command = ["make", *options, "gpu", *told]  # also within another make
    done = subprocess.run(command, cwd=BOOK.parent, capture_output=True, text=True)
    said = " ".join(done.stdout.replace("\\\n", " ").split())
    options = "tests times --quick --device cpu --minutes 8"
    assert said.endswith(f"python benchmarks/gpu.py {options}")


def test_parts_there_are_not_are_refused(run, capsys):
    with pytest.raises(SystemExit):
        gpu.main(["all"])
    assert "parts are" in capsys.readouterr().err


def test_the_clock_stands_still_while_a_model_is_evaluated(monkeypatch):
    now = [0.0]

    def evaluate(model):
        now[0] += 50
        return {"hit_rate": 0.5}

    monkeypatch.setattr(gpu_times, "now", lambda: now[0])
    clock = gpu_times.Clock(evaluate)
    for seconds in (1, 10, 2, 4):  # up to the start, then three epochs
        now[0] += seconds
        clock(None)
    figures = {"seconds": 16, "epochs": 3, "first_epoch": 10, "seconds_per_epoch": 3}
    assert clock.figures() == {"hit_rate": 0.5, **figures}
    assert clock.figures(0.0)["first_epoch"] == 1


@pytest.mark.slow
def test_a_page_whose_cells_differ_or_raise_is_told_apart(tmp_path):
    book = nbformat.v4.new_notebook()
    for source, printed in (("print(1)", "1"), ("print(1)", "2"), ("1 / 0", "1")):
        cell = nbformat.v4.new_code_cell(source, execution_count=1)
        cell.outputs = [nbformat.v4.new_output("stream", text=f"{printed}\n")]
        book.cells.append(cell)
    nbformat.write(book, tmp_path / "page.ipynb")
    found = gpu.run_notebook(str(tmp_path / "page.ipynb"))
    assert found == {"cells": 3, "differ": ["1"], "raise": ["2"]}


def code_of_the_section():
    sources = [source_of(cell) for cell in cells_of(BOOK / "fast.ipynb", "code")]
    [first] = [i for i, source in enumerate(sources) if "gpu.csv" in source]
    return "\n".join(sources[first : first + 3])


def test_the_page_shows_a_card_if_one_was_measured(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gpu, "measure", gpu_times.measure)
    names = {"pd": pd, "files": lambda package: tmp_path}
    exec(code_of_the_section(), names)
    assert capsys.readouterr().out == (
        "No card has been measured for this page yet: `make gpu` does it.\n"
    )
    run()
    (tmp_path / "results").mkdir()
    (tmp_path / "_build" / "gpu.csv").rename(tmp_path / "results" / "gpu.csv")
    capsys.readouterr()
    exec(code_of_the_section(), names)
    said = capsys.readouterr().out
    assert said.startswith("cpu, 2, 20")
    assert all(task in said for task in TASKS)
    assert "quickest within 0.005 of the best HR@10: GMF" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_real_file_is_of_a_real_card():
    if gpu.TABLE.exists():
        table = pd.read_csv(gpu.TABLE)
        assert not set(table.card) & {"cpu", "pretend"}
        assert set(table.task) == set(gpu_times.TASKS)
