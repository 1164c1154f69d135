"""Write the code of modules into the pages that teach it (`make cells`).

In a cell tagged `package`, each function, class and constant that the package or a
script in benchmarks/ defines is replaced by what stands there, without docstrings: the
text around the cell says what they say. All else in the cell, as an import, stays. The
first cell of code installs the package's version. A test compares them.
"""

import ast
import re
from pathlib import Path

import nbformat

BOOK = Path(__file__).parent
PACKAGE = sorted(BOOK.parent.glob("d2lrec/**/*.py"))
SCRIPTS = sorted(BOOK.parent.glob("benchmarks/*.py"))


def definitions_in(source):
    """The definitions at the top of a source: dict from name to (first, last) line."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min(part.lineno for part in [node, *node.decorator_list])
            found[node.name] = first - 1, node.end_lineno
        elif isinstance(node, ast.Assign):
            found[ast.unparse(node.targets[0])] = node.lineno - 1, node.end_lineno
    return found


def without_docstrings(source):
    """A source without its docstrings, and without the blank lines after them."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
            first, last = node.body[0].lineno - 1, node.body[0].end_lineno
            while last < len(lines) and not lines[last].strip():
                last += 1
            lines[first:last] = [None] * (
                last - first
            )  # the numbers of other lines stay
    return "\n".join(line for line in lines if line is not None)


def code_of(modules):
    """What modules define: dict from name to its sources, as a page shows them."""
    code = {}
    for path in modules:
        source = path.read_text(encoding="utf-8")
        lines = source.splitlines()
        for name, (first, last) in definitions_in(source).items():
            shown = without_docstrings("\n".join(lines[first:last]))
            code.setdefault(name, []).append(shown.replace("  # fmt: skip", ""))
    return code


def code_to_teach():
    """The package's code, without the checks of the exercises, and that of scripts."""
    package = code_of(path for path in PACKAGE if path.parent.name != "checks")
    return code_of(SCRIPTS) | package


def cell_of(source, code):
    """The source of a cell as the modules have it; one name must have one source."""
    lines = source.splitlines()
    for name, (first, last) in reversed(definitions_in(source).items()):
        [shown] = code[name]
        lines[first:last] = shown.splitlines()
    return "\n".join(lines)


def cells_to_write(notebook):
    """The cells of a notebook that are made from modules."""
    return [c for c in notebook.cells if "package" in c.metadata.get("tags", [])]


def cell_to_install(source):
    """The first cell of code with the version of the package (d2lrec/__init__.py)."""
    package = (BOOK.parent / "d2lrec" / "__init__.py").read_text()
    [version] = re.findall(r'^__version__ = "(.+)"$', package, re.MULTILINE)
    wheel = f"/v{version}/d2lrec-{version}-py3-none-any.whl"
    return re.sub(r"/v[^/]+/d2lrec-[^-]+-py3-none-any\.whl", wheel, source)


if __name__ == "__main__":
    code = code_to_teach()
    for path in sorted(BOOK.rglob("*.ipynb")):
        notebook = nbformat.read(path, 4)
        before = str(notebook)
        for cell in cells_to_write(notebook):
            cell.source = cell_of(cell.source, code)
        first = next(cell for cell in notebook.cells if cell.cell_type == "code")
        first.source = cell_to_install(first.source)
        if str(notebook) != before:
            nbformat.write(notebook, path)
