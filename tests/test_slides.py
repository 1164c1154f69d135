"""Slides, PDF and comments, in a browser that may fetch nothing from elsewhere."""

import re
from contextlib import contextmanager

import jinja2
import pikepdf
import pytest
from pages import BOOK, CONFIG, cells_of, chapters_of_the_book, load

slides, pdf = load(BOOK / "slides.py"), load(BOOK / "pdf.py")
HOME = CONFIG["html"]["baseurl"]
DECKS = [path.stem for path in slides.CHAPTERS]

# Of each slide, as it is when all has been clicked: height, what is too wide, words.
MEASURE = """() => [...document.querySelectorAll("section > section")].map(slide => {
    slide.style.display = slide.parentElement.style.display = "block";
    const shown = part => !part.closest(".notes, .byline");
    const text = [...slide.querySelectorAll("p, li:not(:has(p))")].filter(shown);
    const words = text.map(part => part.textContent).join(" ").trim().split(/\\s+/);
    const wide = [...slide.querySelectorAll("pre, table, img, mjx-container")]
        .filter(part => shown(part) && (part.scrollWidth > part.clientWidth + 2
            && part.matches("pre") || part.offsetLeft + part.offsetWidth > 1280));
    return {title: slide.querySelector("h1, h2, h3")?.textContent,
            height: slide.scrollHeight, wide: wide.length, words: words.length};
})"""


@pytest.fixture
def deck(browser, site):
    """Opens the slides of a chapter, and notes what they fetch from elsewhere."""

    @contextmanager
    def deck(name, **options):
        context = browser.new_context(**options)
        page = context.new_page()
        page.outside, page.complaints = [], []

        def only_files(route):
            if route.request.url.startswith("file:"):
                return route.continue_()
            page.outside.append(route.request.url)
            return route.abort()

        page.route("**/*", only_files)
        page.on("requestfailed", lambda request: page.complaints.append(request.url))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto((site / "slides" / f"{name}.html").as_uri())
        page.evaluate("MathJax.startup.promise")
        yield page
        context.close()

    return deck


def test_each_chapter_has_slides(site):
    made = {path.stem for path in (site / "slides").glob("*.html")}
    assert made == {name.rpartition("/")[2] for name in chapters_of_the_book()}


@pytest.mark.parametrize("name", DECKS)
def test_a_slide_shows_no_more_than_can_be_read(deck, name):
    with deck(name, viewport={"width": 1280, "height": 720}) as page:
        assert page.outside == page.complaints == []
        assert page.locator("mjx-merror").count() == 0
        measured = page.evaluate(MEASURE)
    assert len(measured) > 12
    for slide in measured:
        assert slide["title"], slide
        assert slide["height"] <= 700, slide
        assert slide["wide"] == 0, slide
        assert slide["words"] <= slides.MAX_WORDS + 5, slide


def test_the_first_slide_says_whose_it_is_and_where_the_chapter_is(deck):
    with deck("mf") as page:
        first = page.locator("section > section").first
        assert first.locator("h1").inner_text() == "Matrix Factorization"
        assert CONFIG["title"] in first.inner_text()
        assert "CC BY 4.0" in first.inner_text()
        link = first.get_by_role("link", name="read and run").get_attribute("href")
        assert link == f"{HOME}book/mf.html"
        assert page.locator("aside.notes").count() > 10
        assert not re.search(r"\.(ipynb|md)\b", page.content())


def test_on_a_phone_all_slides_are_one_page(deck):
    with deck("mf", viewport={"width": 390, "height": 844}) as page:
        assert page.outside == page.complaints == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        last = page.locator("section > section").last
        last.scroll_into_view_if_needed()
        assert last.is_visible()
        hidden = page.locator("section > section").filter(visible=False)
        assert hidden.count() == 0


@pytest.mark.parametrize("path", slides.CHAPTERS, ids=lambda path: path.stem)
def test_slide_types_are_those_that_are_understood(path):
    kinds = [
        cell["metadata"]["slideshow"]["slide_type"]
        for cell in cells_of(path)
        if "slideshow" in cell["metadata"]
    ]
    assert len(kinds) >= 3
    assert set(kinds) <= {"subslide", "fragment", "skip"}


def test_sentences_end_where_they_should():
    text = "Is $x. Y$ it? Yes (He et al. 2017. And more). `a. B` is code. *Ah. So* too."
    assert slides.sentences_of(text) == [
        "Is $x. Y$ it?",
        "Yes (He et al. 2017. And more).",
        "`a. B` is code.",
        "*Ah. So* too.",
    ]


def test_two_pages_in_a_pdf(site, browser, tmp_path, monkeypatch):
    """As all of them: with bookmarks, page numbers and links from one to the other."""
    parts = {"Chapters": ["book/movielens"], "To Look Things Up": ["book/glossary"]}
    monkeypatch.setattr(pdf, "PARTS", parts)
    monkeypatch.setattr(pdf, "PAGES", ["book/movielens", "book/glossary"])
    pdf.write(browser, site, tmp_path / "book.pdf")
    assert [path.name for path in tmp_path.iterdir()] == ["book.pdf"]
    assert not (site / "whole.html").exists()
    with pikepdf.open(tmp_path / "book.pdf") as printed:
        numbers = pdf.pages_of(printed)
        assert 2 < numbers["book/movielens"] < numbers["book/glossary"]
        with printed.open_outline() as outline:
            titles = [(part.title, part.children[0].title) for part in outline.root]
        links = [note.get("/Dest") for note in printed.pages[1].Annots]
    assert titles == [
        ("Chapters", "1. The MovieLens Dataset"),
        ("To Look Things Up", "Glossary"),
    ]
    assert [str(link) for link in links] == ["/book/movielens", "/book/glossary"]


COMMENTS = jinja2.Environment().from_string(
    (BOOK / "templates/comments.html").read_text()
)


def comments_for(repository):
    return COMMENTS.render(
        comments_repository=repository,
        pagename="book/mf",
        hasdoc=lambda name: name == "book/mf",
    )


def test_there_are_no_comments_unless_a_repository_is_named(site):
    assert CONFIG["sphinx"]["config"]["html_context"]["comments_repository"] == ""
    assert not comments_for("").strip()
    for name in ("book/mf", "search", "404"):
        page = (site / f"{name}.html").read_text()
        assert "utteranc" not in page
        assert 'class="comments"' not in page


def test_comments_are_fetched_when_a_reader_asks_for_them(browser):
    page, asked = browser.new_page(), []

    def answer(route):
        asked.append(route.request.url)
        route.fulfill(body="")

    page.route("**/*", answer)
    page.set_content(comments_for("somebody/comments"))
    assert asked == []
    page.get_by_role("button", name="Show the comments").click()
    script = page.locator(".comments script[src]")
    script.wait_for(state="attached")
    page.wait_for_timeout(100)
    assert asked == ["https://utteranc.es/client.js"]
    assert script.get_attribute("repo") == "somebody/comments"
    assert script.get_attribute("issue-term") == "book/mf"
    page.close()
