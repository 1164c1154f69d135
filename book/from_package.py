"""Write the package's code into the pages that teach it (`make cells`); a test compares the two.

In a cell tagged `package`, each function and class that differs from the package's own of that
name is replaced by it: without docstrings, as the text around the cell says what they say, and in
lines that fit the page. One that differs in its layout alone is left as it is.
"""

import ast
import subprocess
import sys
from pathlib import Path

import nbformat

BOOK = Path(__file__).parent
WIDTH = 88  # characters


def top_level(source):
    """The functions and classes at the top of a source: dict from name to (first, last line)."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min(part.lineno for part in [node, *node.decorator_list])
            found[node.name] = first - 1, node.end_lineno
    return found


def without_docstrings(source):
    """A source without its docstrings, and without the blank lines after them."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            first, last = node.body[0].lineno - 1, node.body[0].end_lineno
            while last < len(lines) and not lines[last].strip():
                last += 1
            lines[first:last] = [None] * (last - first)  # the numbers of other lines stay
    return "\n".join(line for line in lines if line is not None)


def in_short_lines(source):
    """A source, formatted anew so that its lines fit the page."""
    command = ["ruff", "format", "--line-length", str(WIDTH), "--stdin-filename", "cell.py", "-"]
    ruff = [sys.executable, "-m", *command]
    done = subprocess.run(ruff, input=source, capture_output=True, text=True, check=True)
    return done.stdout.rstrip()


def package_code():
    """What the package defines: dict from name to its source as a page shows it."""
    found = {}
    for path in sorted((BOOK.parent / "d2lrec").glob("*.py")):
        source = path.read_text()
        lines = source.splitlines()
        for name, (first, last) in top_level(source).items():
            found[name] = without_docstrings("\n".join(lines[first:last]))
    divider = "\n# ---\n"  # one call for all of them, as each takes a while to start
    parts = in_short_lines(divider.join(found.values())).split(divider.strip())
    return {name: part.strip() for name, part in zip(found, parts, strict=True)}


def cell_of(source, code):
    """The source of a cell, its definitions replaced by those in `code` that say another thing."""
    lines = source.splitlines()
    for name, (first, last) in reversed(top_level(source).items()):
        here = "\n".join(lines[first:last])
        if ast.dump(ast.parse(here)) != ast.dump(ast.parse(code[name])):
            lines[first:last] = code[name].splitlines()
    return "\n".join(lines)


if __name__ == "__main__":
    code = package_code()
    for path in sorted(BOOK.rglob("*.ipynb")):
        notebook = nbformat.read(path, 4)
        before = str(notebook)
        for cell in notebook.cells:
            if "package" in cell.metadata.get("tags", []):
                cell.source = cell_of(cell.source, code)
        if str(notebook) != before:
            nbformat.write(notebook, path)
