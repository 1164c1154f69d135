"""The notebooks as stored: their rules, and that they say what the package and the README say."""

import ast
import inspect
import json
import os
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
SHOWN_AS_SOURCE = {"catch_up", "download", "fast", "fetch", "files", "ml1m", "sources"}
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
                if isinstance(
                    inner, ast.FunctionDef | ast.ClassDef
                ) and ast.get_docstring(inner):
                    inner.body = inner.body[1:]
            found[node.name] = ast.dump(node)
    return found


def taught_in(path, tag="package"):
    cells = (cell for cell in cells_of(path, "code") if tag in tags_of(cell))
    return {
        n: tree for cell in cells for n, tree in definitions_in(source_of(cell)).items()
    }


@each_notebook
def test_is_stored_from_a_clean_run(path):
    counts = [cell["execution_count"] for cell in cells_of(path, "code")]
    assert counts == list(range(1, len(counts) + 1))
    for output in outputs_of(path):
        assert output["output_type"] != "error"
        assert "Warning" not in text_of(output)
        assert not re.search(
            r"/(home|root|tmp|usr|var|Users)/|[A-Z]:\\", text_of(output)
        )
        assert str(ROOT) not in text_of(output)
        assert output.get("name") != "stderr" or re.fullmatch(
            r"100%\|.*\n", text_of(output)
        )


@each_notebook
def test_most_outputs_are_compared(path):
    with_output = [cell for cell in cells_of(path, "code") if cell["outputs"]]
    exempt = {"nbval-ignore-output", "nbval-skip"}
    assert 5 * sum(bool(exempt & set(tags_of(cell))) for cell in with_output) <= len(
        with_output
    )


@each_notebook
def test_cells_are_short(path):
    lengths = [source_of(cell).count("\n") + 1 for cell in cells_of(path, "code")]
    assert max(lengths) <= 30
    assert statistics.median(lengths) <= 6
    lines = [
        line for cell in cells_of(path, "code") for line in source_of(cell).splitlines()
    ]
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
        n: tree
        for module in PACKAGE
        for n, tree in definitions_in(module.read_text()).items()
    }
    taught = taught_in(path)
    without = {"try-it": "no function of its own", "scale": "those of its benchmark"}
    assert taught or path.stem in without
    for name, tree in taught.items():
        assert tree == package.get(name), (
            f"{name} differs between the page and the package"
        )


def test_what_is_measured_is_what_the_page_explains():
    page, script = ROOT / "book" / "scale.ipynb", ROOT / "benchmarks" / "scale.py"
    explained = taught_in(page, "benchmark")
    measured = definitions_in(script.read_text())
    assert {"make_chunk", "Stream", "recovery", "RowWiseAdagrad"} <= explained.keys()
    for name, tree in explained.items():
        assert tree == measured.get(name), (
            f"{name} differs between the page and the benchmark"
        )
    [cell] = [cell for cell in cells_of(page, "code") if "NOISE = " in source_of(cell)]
    constants = re.findall(r"^[A-Z_, ]+ = .*$", source_of(cell), re.MULTILINE)
    assert len(constants) == 3
    assert set(constants) <= set(script.read_text().splitlines())


def test_every_line_of_the_package_is_taught():
    taught = {name for path in NOTEBOOKS for name in taught_in(path)}
    for module in PACKAGE:
        if module.stem not in SHOWN_AS_SOURCE:
            assert definitions_in(module.read_text()).keys() <= taught, module.stem
    printed = "".join(
        text_of(output) for path in NOTEBOOKS for output in outputs_of(path)
    )
    for name in SHOWN_AS_SOURCE:
        assert inspect.getsource(getattr(d2lrec, name)) in printed


def test_a_page_that_differs_is_noticed():
    original = "def f(x):\n    '''Doubles.'''\n    return 2 * x\n"
    assert definitions_in(original) == definitions_in(
        "def f(x):  # twice\n    return 2 * x\n"
    )
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
    return [
        n
        for n, line in lines
        if n not in docstrings and not re.match(r"\s*(#|$)", line)
    ]


def test_the_package_is_small():
    assert sum(len(code_lines(module)) for module in PACKAGE) < 1220
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
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True
    )
    return [root / name for name in listed.stdout.split("\0") if name]


def addresses_in(root):
    texts = (
        path.read_text(errors="ignore")
        for path in tracked_files(root)
        if path.parent.name != "tests"
    )
    services = "github.com|colab.research.google.com/github|mybinder.org/v2/gh".replace(
        ".", r"\."
    )
    pattern = rf"https://(?:{services})/([\w-]+/[\w.-]+\w)"
    return {address for text in texts for address in re.findall(pattern, text)}


def test_there_is_one_address():
    own = ADDRESS.removeprefix("https://github.com/")
    assert addresses_in(ROOT) == {own}, (
        "other repositories are cited by their documentation"
    )


HUB = "https://github.com/"


@pytest.fixture
def copied(tmp_path):
    """The tracked files, in a repository of their own."""
    for path in tracked_files(ROOT):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def make_address(root, *arguments, **variables):
    make, environment = (
        ["make", "--silent", "address", *arguments],
        os.environ | variables,
    )
    return subprocess.run(
        make, cwd=root, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("end", ["", "/", ".git", ".git/"])
def test_the_address_can_be_changed_everywhere_at_once(copied, end):
    owner, name = "some-body", "their.fork"
    done = make_address(copied, f"URL={HUB}{owner}/{name}{end}")
    assert done.returncode == 0, done.stderr
    assert addresses_in(copied) == {f"{owner}/{name}"}
    config = yaml.safe_load((copied / "_config.yml").read_text())
    assert config["html"]["baseurl"] == f"https://{owner}.github.io/{name}/"
    old = yaml.safe_load((ROOT / "_config.yml").read_text())["html"]["baseurl"].strip(
        "/"
    )
    for path in tracked_files(copied):
        assert old not in path.read_text(errors="ignore"), path
    assert make_address(copied, URL=ADDRESS).returncode == 0, (
        "and back, from the environment"
    )
    for path in tracked_files(ROOT):
        assert (copied / path.relative_to(ROOT)).read_bytes() == path.read_bytes()


NOT_AN_ADDRESS = {
    "nothing": "",
    "an owner": HUB + "a",
    "no name": HUB + "a/",
    "a folder": HUB + "a/b/c",
    "a branch": HUB + "a/b/tree/main",
    "no owner": HUB + "/b",
    "only .git": HUB + "a/.git",
    ".git twice": HUB + "a/b.git.git",
    "up": HUB + "a/..",
    "here": HUB + "a/.",
    "up and up": HUB + "../..",
    "slashes": HUB + "a/b//",
    "http": "http://github.com/a/b",
    "ssh": "git@github.com:a/b.git",
    "file": "file:///etc/passwd",
    "capitals": "HTTPS://github.com/a/b",
    "another host": "https://gitlab.com/a/b",
    "a host that begins so": "https://github.com.evil.org/a/b",
    "a host that looks so": "https://githubXcom/a/b",
    "a user": "https://me@github.com/a/b",
    "a password": "https://me:secret@github.com/a/b",
    "a port": "https://github.com:443/a/b",
    "a query": HUB + "a/b?tab=readme",
    "a fragment": HUB + "a/b#readme",
    "per cent": HUB + "a/b%2Fc",
    "a space": HUB + "a/b c",
    "a new line": HUB + "a/b\n",
    "a second line": HUB + "a/b\ntouch made",
    "a line before": "touch made\n" + HUB + "a/b",
    "a tab": HUB + "a/b\t",
    "backticks": HUB + "a/`touch made`",
    "a substitution": HUB + "a/$(touch made)",
    "make's own": HUB + "a/$(shell touch made)",
    "make's own, alone": "$(shell touch made)" + HUB + "a/b",
    "make's error": HUB + "a/$(error made)",
    "doubled": HUB + "a/$$(touch made)",
    "a variable": HUB + "a/$HOME",
    "make's variable": HUB + "a/$(PYTHON)",
    "a quote": HUB + "a/b'; touch made; '",
    "quotes": HUB + 'a/b"; touch made; "',
    "a semicolon": HUB + "a/b;touch made",
    "an ampersand": HUB + "a/b&",
    "and": HUB + "a/b && touch made",
    "a pipe": HUB + "a/b|touch made",
    "into a file": HUB + "a/b>made",
    "sed's end": HUB + "a/b|g;w made",
    "sed's group": HUB + r"a/\1",
    "a backslash": HUB + "a/b\\",
    "a star": HUB + "a/*",
    "a comment": HUB + "a/b # c",
    "a hyphen first": HUB + "-a/b",
    "a hyphen last": HUB + "a-/b",
    "an underscore": HUB + "a_a/b",
    "long": HUB + "a" * 40 + "/b",
    "a long name": HUB + "a/" + "b" * 101,
    "umlauts": HUB + "a/bücher",
    "other digits": HUB + "a/b\N{ARABIC-INDIC DIGIT THREE}",
    "an option": "--help",
}


def test_what_is_not_an_address_changes_and_runs_nothing(copied):
    def state():
        files = (
            path
            for path in copied.rglob("*")
            if path.is_file() and ".git" not in path.parts
        )
        return {path: path.read_bytes() for path in files}

    before = state()
    for name, url in NOT_AN_ADDRESS.items():
        for refused in (
            make_address(copied, f"URL={url}"),
            make_address(copied, URL=url),
        ):
            assert refused.returncode != 0, name
            assert "name the repository: make address URL=https://" in refused.stderr, (
                name
            )
        assert not (copied / "made").exists(), name
    assert "name the repository" in make_address(copied).stderr
    assert state() == before


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
    assert [model for model, *_ in rows] == [
        name for names in RESULTS.values() for name in names
    ]
    for name, models in RESULTS.items():
        printed = "".join(map(text_of, outputs_of(ROOT / "book" / f"{name}.ipynb")))
        for row in rows:
            found = re.search(r"\s+".join(map(re.escape, row)), printed)
            assert found or row[0] not in models, row


@pytest.mark.parametrize("page", ["README.md", "book/index.md"])
def test_every_figure_with_a_spread_is_printed_by_a_page(page):
    printed = "".join(
        text_of(output) for path in CHAPTERS for output in outputs_of(path)
    )
    figures = re.findall(
        r"^\| ([^|]+) \| (\d\.\d+ ± \d\.\d+) \|$", (ROOT / page).read_text(), re.M
    )
    assert len(figures) == 6
    for model, figure in figures:
        assert re.search(rf"{re.escape(model)}\s+{figure}", printed), model


FIGURE = r"\d\.\d{3}(?: ± \d\.\d{3})?"


def test_the_results_page_says_what_the_pages_print():
    """Each row of a table stands in an output of the page that the text above the table links."""
    text, page, rows = (ROOT / "book" / "results.md").read_text(), None, 0
    of_pages, _, _ = text.partition(
        "## Time to Quality"
    )  # for the rest see test_benchmarks.py
    for line in of_pages.splitlines():
        page = (re.findall(r"\]\(([\w-]+\.ipynb)\)", line) or [page])[-1]
        if re.search(FIGURE, line) and line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            outputs = map(text_of, outputs_of(ROOT / "book" / page))
            row = r"\b" + r"\s+(?:\d+\s+)?".join(map(re.escape, cells))
            assert any(re.search(row, output) for output in outputs), (page, line)
            rows += 1
    assert rows == 31


def test_own_ratings_give_the_figures_and_titles_of_mf():
    """Under other ids, in another order: the same RMSE, films and predictions."""
    own, mf = (
        "\n".join(
            text_of(output) for output in outputs_of(ROOT / "book" / f"{page}.ipynb")
        )
        for page in ("own-data", "mf")
    )
    [found] = re.findall(
        r"^best epoch \d+: validation RMSE (\d\.\d{3})$", own, re.MULTILINE
    )
    by_weight_decay = re.search(r"^random .*\n +30 +(.*)$", mf, re.MULTILINE)[1].split()
    assert found == by_weight_decay[-1] == min(by_weight_decay)
    listed = re.findall(
        r"^\d+ +(\d+) +(\S.*\S) \((\d{4})\) +(\d\.\d\d)$", own, re.MULTILINE
    )
    expected = re.findall(
        r"^\d+ +(\d+) +(\S.*\S) +(\d{4}) +(\d\.\d\d)$", mf, re.MULTILINE
    )
    assert listed[:10] == expected
    assert len(expected) == 10


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
