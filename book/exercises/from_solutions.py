"""Make each exercise from its worked solution (`make exercises`); a test compares the
two.

A cell tagged `solution` is left out; where its metadata has an `exercise`, that text
stands in its place. All other cells are the same in both. Outputs come from running the
notebook.
"""

from pathlib import Path

import nbformat

FOLDER = Path(__file__).parent
SOLUTIONS = sorted((FOLDER.parent / "solutions").glob("*.ipynb"))


def exercise_of(solution):
    """Return the exercise's notebook, without outputs, for the solution's."""
    exercise = nbformat.from_dict(solution)
    exercise.cells = []
    for cell in solution.cells:
        cell = nbformat.from_dict(cell)
        tags = cell.metadata.pop("tags", [])
        source = cell.metadata.pop(
            "exercise", None if "solution" in tags else cell.source
        )
        if source is None:
            continue
        cell.source = source.replace("# Solution: ", "# Exercise: ", 1)
        kept = [tag for tag in tags if tag != "solution"]
        if kept:
            cell.metadata["tags"] = kept
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        exercise.cells.append(cell)
    about = exercise.metadata["myst"]["html_meta"]
    about["description lang=en"] = about["description lang=en"].replace(
        "Worked solution", "Exercise", 1
    )
    return exercise


if __name__ == "__main__":
    for path in SOLUTIONS:
        nbformat.write(exercise_of(nbformat.read(path, 4)), FOLDER / path.name)
