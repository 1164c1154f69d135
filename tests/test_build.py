"""The rendered book, built clean with warnings as errors."""

import html
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text())


PAGES = {
    "index": "Matrix Factorization Recommenders in PyTorch",
    "movielens": "The MovieLens Dataset",
    "mf": "Matrix Factorization",
    "own-data": "Your Own Ratings",
    "mf-better": "Why Naive Matrix Factorization Is Bad, and What Mends It",
    "try-it": "Try It",
    "implicit": "Implicit Feedback",
    "gmf": "Generalized Matrix Factorization",
    "fast": "From Minutes to Seconds",
    "scale": "Past One Machine",
}
CHAPTERS = [name for name in PAGES if name != "index"]
PAGES["results"] = "Results"
TASKS = {
    "latent-size": "The Latent Size",
    "optimizers": "Optimizer, Learning Rate, Weight Decay",
    "one-film": "Other Users, One Film",
    "mf-by-hand": "Matrix Factorization by Hand",
    "metrics": "Metrics",
    "gmf-variants": "GMF Variants",
    "cold-start": "Cold Start",
}
EXERCISES = {f"exercises/{name}": f"Exercise: {title}" for name, title in TASKS.items()}
SOLUTIONS = {f"solutions/{name}": f"Solution: {title}" for name, title in TASKS.items()}
PAGES |= EXERCISES | SOLUTIONS
NOTEBOOKS = [*CHAPTERS, *EXERCISES, *SOLUTIONS]


def pages_of_the_book():
    """As the table of contents names them, the front page first."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [
        toc["root"],
        *(page["file"] for part in toc["parts"] for page in part["chapters"]),
    ]


EVERY_PAGE = [*pages_of_the_book(), "search"]


@pytest.mark.parametrize(("name", "title"), PAGES.items())
def test_the_page_is_there(site, name, title):
    page = (site / "book" / f"{name}.html").read_text()
    assert re.search(rf"<h1>{title}<", page)


def test_every_page_describes_itself_to_those_who_find_or_share_it(site):
    descriptions = set()
    for name in pages_of_the_book():
        page = (site / f"{name}.html").read_text()
        [description] = re.findall(
            r'<meta content="([^"]*)" lang="en" name="description"', page
        )
        assert 50 <= len(html.unescape(description)) <= 160, name
        descriptions.add(description)
        address = f"{CONFIG['html']['baseurl']}{name}.html"
        assert re.findall(r'<link rel="canonical" href="(.*?)"', page) == [address]
        shared = dict(re.findall(r'<meta property="og:([\w:]+)" content="(.*?)"', page))
        assert shared["url"] == address
        assert shared["site_name"] == CONFIG["title"]
        assert shared["title"] in html.unescape(page)
        assert len(shared["description"]) > 50
        picture = site / shared["image"].removeprefix(CONFIG["html"]["baseurl"])
        assert picture.stat().st_size < 300_000
    assert len(descriptions) == len(pages_of_the_book())


@pytest.mark.parametrize("name", PAGES)
def test_no_page_shows_an_error_or_a_path_of_the_machine(site, name):
    page = html.unescape((site / "book" / f"{name}.html").read_text())
    for sign in [
        "Traceback",
        "Warning:",
        str(ROOT),
        "/site-packages/",
        'class="problematic"',
    ]:
        assert sign not in page


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_figure_has_its_description(site, name):
    page = (site / "book" / f"{name}.html").read_text()
    figures = re.findall(r'<img [^>]*src="[./]+_images/[^>]*>', page)
    descriptions = [re.search(r'alt="([^"]*)"', figure)[1] for figure in figures]
    drawn = name in SOLUTIONS and name != "solutions/metrics"
    assert len(figures) >= (2 if name in CHAPTERS else drawn)
    assert all(len(description) > 60 for description in descriptions)


@pytest.mark.parametrize("name", PAGES)
def test_the_page_fetches_nothing_from_elsewhere(site, name):
    page = (site / "book" / f"{name}.html").read_text()
    fetched = re.findall(
        r'<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)="([^"]*)"', page
    )
    assert len(fetched) > 10
    for address in fetched:
        if address == CONFIG["html"]["baseurl"] + f"book/{name}.html":
            continue  # the canonical address, which nothing is fetched from
        assert not re.match(r"(https?:)?//", address), address
        path = address.partition("?")[0].partition("#")[0]
        assert (site / "book" / f"{name}.html").parent.joinpath(path).exists(), address
    for host in ("jsdelivr", "unpkg", "cdnjs", "googleapis"):
        assert host not in page


def test_the_front_page_leads_to_the_book(site):
    assert "book/index.html" in (site / "index.html").read_text()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_buttons_open_the_notebook_on_colab_and_binder(site, name):
    page = (site / "book" / f"{name}.html").read_text()
    repository = CONFIG["repository"]["url"]
    path = repository.removeprefix("https://github.com/")
    [address] = set(re.findall(r"https://colab\.research\.google\.com/[^\"]+", page))
    assert address.endswith(f"/github/{path}/blob/main/book/{name}.ipynb")
    [address] = set(re.findall(r"https://mybinder\.org/[^\"]+", page))
    assert address.endswith(f"/v2/gh/{path}/main?urlpath=lab/tree/book/{name}.ipynb")


def test_the_results_stand_in_the_rendered_page(site):
    page = (site / "book" / "mf.html").read_text()
    assert re.search(r"0\.\d{3} ± 0\.\d{3}", page)
    assert re.search(r"user 20, item 30 \(Crimson Tide\): \d\.\d\d stars", page)
    page = (site / "book" / "gmf.html").read_text()
    assert re.search(r"0\.\d{3} ± 0\.\d{3}", page)
