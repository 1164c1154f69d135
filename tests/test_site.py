"""The rendered pages in a browser with the network off; skipped where there is none.

A page is opened once, and the tests that look at it change its width and colors.
"""

import re
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from pages import ROOT, pages_of_the_book

SCREENSHOTS = ROOT / "_build" / "screenshots"
DESK, PHONE = {"width": 1280, "height": 720}, {"width": 360, "height": 800}
PAPER = {"width": 718, "height": 1000}  # A4 less a centimeter each side

TEXT_WITHOUT_CODE_AND_MATH = """() => {
    const text = document.querySelector("main").cloneNode(true);
    text.querySelectorAll("pre, code, script, mjx-container")
        .forEach(part => part.remove());
    return text.textContent;
}"""
LINKS = "[...document.querySelectorAll('a[href]')].map(link => link.href)"
TOO_WIDE_FOR_THE_PAPER = """() => [document.documentElement,
    ...document.querySelectorAll(
        "article :is(pre, table, img, mjx-container, .cell_output)")]
    .filter(part => part.matches(":is(html, pre, .cell_output)") &&
                    part.scrollWidth > part.clientWidth + 1 ||
                    part.getBoundingClientRect().right > innerWidth + 1)
    .map(part => part.outerHTML.slice(0, 200))"""
END_TRANSITIONS = """() => document.getAnimations()
    .filter(part => part instanceof CSSTransition).forEach(part => part.finish())"""
COLOR_RULES = ["color-contrast", "link-in-text-block"]
COLORS = {"runOnly": COLOR_RULES}
ALL_BUT_COLORS = {"rules": {rule: {"enabled": False} for rule in COLOR_RULES}}
# Thousands of words, whose color depends on their kind alone, so each is tested once.
NOT_IN_CODE = {"exclude": [[".highlight"]]}
FILL_THE_CODE = """html => document.querySelectorAll(".highlight pre")
    .forEach((pre, place) => place < 20 ? pre.innerHTML = html : pre.remove())"""
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module", params=[*pages_of_the_book(), "search"])
def page(opened, request):
    """A page that stays open for all tests of it."""
    with opened(request.param) as page:
        yield page


@pytest.fixture(scope="module")
def axe():
    """Runs axe-core on a page or a part, all rules or some; one example of a pass."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

    def run(page, part=None, **options):
        return axe.run(page, part, {"resultTypes": ["violations"], **options})

    return run


def look(page, size=DESK, scheme="light", media="screen"):
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme, media=media)
    page.wait_for_function(
        "scheme => document.documentElement.dataset.theme == scheme", arg=scheme
    )
    page.evaluate(END_TRANSITIONS)


def test_the_page_reads_with_the_network_off(page):
    assert page.outside == []
    assert page.complaints == []
    assert page.locator("mjx-merror").count() == 0
    assert not re.search(r"\$|\\\(|\\\[", page.evaluate(TEXT_WITHOUT_CODE_AND_MATH))


def test_formulas_are_set(visit):
    assert visit("book/mf").locator("mjx-container").count() > 30


def test_the_icons_come_from_the_small_fonts(page):
    """An icon that `make icons` leaves out is fetched with the theme's full font."""
    look(page)
    page.evaluate("document.fonts.ready")
    assert any("icons-solid-900.woff" in address for address in page.asked)
    assert not any("webfonts" in address for address in page.asked)


def test_axe_finds_nothing_to_object_to(page, axe):
    """Every rule that axe-core has by default, the minor and best practice too."""
    look(page)
    found = axe(page, **ALL_BUT_COLORS)
    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 20
    found = axe(page, NOT_IN_CODE, **COLORS)
    assert found.violations_count == 0, found.generate_report()


def test_axe_finds_nothing_to_object_to_in_the_dark(page, axe):
    """The rules on colors, as nothing else depends on the theme."""
    look(page, scheme="dark")
    found = axe(page, NOT_IN_CODE, **COLORS)
    assert found.violations_count == 0, found.generate_report()
    assert "color-contrast" in {rule["id"] for rule in found.response["passes"]}


def test_axe_has_nothing_against_the_colors_of_code(visit, axe, site):
    """Of each kind of word on any page, in all places for code of one page."""
    kinds = set()
    for path in (site / "book").rglob("*.html"):
        for code in re.findall(r'"highlight">(.*?)</pre>', path.read_text(), re.S):
            kinds |= set(re.findall(r'<span class="([^"]+)"', code))
    assert {"k", "mi", "nb", "s2"} <= kinds  # keyword, number, built-in, text
    words = [f'<span class="{kind}">word</span>' for kind in sorted(kinds)]
    page = visit("book/mf")
    page.evaluate(FILL_THE_CODE, " ".join(words))
    for scheme in ("light", "dark"):
        look(page, scheme=scheme)
        found = axe(page, {"include": [[".highlight"]]}, **COLORS)
        assert found.violations_count == 0, found.generate_report()
    page.add_style_tag(content="html .highlight .mi { color: #444 !important; }")
    assert axe(page, {"include": [[".highlight"]]}, **COLORS).violations_count == 1


def test_axe_would_object(visit, axe):
    page = visit("book/index")
    page.evaluate(
        "document.querySelector('article h1').outerHTML = '<h3></h3><img src=x.png>'"
    )
    found = {rule["id"] for rule in axe(page).response["violations"]}
    assert {"empty-heading", "image-alt"} <= found
    look(page, scheme="dark")
    page.add_style_tag(content="article p { color: #333 !important; }")
    [found] = axe(page, **COLORS).response["violations"]
    assert found["id"] == "color-contrast"


def test_a_phone_need_not_scroll_sideways(page):
    look(page, PHONE)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]


def test_nothing_is_cut_off_on_paper(page):
    look(page, PAPER, media="print")
    assert page.evaluate(TOO_WIDE_FOR_THE_PAPER) == []
    around = page.locator(".bd-sidebar-primary, .bd-header-article, .prev-next-footer")
    assert around.filter(visible=True).count() == 0


def test_every_link_inside_the_book_leads_somewhere(page):
    to_anchors = 0
    for link in map(urlparse, page.evaluate(LINKS)):
        if link.scheme == "file":
            target = Path(unquote(link.path))
            assert target.exists(), link.path
            rated = link.fragment.startswith("rated-")  # what the page Try It reads
            if link.fragment and target.suffix == ".html" and not rated:
                anchor = f'id="{unquote(link.fragment)}"'
                assert anchor in target.read_text(), link
                to_anchors += 1
    assert to_anchors


def test_pictures_for_the_eye(page):
    """Written into a folder that git ignores; whoever changes a page looks at them."""
    name = Path(urlparse(page.url).path)
    looks = {
        "light": (DESK, "light"),
        "dark": (DESK, "dark"),
        "phone": (PHONE, "light"),
    }
    if name.parent.name == "book":  # exercises and solutions look alike
        for title, (size, scheme) in looks.items():
            look(page, size, scheme)
            picture = SCREENSHOTS / f"{name.stem}-{title}.jpg"
            page.screenshot(path=picture, full_page=True, type="jpeg", quality=80)
            assert picture.stat().st_size > 50_000


def test_paper_is_white(visit):
    page = visit("book/mf", color_scheme="dark")
    assert page.evaluate(BACKGROUND) != "rgb(255, 255, 255)"
    page.evaluate(
        f"addEventListener('beforeprint', () => window.printed = {BACKGROUND})"
    )
    assert len(page.pdf()) > 100_000
    assert page.evaluate("printed") == "rgb(255, 255, 255)"
    assert page.evaluate(BACKGROUND) != "rgb(255, 255, 255)"


def test_search_finds_what_the_book_is_about(visit):
    page = visit("search", "?q=NDCG")
    title = "Generalized Matrix Factorization"
    # Results come in one by one; a page that is not among them ends in a timeout.
    page.locator("#search-results li a", has_text=title).first.wait_for()


def test_the_theme_can_be_switched(visit):
    page = visit("book/index", color_scheme="light")
    themes = set()
    for _ in range(3):
        themes.add(page.evaluate("document.documentElement.dataset.theme"))
        page.locator(".theme-switch-button:visible").first.click()
    assert themes == {"light", "dark"}
