"""The exercises are the solutions without the answers, and the solutions are right."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO

import nbformat
import pytest
from test_book import (
    ROOT,
    SOLUTIONS,
    cells_of,
    each_solution,
    outputs_of,
    source_of,
    tags_of,
    text_of,
)

EXERCISES = ROOT / "book" / "exercises"
spec = importlib.util.spec_from_file_location(
    "generator", EXERCISES / "from_solutions.py"
)
generator = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generator)


def without_outputs(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def test_each_solution_has_its_exercise():
    assert [path.name for path in SOLUTIONS] == [
        path.name for path in sorted(EXERCISES.glob("*.ipynb"))
    ]
    assert len(SOLUTIONS) == 7


@each_solution
def test_the_exercise_is_made_from_the_solution(path):
    stored = nbformat.read(EXERCISES / path.name, 4)
    assert without_outputs(stored) == generator.exercise_of(nbformat.read(path, 4))


@each_solution
def test_the_exercise_does_not_give_the_answer_away(path):
    exercise = (EXERCISES / path.name).read_text()
    answers = [
        source_of(cell) for cell in cells_of(path) if "solution" in tags_of(cell)
    ]
    assert len(answers) >= 3
    for answer in answers:
        assert json.dumps(answer)[1:-1] not in exercise
    assert "# Exercise: " in exercise
    assert "*Hint:*" in exercise
    assert re.search(r"[Bb]and", exercise)


@each_solution
def test_every_check_says_right_in_the_solution_and_nothing_yet_in_the_exercise(path):
    for notebook, verdict in (
        (path, "Right.\n"),
        (EXERCISES / path.name, "Nothing to check yet"),
    ):
        checks = [
            cell
            for cell in cells_of(notebook, "code")
            if source_of(cell)[:6] == "check_"
        ]
        assert checks
        for cell in checks:
            assert "".join(map(text_of, cell["outputs"])).startswith(verdict)


@each_solution
def test_every_number_of_a_finding_is_printed(path):
    printed = "".join(map(text_of, outputs_of(path)))
    findings = [
        cell for cell in cells_of(path, "markdown") if "solution" in tags_of(cell)
    ]
    numbers = re.findall(r"\d+\.\d+", "".join(map(source_of, findings)))
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
    assert [cell.source for cell in exercise.cells] == [
        "# Exercise: Sums",
        "x = 1",
        "y = ...",
    ]
    assert exercise.metadata.myst.html_meta["description lang=en"] == "Exercise: sums"
    assert exercise.cells[1].metadata.tags == ["keep"]
    assert exercise.cells[2].metadata == {}
    assert solution.cells[0].source == "# Solution: Sums", (
        "the solution is left as it was"
    )


@pytest.mark.parametrize(
    "path", sorted(EXERCISES.glob("*.ipynb")), ids=lambda path: path.stem
)
def test_the_exercise_has_an_example_to_start_from_and_a_place_for_the_answer(path):
    sources = [source_of(cell) for cell in cells_of(path, "code")]
    assert any("..." in source for source in sources)


def verdicts_on_worked_answers():
    """What each check says that is given a function of the solution, and nothing of a run."""
    for path in SOLUTIONS:
        space = {"num_users": 30, "num_items": 40}
        sources = [source_of(cell) for cell in cells_of(path, "code")]
        for tree in map(
            ast.parse, [source for source in sources if "%pip" not in source]
        ):
            kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
            definitions = [part for part in tree.body if isinstance(part, kept)]
            exec(compile(ast.Module(definitions, []), path.name, "exec"), space)
        for check, answer in re.findall(
            r"^(check_\w+)\((\w+)\)$", "\n".join(sources), re.MULTILINE
        ):
            if answer in space:
                with redirect_stdout(StringIO()) as said:
                    space[check](space[answer])
                yield check, said.getvalue()


FUNCTIONS_CHECKED = 10


def test_the_worked_answers_are_right():
    verdicts = dict(verdicts_on_worked_answers())
    assert len(verdicts) == FUNCTIONS_CHECKED
    assert set(verdicts.values()) == {"Right.\n"}


def test_the_worked_answers_are_right_on_a_gpu():
    call = (
        "import pretend; pretend.install(); import test_exercises as t; "
        "print(*t.verdicts_on_worked_answers(), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", call], cwd=ROOT / "tests", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (
        done.stdout.count("Right.") == done.stdout.count("check_") == FUNCTIONS_CHECKED
    )
