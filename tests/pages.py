"""The pages of the book, as tests find and read them."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "book"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text())
ADDRESS = CONFIG["repository"]["url"]

LANGUAGES = sorted(path.name for path in BOOK.glob("locale/*"))  # beside English
TRANSLATED = sorted(path for name in LANGUAGES for path in BOOK.glob(f"{name}/*.ipynb"))
NOTEBOOKS = sorted(set(BOOK.rglob("*.ipynb")) - set(TRANSLATED))
CHAPTERS = sorted(BOOK.glob("*.ipynb"))
SOLUTIONS = sorted(BOOK.glob("solutions/*.ipynb"))
EXERCISES = sorted(BOOK.glob("exercises/*.ipynb"))
TEMPLATE = BOOK / "templates" / "page.ipynb"  # runs as pages do, is none
RENDERED = [path for path in NOTEBOOKS if path != TEMPLATE]

# The numbers that pages state their minutes with.
MINUTES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


def name_of(path):
    """A page as the table of contents names it, as in book/solutions/metrics."""
    return path.relative_to(ROOT).with_suffix("").as_posix()


def pages_of_the_book():
    """As the table of contents names them, the front page first."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    pages = [page["file"] for part in toc["parts"] for page in part["chapters"]]
    return [toc["root"], *pages]


def chapters_of_the_book():
    """Those of the first part, which are numbered."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [page["file"] for page in toc["parts"][0]["chapters"]]


def over(paths):
    """Parametrize a test by `path`."""
    return pytest.mark.parametrize("path", paths, ids=name_of)


each_notebook = over(NOTEBOOKS)
each_stored_notebook = over([*NOTEBOOKS, *TRANSLATED])
each_rendered_notebook = over(RENDERED)
each_chapter = over(CHAPTERS)
each_solution = over(SOLUTIONS)
each_exercise = over(EXERCISES)


def cells_of(path, cell_type=None):
    cells = json.loads(path.read_text())["cells"]
    return [cell for cell in cells if cell_type in (None, cell["cell_type"])]


def source_of(cell):
    return "".join(cell["source"])


def tags_of(cell):
    return cell["metadata"].get("tags", [])


def outputs_of(path):
    return [output for cell in cells_of(path, "code") for output in cell["outputs"]]


def text_of(output):
    parts = [output.get("text", ""), *output.get("data", {}).values()]
    return "\n".join("".join(part) for part in parts)


def printed_by(path):
    """All that the cells of a stored notebook gave, as one text."""
    return "\n".join(map(text_of, outputs_of(path)))


def markdown_of(path):
    """The text of a page: a notebook's cells of text, or a file of Markdown."""
    if path.suffix == ".md":
        return path.read_text()
    return "\n".join(map(source_of, cells_of(path, "markdown")))


def minutes_of(path):
    """The minutes that a notebook says it runs, in English; 1 for a minute or less."""
    if path in TRANSLATED:
        path = BOOK / path.name
    line = re.search(r"\*\*Time:\*\*(.*)", markdown_of(path))[1]
    stated = re.search(rf"about ({'|'.join(MINUTES)}) minutes", line)
    return MINUTES[stated[1]] if stated else 1


def load(path):
    """Import a script that is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
