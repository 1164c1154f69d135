"""The stored notebooks keep to the rules of the book."""

import itertools
import json
import re
import statistics
from pathlib import Path

from pages import (
    ADDRESS,
    NOTEBOOKS,
    ROOT,
    TEMPLATE,
    TRANSLATED,
    cells_of,
    each_chapter,
    each_notebook,
    each_stored_notebook,
    markdown_of,
    outputs_of,
    pages_of_the_book,
    printed_by,
    source_of,
    tags_of,
    text_of,
)

from d2lrec import __version__


@each_stored_notebook
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


@each_stored_notebook
def test_most_outputs_are_compared(path):
    with_output = [cell for cell in cells_of(path, "code") if cell["outputs"]]
    exempt = {"nbval-ignore-output", "nbval-skip"}
    assert 5 * sum(bool(exempt & set(tags_of(cell))) for cell in with_output) <= len(
        with_output
    )


@each_stored_notebook
def test_cells_are_short(path):
    sources = [source_of(cell).splitlines() for cell in cells_of(path, "code")]
    lengths = [sum(map(bool, map(str.strip, lines))) for lines in sources]
    assert max(map(len, sources)) <= 30
    assert statistics.median(lengths) <= 6
    lines = list(itertools.chain(*sources))
    assert max(map(len, lines)) <= 88, "longer lines do not fit the page"


@each_stored_notebook
def test_every_figure_is_described(path):
    for cell in cells_of(path, "code"):
        if any("image/svg+xml" in output.get("data", {}) for output in cell["outputs"]):
            assert len(cell["metadata"]["mystnb"]["image"]["alt"]) > 60


def stored_numbers(path):
    """Those of the stored runs that a page reads, rounded to three decimals."""
    source = "\n".join(map(source_of, cells_of(path, "code")))
    files = (ROOT / "d2lrec" / "results").glob("*.csv")
    text = "\n".join(file.read_text() for file in files if file.stem in source)
    return {f"{float(number):.3f}" for number in re.findall(r"\b\d\.\d{3,}", text)}


@each_stored_notebook
def test_a_description_has_the_numbers_of_the_page(path):
    """Those of three decimals; a figure that is drawn anew may have others."""
    page = printed_by(path) + markdown_of(path)
    for cell in cells_of(path, "code"):
        described = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
        for number in re.findall(r"(?<![\d.])\d\.\d{3}(?!\d)", described):
            assert number in page or number in stored_numbers(path), number


@each_stored_notebook
def test_figures_are_sharp_and_their_text_can_be_read_on_a_phone(path):
    """A figure shrinks to the 358 pixels of a phone's column; its text then has 9."""
    for output in outputs_of(path):
        data = output.get("data", {})
        assert "image/png" not in data, "call use_svg_display() in the setup cell"
        figure = "".join(data.get("image/svg+xml", ""))
        if figure:
            assert len(figure) < 500_000
            width = float(re.search(r'viewBox="0 0 ([\d.]+)', figure)[1])
            # not those of exponents, whose style names one font
            of_text = r"font-size: ([\d.]+)px; font-family: '[^']+',"
            sizes = list(map(float, re.findall(of_text, figure)))
            assert sizes, "call use_svg_display(), which keeps text as text"
            assert min(sizes) * min(358 / width, 4 / 3) >= 9


@each_stored_notebook
def test_runs_on_colab_unedited(path):
    metadata = json.loads(path.read_text())["metadata"]
    assert metadata["accelerator"] == "GPU"
    assert metadata["kernelspec"]["name"] == "python3"
    setup = source_of(cells_of(path, "code")[0])
    assert 'if getattr(find_spec("d2lrec"), "origin", None) is None:' in setup
    assert f'home = "{ADDRESS}"\n' in setup
    release = f"/releases/download/v{__version__}/d2lrec-{__version__}-"
    assert release in setup, "run: make cells"
    assert "%pip install $source" in setup


@each_stored_notebook
def test_can_be_opened_on_colab_kaggle_and_binder(path):
    repository = ADDRESS.removeprefix("https://github.com/")
    page = path.relative_to(ROOT).as_posix()
    addresses = [
        f"https://colab.research.google.com/github/{repository}/blob/main/{page}",
        f"https://kaggle.com/kernels/welcome?src={ADDRESS}/blob/main/{page}",
        f"https://mybinder.org/v2/gh/{repository}/main?urlpath=lab/tree/{page}",
    ]
    badges = [
        rf"\[[^]]*{name}[^]]*\]\({re.escape(address)}\)"  # in the page's language
        for name, address in zip(["Colab", "Kaggle", "Binder"], addresses, strict=True)
    ]
    assert re.search(rf"^{' '.join(badges)}$", markdown_of(path), re.MULTILINE)


@each_stored_notebook
def test_is_plain_markdown(path):
    for cell in cells_of(path, "markdown"):
        assert not re.search(r"```\s*\{|:::|\{[a-z:-]+\}`|!\[", source_of(cell))


@each_chapter
def test_ends_with_a_summary_and_exercises(path):
    text = markdown_of(path)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings.index("Summary") < headings.index("Exercises")


@each_notebook
def test_says_what_it_is_for_and_how_long_it_takes(path):
    text = markdown_of(path)
    assert text.startswith("# ")
    assert "you will be able to" in text
    assert "**Time:**" in text
    metadata = json.loads(path.read_text())["metadata"]
    assert len(metadata["myst"]["html_meta"]["description lang=en"]) > 60


@each_notebook
def test_a_notebook_that_trains_says_where(path):
    """But for the exercises, where it is the reader who trains."""
    source = "\n".join(map(source_of, cells_of(path, "code")))
    if re.search(r"\btrain\w*\(|sweep\(", source) and "exercises" not in path.parts:
        assert re.search(r"\bon (cpu|cuda|mps)\b", printed_by(path))


def test_the_first_cell_is_the_same_in_all_notebooks():
    notebooks = [*NOTEBOOKS, *TRANSLATED]
    first_cells = [cells_of(path, "code")[0] for path in notebooks]
    assert len(set(map(source_of, first_cells))) == 1


def test_the_pages_are_those_of_the_table_of_contents():
    files = [ROOT / f"{page}.ipynb" for page in pages_of_the_book()]
    assert sorted([*filter(Path.exists, files), TEMPLATE]) == NOTEBOOKS
