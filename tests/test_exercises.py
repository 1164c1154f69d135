"""The exercises are the solutions without the answers, and the solutions are right."""

import ast
import json
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import nbformat
import pytest
from pages import (
    BOOK,
    EXERCISES,
    ROOT,
    SOLUTIONS,
    cells_of,
    each_exercise,
    each_solution,
    load,
    pages_of_the_book,
    printed_by,
    source_of,
    tags_of,
    text_of,
)

from d2lrec import checks

FOLDER = BOOK / "exercises"
generator = load(FOLDER / "from_solutions.py")


def without_outputs(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def test_each_solution_has_its_exercise():
    listed = [Path(page) for page in pages_of_the_book()]
    for folder, paths in (("exercises", EXERCISES), ("solutions", SOLUTIONS)):
        names = sorted(page.name for page in listed if page.parent.name == folder)
        assert [path.stem for path in paths] == names
    assert [path.name for path in SOLUTIONS] == [path.name for path in EXERCISES]


@each_solution
def test_the_exercise_is_made_from_the_solution(path):
    stored = nbformat.read(FOLDER / path.name, 4)
    assert without_outputs(stored) == generator.exercise_of(nbformat.read(path, 4))


@each_solution
def test_the_exercise_does_not_give_the_answer_away(path):
    exercise = (FOLDER / path.name).read_text()
    cells = [cell for cell in cells_of(path) if "solution" in tags_of(cell)]
    answers = [source_of(cell) for cell in cells]
    assert len(answers) >= 3
    for answer in answers:
        assert json.dumps(answer)[1:-1] not in exercise
    assert "# Exercise: " in exercise
    assert "*Hint:*" in exercise
    assert re.search(r"\blies between\b", exercise)


@each_solution
def test_every_check_says_right_in_the_solution_and_nothing_yet_in_the_exercise(path):
    verdicts = {path: "Right.\n", FOLDER / path.name: "Nothing to check yet"}
    for notebook, verdict in verdicts.items():
        cells = cells_of(notebook, "code")
        calls = [c for c in cells if re.search(r"^check_\w+\(", source_of(c), re.M)]
        assert calls
        for cell in calls:
            assert "".join(map(text_of, cell["outputs"])).startswith(verdict)


@each_solution
def test_every_number_of_a_finding_is_printed(path):
    printed, cells = printed_by(path), cells_of(path, "markdown")
    findings = [source_of(cell) for cell in cells if "solution" in tags_of(cell)]
    numbers = re.findall(r"\d+\.\d+", "".join(findings))
    assert len(numbers) >= 3
    assert [number for number in numbers if number not in printed] == []


def test_an_answer_is_left_out_or_replaced():
    cell = nbformat.v4.new_code_cell
    cells = [
        nbformat.v4.new_markdown_cell("# Solution: Sums"),
        cell("x = 1", metadata={"tags": ["keep"]}),
        cell("y = x + 1", metadata={"tags": ["solution"], "exercise": "y = ..."}),
        cell("print(y)", metadata={"tags": ["solution"]}),
    ]
    about = {"myst": {"html_meta": {"description lang=en": "Worked solution: sums"}}}
    solution = nbformat.v4.new_notebook(cells=cells, metadata=about)
    exercise = generator.exercise_of(solution)
    sources = [cell.source for cell in exercise.cells]
    assert sources == ["# Exercise: Sums", "x = 1", "y = ..."]
    assert exercise.metadata.myst.html_meta["description lang=en"] == "Exercise: sums"
    assert exercise.cells[1].metadata.tags == ["keep"]
    assert exercise.cells[2].metadata == {}
    assert solution.cells[0].source == "# Solution: Sums"  # is left as it was


@each_exercise
def test_the_exercise_has_an_example_to_start_from_and_a_place_for_the_answer(path):
    sources = [source_of(cell) for cell in cells_of(path, "code")]
    assert any("..." in source for source in sources)


def definitions_of(source):
    """A cell's imports, functions and classes, which run nothing."""
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    parts = [part for part in ast.parse(source).body if isinstance(part, kept)]
    return compile(ast.Module(parts, []), "cell", "exec")


def verdicts_on_worked_answers():
    """What each check says of the solutions' functions: dict by the check's name."""
    verdicts = {}
    for path in SOLUTIONS:
        space = {"num_users": 30, "num_items": 40}
        sources = [source_of(cell) for cell in cells_of(path, "code")]
        for source in sources:
            if "%pip" not in source:
                exec(definitions_of(source), space)
        calls = re.findall(r"^(check_\w+)\((\w+)\)$", "\n".join(sources), re.M)
        for check, answer in calls:
            if answer in space:
                with redirect_stdout(StringIO()) as said:
                    space[check](space[answer])
                verdicts[check] = said.getvalue()
    return verdicts


# These checks are given a table of runs, all others a function.
OF_RUNS = {"check_latent_size", "check_negatives", "check_optimizers"}
ALL_RIGHT = dict.fromkeys(set(checks.__all__) - OF_RUNS, "Right.\n")


def test_the_worked_answers_are_right():
    assert verdicts_on_worked_answers() == ALL_RIGHT


@pytest.mark.slow
def test_the_worked_answers_are_right_on_a_gpu():
    call = (
        "import json, pretend; pretend.install(); import test_exercises as t; "
        "print(json.dumps(t.verdicts_on_worked_answers()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", call], cwd=ROOT / "tests", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ALL_RIGHT
