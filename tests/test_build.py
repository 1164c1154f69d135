"""The rendered book, built clean with warnings as errors."""

import html
import re

import pytest
from pages import (
    ADDRESS,
    CONFIG,
    RENDERED,
    ROOT,
    cells_of,
    chapters_of_the_book,
    each_rendered_notebook,
    markdown_of,
    minutes_of,
    name_of,
    outputs_of,
    pages_of_the_book,
    tags_of,
    text_of,
)

HOME = CONFIG["html"]["baseurl"]

each_page = pytest.mark.parametrize("name", pages_of_the_book())


def test_the_book_is_built_without_a_warning(site):
    assert "book/index.html" in (site / "index.html").read_text()


def rendered(site, name):
    return (site / f"{name}.html").read_text()


@each_page
def test_the_page_is_there(site, name):
    source = ROOT / f"{name}.ipynb"
    if not source.exists():
        source = source.with_suffix(".md")
    title = re.search(r"^# (.+)$", markdown_of(source), re.M)[1]
    number = r'(<span class="section-number">\d+\. </span>)?'
    assert re.search(rf"<h1>{number}{re.escape(title)}<", rendered(site, name))


def test_an_address_without_a_page_leads_back_into_the_book(site):
    """The base comes first: styles and scripts are counted from it."""
    page = rendered(site, "404")
    assert re.search(r"<(base|link|script src)[^>]*>", page)[0] == (
        f'<base href="{HOME}404.html">'
    )
    assert (site / "book/index.html").exists()
    assert 'href="book/index.html"' in page
    assert 'href="search.html"' in page


def test_the_front_page_has_the_title_once(site):
    page = rendered(site, "book/index")
    assert f"<title>{CONFIG['title']}</title>" in page


def test_the_front_page_states_the_minutes_of_the_chapters(site):
    """In the order of the table of contents; a minute to run stands for less, too."""
    path = markdown_of(ROOT / "book/index.md").partition('<div class="path">')[2]
    station = r"^\d+\. \*\*\[(.+?)\]\((.+?)\)\*\*: .+"
    minutes = r" \*(\d+) minutes to read, (\d+) to run\*$"
    stations = re.findall(station + minutes, path, re.MULTILINE)
    pages = [ROOT / f"{name}.ipynb" for name in chapters_of_the_book()]
    assert [file for _, file, *_ in stations] == [path.name for path in pages]
    for (title, _, read, run), path in zip(stations, pages, strict=True):
        text = markdown_of(path)
        assert text.startswith(f"# {title}\n")
        assert f"**Time:** {read} minutes to read" in text
        assert minutes_of(path) == int(run)


def test_every_page_describes_itself_to_those_who_find_or_share_it(site):
    descriptions = set()
    for name in pages_of_the_book():
        page = rendered(site, name)
        [description] = re.findall(
            r'<meta content="([^"]*)" lang="en" name="description"', page
        )
        assert 50 <= len(html.unescape(description)) <= 160, name
        descriptions.add(description)
        address = f"{HOME}{name}.html"
        assert re.findall(r'<link rel="canonical" href="(.*?)"', page) == [address]
        shared = dict(re.findall(r'<meta property="og:([\w:]+)" content="(.*?)"', page))
        assert shared["url"] == address
        assert shared["site_name"] == CONFIG["title"]
        assert shared["title"] in html.unescape(page)
        assert len(shared["description"]) > 50
        picture = site / shared["image"].removeprefix(HOME)
        assert picture.stat().st_size < 300_000
    assert len(descriptions) == len(pages_of_the_book())


@each_page
def test_no_page_shows_an_error_or_a_path_of_the_machine(site, name):
    page = html.unescape(rendered(site, name))
    signs = ["Traceback", "Warning:", str(ROOT), "/site-packages/"]
    for sign in [*signs, 'class="problematic"']:
        assert sign not in page


@each_rendered_notebook
def test_every_figure_is_there_with_its_description(site, path):
    drawn = ["image/svg+xml" in output.get("data", {}) for output in outputs_of(path)]
    page = rendered(site, name_of(path))
    figures = re.findall(r'<img [^>]*src="[./]+_images/[^>]*>', page)
    assert len(figures) == sum(drawn)
    for figure in figures:
        assert len(re.search(r'alt="([^"]*)"', figure)[1]) > 60


@each_page
def test_the_page_fetches_nothing_from_elsewhere(site, name):
    page = rendered(site, name)
    fetched = re.findall(
        r'<(?:script|img|link|iframe)\b[^>]*\b(?:src|href)="([^"]*)"', page
    )
    assert len(fetched) > 10
    fetched.remove(f"{HOME}{name}.html")  # only the page's own address
    for address in fetched:
        assert not re.match(r"(https?:)?//", address), address
        path = address.partition("?")[0].partition("#")[0]
        assert (site / name).parent.joinpath(path).exists(), address
    for host in ("jsdelivr", "unpkg", "cdnjs", "googleapis"):
        assert host not in page


@each_rendered_notebook
def test_the_buttons_open_the_notebook_on_colab_and_binder(site, path):
    page, file = rendered(site, name_of(path)), f"{name_of(path)}.ipynb"
    repository = ADDRESS.removeprefix("https://github.com/")
    [address] = set(re.findall(r"https://colab\.research\.google\.com/[^\"]+", page))
    assert address.endswith(f"/github/{repository}/blob/main/{file}")
    [address] = set(re.findall(r"https://mybinder\.org/[^\"]+", page))
    assert address.endswith(f"/v2/gh/{repository}/main?urlpath=lab/tree/{file}")


def test_what_cells_printed_stands_in_the_rendered_pages(site):
    for path in RENDERED:
        page = html.unescape(re.sub("<.*?>", "", rendered(site, name_of(path))))
        cells = [c for c in cells_of(path, "code") if "remove-output" not in tags_of(c)]
        for output in (output for cell in cells for output in cell["outputs"]):
            if output.get("name") == "stdout":
                assert text_of(output).strip() in page
