"""The notebooks as stored: their rules, and that they say what the package and the README say."""

import ast
import inspect
import json
import re
import shutil
import statistics
import subprocess
from pathlib import Path

import pytest
import yaml

import d2lrec
from d2lrec import checks

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted(ROOT.glob("book/**/*.ipynb"))
CHAPTERS = sorted(ROOT.glob("book/*.ipynb"))
SOLUTIONS = sorted(ROOT.glob("book/solutions/*.ipynb"))
PACKAGE = sorted(Path(d2lrec.__file__).parent.glob("*.py"))
ANSWER_KEY = sorted(Path(checks.__file__).parent.glob("*.py"))
# Printed as a whole by a page.
SHOWN_AS_SOURCE = {"catch_up", "download", "fast", "files", "ml1m", "sources", "tables"}
ADDRESS = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]

each_notebook = pytest.mark.parametrize(
    "path", NOTEBOOKS, ids=lambda path: f"{path.parent.stem}/{path.stem}"
)
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
each_solution = pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)


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


def definitions_in(source):
    """The functions and classes at the top of a source, as trees without docstrings."""
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(inner):
                    inner.body = inner.body[1:]
            found[node.name] = ast.dump(node)
    return found


def taught_in(path, tag="package"):
    cells = (cell for cell in cells_of(path, "code") if tag in tags_of(cell))
    return {n: tree for cell in cells for n, tree in definitions_in(source_of(cell)).items()}


@each_notebook
def test_is_stored_from_a_clean_run(path):
    counts = [cell["execution_count"] for cell in cells_of(path, "code")]
    assert counts == list(range(1, len(counts) + 1))
    for output in outputs_of(path):
        assert output["output_type"] != "error"
        assert "Warning" not in text_of(output)
        assert not re.search(r"/(home|root|tmp|usr|var|Users)/|[A-Z]:\\", text_of(output))
        assert str(ROOT) not in text_of(output)
        assert output.get("name") != "stderr" or re.fullmatch(r"100%\|.*\n", text_of(output))


@each_notebook
def test_most_outputs_are_compared(path):
    with_output = [cell for cell in cells_of(path, "code") if cell["outputs"]]
    exempt = {"nbval-ignore-output", "nbval-skip"}
    assert 5 * sum(bool(exempt & set(tags_of(cell))) for cell in with_output) <= len(with_output)


@each_notebook
def test_cells_are_short(path):
    lengths = [source_of(cell).count("\n") + 1 for cell in cells_of(path, "code")]
    assert max(lengths) <= 30
    assert statistics.median(lengths) <= 6
    lines = [line for cell in cells_of(path, "code") for line in source_of(cell).splitlines()]
    assert max(map(len, lines)) <= 88, "longer lines do not fit the page"


@each_notebook
def test_every_figure_is_described(path):
    for cell in cells_of(path, "code"):
        if any("image/png" in output.get("data", {}) for output in cell["outputs"]):
            assert len(cell["metadata"]["mystnb"]["image"]["alt"]) > 60


@each_notebook
def test_runs_on_colab_unedited(path):
    metadata = json.loads(path.read_text())["metadata"]
    assert metadata["accelerator"] == "GPU"
    assert metadata["kernelspec"]["name"] == "python3"
    setup = source_of(cells_of(path, "code")[0])
    assert "if spec is None or spec.origin is None:" in setup
    assert f"%pip install --quiet git+{ADDRESS}\n" in setup + "\n"


@each_notebook
def test_is_plain_markdown(path):
    for cell in cells_of(path, "markdown"):
        assert not re.search(r"```\s*\{|:::|\{[a-z:-]+\}`|!\[", source_of(cell))


@each_chapter
def test_ends_with_a_summary_and_exercises(path):
    text = "\n".join(map(source_of, cells_of(path, "markdown")))
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings.index("Summary") < headings.index("Exercises")


@each_notebook
def test_says_what_it_is_for_and_how_long_it_takes(path):
    text = "\n".join(map(source_of, cells_of(path, "markdown")))
    assert text.startswith("# ")
    assert "you will be able to" in text
    assert "**Time:**" in text
    metadata = json.loads(path.read_text())["metadata"]
    assert len(metadata["myst"]["html_meta"]["description lang=en"]) > 60


@each_chapter
def test_what_is_taught_is_what_the_package_does(path):
    package = {
        n: tree for module in PACKAGE for n, tree in definitions_in(module.read_text()).items()
    }
    taught = taught_in(path)
    without = {"try-it": "no function of its own", "scale": "those of its benchmark"}
    assert taught or path.stem in without
    for name, tree in taught.items():
        assert tree == package.get(name), f"{name} differs between the page and the package"


def test_what_is_measured_is_what_the_page_explains():
    page, script = ROOT / "book" / "scale.ipynb", ROOT / "benchmarks" / "scale.py"
    explained = taught_in(page, "benchmark")
    measured = definitions_in(script.read_text())
    assert {"make_chunk", "Stream", "recovery", "RowWiseAdagrad"} <= explained.keys()
    for name, tree in explained.items():
        assert tree == measured.get(name), f"{name} differs between the page and the benchmark"
    [cell] = [cell for cell in cells_of(page, "code") if "NOISE = " in source_of(cell)]
    constants = re.findall(r"^[A-Z_, ]+ = .*$", source_of(cell), re.MULTILINE)
    assert len(constants) == 3
    assert set(constants) <= set(script.read_text().splitlines())


def test_every_line_of_the_package_is_taught():
    taught = {name for path in NOTEBOOKS for name in taught_in(path)}
    for module in PACKAGE:
        if module.stem not in SHOWN_AS_SOURCE:
            assert definitions_in(module.read_text()).keys() <= taught, module.stem
    printed = "".join(text_of(output) for path in NOTEBOOKS for output in outputs_of(path))
    for name in SHOWN_AS_SOURCE:
        assert inspect.getsource(getattr(d2lrec, name)) in printed


def test_a_page_that_differs_is_noticed():
    original = "def f(x):\n    '''Doubles.'''\n    return 2 * x\n"
    assert definitions_in(original) == definitions_in("def f(x):  # twice\n    return 2 * x\n")
    assert definitions_in(original) != definitions_in("def f(x):\n    return 3 * x\n")


def code_lines(path):
    """The lines that are neither blank nor comment nor docstring."""
    source = path.read_text()
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        has_body = isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        if has_body and ast.get_docstring(node):
            docstrings |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(source.splitlines(), start=1)
    return [n for n, line in lines if n not in docstrings and not re.match(r"\s*(#|$)", line)]


def test_the_package_is_small():
    assert sum(len(code_lines(module)) for module in PACKAGE) < 800
    modules = [*PACKAGE, *ANSWER_KEY]
    assert max(len(module.read_text().splitlines()) for module in modules) <= 150


def test_every_public_name_is_there():
    public = {name for name, value in vars(d2lrec).items() if name[0] != "_"}
    modules = {module.stem for module in PACKAGE} | {"checks"}
    assert set(d2lrec.__all__) == public - modules
    for package in (d2lrec, checks):
        for name in package.__all__:
            assert inspect.getdoc(getattr(package, name))


def tracked_files(root):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    return [root / name for name in listed.stdout.split("\0") if name]


def addresses_in(root):
    texts = (
        path.read_text(errors="ignore")
        for path in tracked_files(root)
        if path.parent.name != "tests"
    )
    services = "github.com|colab.research.google.com/github|mybinder.org/v2/gh".replace(".", r"\.")
    pattern = rf"https://(?:{services})/([\w-]+/[\w.-]+\w)"
    return {address for text in texts for address in re.findall(pattern, text)}


def test_there_is_one_address():
    own = ADDRESS.removeprefix("https://github.com/")
    assert addresses_in(ROOT) == {own}, "other repositories are cited by their documentation"


def test_the_address_can_be_changed_everywhere_at_once(tmp_path):
    for path in tracked_files(ROOT):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    make = ["make", "--silent", "address"]
    refused = subprocess.run(make, cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "name the repository" in refused.stderr
    url = "URL=https://github.com/somebody/their-fork"
    subprocess.run([*make, url], cwd=tmp_path, check=True, capture_output=True)
    assert addresses_in(tmp_path) == {"somebody/their-fork"}
    config = yaml.safe_load((tmp_path / "_config.yml").read_text())
    assert config["html"]["baseurl"] == "https://somebody.github.io/their-fork/"
    old = yaml.safe_load((ROOT / "_config.yml").read_text())["html"]["baseurl"].strip("/")
    for path in tracked_files(tmp_path):
        assert old not in path.read_text(errors="ignore"), path


def test_the_pages_are_those_of_the_table_of_contents():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    pages = [page["file"] for part in toc["parts"] for page in part["chapters"]]
    pages.remove("book/results")
    assert sorted(ROOT / f"{page}.ipynb" for page in pages) == NOTEBOOKS


RESULTS = {
    "mf": ["global mean", "bias-only", "MF, k = 30"],
    "gmf": [
        "chance", "popularity", "MF, NCF's settings", "GMF, NCF's settings", "softmax", "ALS",
    ],
}  # fmt: skip


@pytest.mark.parametrize("page", ["README.md", "book/index.md"])
def test_the_results_are_those_that_the_pages_printed(page):
    number = r"(\d\.\d+(?: ± \d\.\d+)?)"
    table_row = rf"^\| ([^|]+) \| {number} \| {number} \|$"
    rows = re.findall(table_row, (ROOT / page).read_text(), re.MULTILINE)
    assert [model for model, *_ in rows] == [name for names in RESULTS.values() for name in names]
    for name, models in RESULTS.items():
        printed = "".join(map(text_of, outputs_of(ROOT / "book" / f"{name}.ipynb")))
        for row in rows:
            found = re.search(r"\s+".join(map(re.escape, row)), printed)
            assert found or row[0] not in models, row


@pytest.mark.parametrize("page", ["README.md", "book/index.md"])
def test_every_figure_with_a_spread_is_printed_by_a_page(page):
    printed = "".join(text_of(output) for path in CHAPTERS for output in outputs_of(path))
    figures = re.findall(r"^\| ([^|]+) \| (\d\.\d+ ± \d\.\d+) \|$", (ROOT / page).read_text(), re.M)
    assert len(figures) == 6
    for model, figure in figures:
        assert re.search(rf"{re.escape(model)}\s+{figure}", printed), model


FIGURE = r"\d\.\d{3}(?: ± \d\.\d{3})?"


def test_the_results_page_says_what_the_pages_print():
    """Each row of a table stands in an output of the page that the text above the table links."""
    text, page, rows = (ROOT / "book" / "results.md").read_text(), None, 0
    of_pages, _, _ = text.partition("## Time to Quality")  # for the rest see test_benchmarks.py
    for line in of_pages.splitlines():
        page = (re.findall(r"\]\(([\w-]+\.ipynb)\)", line) or [page])[-1]
        if re.search(FIGURE, line) and line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            outputs = map(text_of, outputs_of(ROOT / "book" / page))
            row = r"\b" + r"\s+(?:\d+\s+)?".join(map(re.escape, cells))
            assert any(re.search(row, output) for output in outputs), (page, line)
            rows += 1
    assert rows == 31


def test_the_figures_of_commands_are_said_alike_everywhere():
    said = [(ROOT / page).read_text() for page in ("README.md", "book/results.md")]
    assert all("0.927 ± 0.0004" in text for text in said)
    printed = "".join(map(text_of, outputs_of(ROOT / "book" / "mf-better.ipynb")))
    assert "seq-aware: 1.005 ± 0.000" in printed
    assert "1.005 ± 0.000 for MF on the seq-aware split" in said[1]
    gmf = "".join(map(source_of, cells_of(ROOT / "book" / "gmf.ipynb", "markdown")))
    for figure in ("HR 0.7294", "NDCG 0.4523"):
        assert figure in gmf
        assert figure in said[1]
