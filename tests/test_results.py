"""The tables and pictures of results say what the pages print and the runs stored."""

import re
import sys

import pandas as pd
import pytest
from pages import BOOK, ROOT, markdown_of, outputs_of, printed_by, text_of

sys.path.append(str(ROOT / "benchmarks"))
import pictures

RESULTS = BOOK / "results.md"
RANKINGS = pd.read_csv(pictures.STORED / "rankings.csv")
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
    assert rows_of(path) or "benchmark-front.svg" in path.read_text()
    for page, row in rows_of(path):
        # A table may begin after the first numbers that the page prints in a row.
        model, *cells = map(re.escape, row)
        before = rf"(?:\s+(?:{CELL}))*"
        pattern = rf"\b{model}{before}\s+(?:\d+\s+)?" + r"\s+".join(cells)
        outputs = map(text_of, outputs_of(BOOK / page))
        assert any(re.search(pattern, output) for output in outputs), (page, row)


@pytest.mark.parametrize("path", SUMMARIES, ids=lambda path: path.name)
def test_a_summary_has_rows_of_the_page_of_results(path):
    """Which may have in one row what stands there in several tables."""
    results = {}
    for page, (model, *cells) in rows_of(RESULTS):
        results.setdefault((page, model), []).extend(cells)
    for page, (model, *cells) in rows_of(path):
        assert results[page, model][: len(cells)] == cells


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


def test_the_dot_plots_are_drawn_from_the_tables_and_the_stored_runs():
    drawn = pictures.draw_results(RESULTS.read_text(), RANKINGS)
    assert len(drawn) == 3
    for path, content in drawn.items():
        assert content == path.read_bytes(), "make pictures"
        assert len(content) < 80_000


def test_other_numbers_give_other_dot_plots():
    other = RESULTS.read_text().replace("| 0.900 ± 0.004", "| 0.901 ± 0.004")
    hits = RANKINGS.assign(hit_rate=RANKINGS.hit_rate + 0.001)
    stored = pictures.draw_results(RESULTS.read_text(), RANKINGS)
    for path, content in pictures.draw_results(other, hits).items():
        assert content != stored[path]


def dots_by_picture():
    """The numbers that each dot plot shows, by its name."""
    splits, better = pictures.dots_of_ratings(RESULTS.read_text())
    rankings = [
        pictures.dots_of_rankings(RANKINGS, ranking, metric)
        for ranking in ("full", "sampled")
        for metric in ("hit_rate", "ndcg")
    ]
    front = pictures.dots_of_front(RESULTS.read_text(), RANKINGS)
    return {
        "benchmark-all-ratings": [*splits.values(), better],
        "benchmark-all-rankings": rankings,
        "benchmark-front": list(front),
    }


def test_the_dots_of_rankings_are_the_numbers_of_the_tables():
    """Drawn from the stored runs; the tables are compared with what the page prints."""
    shown = pictures.tables_under("MovieLens 1M, Full and Sampled", RESULTS.read_text())
    for table, ranking in zip(shown, 2 * ["full", "sampled"], strict=True):
        for column, metric in [("HR@10", "hit_rate"), ("NDCG@10", "ndcg")]:
            dots = pictures.dots_of_rankings(RANKINGS, ranking, metric)
            if column in table:
                values = pictures.dots_of(table[column]).reindex(dots.index)
                assert abs(values.value - dots.value).max() < 0.00051
                assert abs(values.spread - dots.spread).max() < 0.00051
                assert (values.spread.isna() == dots.spread.isna()).all()
        if "users" in table:
            dots = pictures.dots_of_rankings(RANKINGS, ranking, "hit_rate")
            difference = table.users.astype(float) - dots.error
            assert abs(difference).max() < 0.00051


@pytest.mark.parametrize("page", ["index", "results"])
def test_a_description_of_a_dot_plot_has_its_numbers(page):
    """The words that stand for a picture cannot grow stale either."""
    text = (BOOK / f"{page}.md").read_text()
    for name, dots in dots_by_picture().items():
        descriptions = re.findall(rf"!\[([^]]*)\]\(assets/{name}\.svg\)", text)
        if page == "results" and "all" in name:
            assert len(descriptions) == 1
        for description in descriptions:
            values = pd.concat(dots).value
            shown = {f"{value:.{digits}f}" for value in values for digits in (1, 3)}
            numbers = re.findall(r"\d+\.\d+", description)
            assert len(numbers) > 5
            assert set(numbers) <= shown


def test_the_front_page_chart_says_its_numbers_in_text():
    content = (pictures.ASSETS / "benchmark-front.svg").read_text()
    ratings, hits = dots_by_picture()["benchmark-front"]
    written = [f"{value:.3f}" for value in ratings.value]
    written += [f"{value:.1f}" for value in hits.value]
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", content)
    assert [text for text in texts if text in written] == written
    assert all(float(size) >= 10 for size in re.findall(r"font: ([\d.]+)px", content))
