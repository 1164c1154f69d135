"""The tables of results say what the pages print."""

import re

import pytest
from pages import BOOK, ROOT, markdown_of, outputs_of, printed_by, text_of

RESULTS = BOOK / "results.md"
SUMMARIES = [ROOT / "README.md"]
FIGURE = r"\d\.\d{3}(?: ± \d\.\d{3})?"
CELL = rf"{FIGURE}|[+-]\d+\.\d+"  # differences and z have a sign


def results_in(path):
    """The part of a text that has results of pages; see test_benchmarks for others."""
    text = path.read_text()
    if path == RESULTS:
        return text.partition("## Time to Quality")[0]
    return text.partition("## Results")[2].partition("\n## ")[0]


def figures_of(line):
    """A row of a table as [model, figure, ...]."""
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    figures = [cell for cell in cells if re.fullmatch(CELL, cell)]
    assert figures, line
    return [cells[cells.index(figures[0]) - 1], *figures]


def rows_of(path):
    """The rows of the tables of results, each with the page last linked before it."""
    rows, page, in_table = [], None, False
    for line in results_in(path).splitlines():
        page = (re.findall(r"\]\((?:book/)?([\w-]+\.ipynb)\)", line) or [page])[-1]
        if line.startswith("|") and in_table:
            rows.append((page, figures_of(line)))
        in_table = line.startswith("| ---") or (in_table and line.startswith("|"))
    return rows


@pytest.mark.parametrize("path", [*SUMMARIES, RESULTS], ids=lambda path: path.name)
def test_each_row_is_printed_by_the_page_that_is_linked(path):
    assert rows_of(path)
    for page, row in rows_of(path):
        pattern = r"\b" + r"\s+(?:\d+\s+)?".join(map(re.escape, row))
        outputs = map(text_of, outputs_of(BOOK / page))
        assert any(re.search(pattern, output) for output in outputs), (page, row)


@pytest.mark.parametrize("path", SUMMARIES, ids=lambda path: path.name)
def test_a_summary_has_rows_of_the_page_of_results(path):
    results = rows_of(RESULTS)
    for page, row in rows_of(path):
        assert (page, row) in [(other, cells[: len(row)]) for other, cells in results]


def test_own_ratings_give_the_figures_and_titles_of_mf():
    """Under other ids, in another order: the same RMSE, films and predictions."""
    own, mf = printed_by(BOOK / "own-data.ipynb"), printed_by(BOOK / "mf.ipynb")
    [found] = re.findall(r"^best epoch \d+: validation RMSE (\d\.\d{3})$", own, re.M)
    by_weight_decay = re.search(r"^random .*\n +30 +(.*)$", mf, re.M)[1].split()
    assert found == min(by_weight_decay)
    films = re.findall(r"^\d+ +(\d+) +(\S.*\S) +(\d{4}) +(\d\.\d\d)$", mf, re.M)
    own_films = re.findall(r"^\d+ +(\d+) +(\S.*\S) \((\d{4})\) +(\d\.\d\d)$", own, re.M)
    assert own_films[: len(films)] == films
    assert films


def test_figures_outside_the_tables_are_those_of_their_pages():
    results = RESULTS.read_text()
    printed = printed_by(BOOK / "mf-better.ipynb")
    [seq_aware] = re.findall(rf"^seq-aware: ({FIGURE})$", printed, re.M)
    assert f"{seq_aware} for MF on the seq-aware split" in results
    printed = printed_by(BOOK / "mf.ipynb")
    compared = re.findall(
        r"\d\.\d{3} ± \d\.\d{3}", markdown_of(BOOK / "movielens.ipynb")
    )
    assert len(compared) == 2, "of both splits"
    assert all(figure in printed for figure in compared)
    published = re.findall(
        r"(?:HR|NDCG) 0\.\d{4}", markdown_of(BOOK / "dot-product.ipynb")
    )
    assert published
    assert all(figure in results for figure in published)
