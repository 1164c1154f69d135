"""The rendered pages in a real browser with the network off; skipped where there is no chromium."""

import re
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from test_build import CHAPTERS, PAGES

SCREENSHOTS = Path(__file__).parent.parent / "_build" / "screenshots"
PHONE = {"width": 360, "height": 800}

TEXT_WITHOUT_CODE_AND_MATH = """() => {
    const text = document.querySelector("article").cloneNode(true);
    text.querySelectorAll("pre, code, script, mjx-container").forEach(part => part.remove());
    return text.textContent;
}"""


@pytest.mark.parametrize("name", PAGES)
def test_the_page_reads_with_the_network_off(visit, name):
    page = visit(f"book/{name}")
    assert page.outside == []
    assert page.complaints == []
    source = page.content()
    if 'class="math' in source:
        page.wait_for_selector("mjx-container")
        assert page.locator("mjx-merror").count() == 0
    assert not re.search(r"\$|\\\(|\\\[", page.evaluate(TEXT_WITHOUT_CODE_AND_MATH))


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_need_not_scroll_sideways(visit, name):
    page = visit(f"book/{name}", viewport=PHONE)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]


def test_every_link_inside_the_book_leads_somewhere(visit, site):
    found = {}
    for name in PAGES:
        page = visit(f"book/{name}")
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map(part => part.id)")
        links = page.evaluate("[...document.querySelectorAll('a[href]')].map(link => link.href)")
        found[(site / "book" / f"{name}.html").resolve()] = ids, links
    checked = 0
    for page, (_, links) in found.items():
        for link in map(urlparse, links):
            if link.scheme == "file":
                target = Path(unquote(link.path)).resolve()
                assert target.exists(), f"{page.name}: {link.path}"
                if link.fragment and target in found:
                    assert unquote(link.fragment) in found[target][0], f"{page.name}: {link}"
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
