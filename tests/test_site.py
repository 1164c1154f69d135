"""The rendered pages in a real browser with the network off; skipped where there is no chromium."""

import re
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from axe_playwright_python.sync_playwright import Axe
from test_build import CHAPTERS, EVERY_PAGE, PAGES

SCREENSHOTS = Path(__file__).parent.parent / "_build" / "screenshots"
PHONE = {"width": 360, "height": 800}

TEXT_WITHOUT_CODE_AND_MATH = """() => {
    const text = document.querySelector("main").cloneNode(true);
    text.querySelectorAll("pre, code, script, mjx-container").forEach(part => part.remove());
    return text.textContent;
}"""


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_the_page_reads_with_the_network_off(visit, name):
    page = visit(name)
    assert page.outside == []
    assert page.complaints == []
    assert page.locator("mjx-merror").count() == 0
    assert not re.search(r"\$|\\\(|\\\[", page.evaluate(TEXT_WITHOUT_CODE_AND_MATH))


def test_formulas_are_set(visit):
    page = visit("book/mf")
    assert page.locator("mjx-container").count() > 30


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_the_icons_come_from_the_small_fonts(visit, name):
    """An icon that `make icons` leaves out is fetched with the theme's whole font."""
    page = visit(name)
    page.evaluate("document.fonts.ready")
    assert any("icons-solid-900.woff" in address for address in page.asked)
    assert not any("webfonts" in address for address in page.asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", EVERY_PAGE)
def test_axe_finds_nothing_to_object_to(visit, name, scheme):
    """Every rule that axe-core has by default, those called minor and best practice too."""
    found = Axe().run(visit(name, color_scheme=scheme))
    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 20


def test_axe_would_object(visit):
    page = visit("book/index")
    page.evaluate(
        "document.querySelector('article h1').outerHTML = '<h3></h3><img src=x.png>'"
    )
    assert {"empty-heading", "image-alt"} <= {
        violation["id"] for violation in Axe().run(page).response["violations"]
    }


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_a_phone_need_not_scroll_sideways(visit, name):
    page = visit(name, viewport=PHONE)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]


TOO_WIDE_FOR_THE_PAPER = """() => [document.documentElement,
    ...document.querySelectorAll("article :is(pre, table, img, mjx-container, .cell_output)")]
    .filter(part => part.matches(":is(html, pre, .cell_output)") &&
                    part.scrollWidth > part.clientWidth + 1 ||
                    part.getBoundingClientRect().right > innerWidth + 1)
    .map(part => part.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_nothing_is_cut_off_on_paper(visit, name):
    page = visit(
        name, viewport={"width": 718, "height": 1000}
    )  # A4 less a centimetre each side
    page.emulate_media(media="print")
    assert page.evaluate(TOO_WIDE_FOR_THE_PAPER) == []
    assert (
        not page.locator(".bd-sidebar-primary, .bd-header-article, .prev-next-footer")
        .filter(visible=True)
        .count()
    )


def test_paper_is_white(visit):
    page = visit("book/mf", color_scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(colour) != "rgb(255, 255, 255)"
    page.evaluate(f"addEventListener('beforeprint', () => window.printed = {colour})")
    assert len(page.pdf()) > 100_000
    assert page.evaluate("printed") == "rgb(255, 255, 255)"
    assert page.evaluate(colour) != "rgb(255, 255, 255)"


def test_every_link_inside_the_book_leads_somewhere(visit, site):
    found = {}
    for name in PAGES:
        page = visit(f"book/{name}")
        ids = page.evaluate(
            "[...document.querySelectorAll('[id]')].map(part => part.id)"
        )
        links = page.evaluate(
            "[...document.querySelectorAll('a[href]')].map(link => link.href)"
        )
        found[(site / "book" / f"{name}.html").resolve()] = ids, links
    checked = 0
    for page, (_, links) in found.items():
        for link in map(urlparse, links):
            if link.scheme == "file":
                target = Path(unquote(link.path)).resolve()
                assert target.exists(), f"{page.name}: {link.path}"
                if link.fragment and target in found:
                    assert unquote(link.fragment) in found[target][0], (
                        f"{page.name}: {link}"
                    )
                    checked += 1
    assert checked > 50


def test_search_finds_what_the_book_is_about(visit):
    page = visit("search", "?q=NDCG")
    results = page.locator("#search-results li a")
    results.first.wait_for()
    assert "Generalized Matrix Factorization" in results.all_inner_texts()


def test_the_theme_can_be_switched(visit):
    page = visit("book/index", color_scheme="light")
    themes = set()
    for _ in range(3):
        themes.add(page.evaluate("document.documentElement.dataset.theme"))
        page.locator(".theme-switch-button:visible").first.click()
    assert themes == {"light", "dark"}


@pytest.mark.parametrize("name", ["index", *CHAPTERS])
def test_pictures_for_the_eye(visit, name):
    """Written into a folder that git ignores; whoever changes a page looks at them."""
    looks = {"light": {"color_scheme": "light"}, "dark": {"color_scheme": "dark"},
             "phone": {"viewport": PHONE}}  # fmt: skip
    for look, options in looks.items():
        picture = SCREENSHOTS / f"{name}-{look}.png"
        visit(f"book/{name}", **options).screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 50_000
