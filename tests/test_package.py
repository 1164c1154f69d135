"""The package is small, and its code is what the pages show."""

import ast
import inspect
import re
from pathlib import Path

import nbformat
import pytest
from pages import BOOK, ROOT, each_stored_notebook, load

import d2lrec
from d2lrec import checks

from_package = load(BOOK / "from_package.py")
CODE = from_package.code_to_teach()

ANSWER_KEY = sorted(Path(checks.__file__).parent.glob("*.py"))
PACKAGE = sorted(set((ROOT / "d2lrec").rglob("*.py")) - set(ANSWER_KEY))


def shown_on(path):
    """The sources of the cells that are written from modules."""
    cells = from_package.cells_to_write(nbformat.read(path, 4))
    return [cell.source for cell in cells]


@each_stored_notebook
def test_a_page_shows_the_code_of_the_modules(path):
    for source in shown_on(path):
        shown = from_package.cell_of(source, CODE)
        assert source == shown, "run: make cells"


def test_every_function_and_class_of_the_package_is_shown():
    sources = [source for path in BOOK.rglob("*.ipynb") for source in shown_on(path)]
    shown = set().union(*map(from_package.definitions_in, sources))
    for module in PACKAGE:
        for part in ast.parse(module.read_text()).body:
            if isinstance(part, ast.FunctionDef | ast.ClassDef):
                assert part.name in shown, f"no page shows {part.name} of {module.name}"


DOUBLE = '''
@cache
def double(x):
    """Return twice x."""

    return 2 * x  # exact
'''


@pytest.fixture
def made_up(tmp_path):
    """Gives what modules with these sources define."""

    def code_of(*sources):
        paths = [tmp_path / f"{number}.py" for number in range(len(sources))]
        for path, source in zip(paths, sources, strict=True):
            path.write_text(source)
        return from_package.code_of(paths)

    return code_of


def test_a_cell_is_written_from_the_module(made_up):
    code = made_up("LIMIT = 10\n" + DOUBLE)
    cell = """from functools import cache

LIMIT = 9  # of the page


def double(x):
    return x + x


print(double(LIMIT))"""
    expected = """from functools import cache

LIMIT = 10


@cache
def double(x):
    return 2 * x  # exact


print(double(LIMIT))"""
    assert from_package.cell_of(cell, code) == expected
    assert from_package.cell_of(expected, code) == expected


def test_a_name_that_two_modules_define_is_refused(made_up):
    code = made_up(DOUBLE, DOUBLE)
    with pytest.raises(ValueError, match="too many values"):
        from_package.cell_of("def double(x):\n    return 2 * x", code)


def test_a_name_that_no_module_defines_is_refused(made_up):
    with pytest.raises(KeyError, match="triple"):
        from_package.cell_of("def triple(x):\n    return 3 * x", made_up(DOUBLE))


def lines_of_code(path):
    """How many lines are neither blank nor comment nor docstring."""
    source = path.read_text()
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        has_body = isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        if has_body and ast.get_docstring(node):
            docstrings |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(source.splitlines(), start=1)
    return sum(
        number not in docstrings and not re.match(r"\s*(#|$)", line)
        for number, line in lines
    )


@pytest.mark.parametrize("modules", [PACKAGE, ANSWER_KEY], ids=["package", "checks"])
def test_the_package_is_small(modules):
    assert sum(map(lines_of_code, modules)) <= 1445
    for module in modules:
        assert len(module.read_text().splitlines()) <= 150, module


def test_every_public_name_is_listed_and_described():
    for package in (d2lrec, checks):
        public = {
            name
            for name, value in vars(package).items()
            if name[0] != "_" and not inspect.ismodule(value)
        }
        assert set(package.__all__) - {"checks"} == public
        for name in package.__all__:
            assert inspect.getdoc(getattr(package, name)), name
