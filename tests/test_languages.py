"""The rendered book in two languages, and the switch between them.

Built here with three pages, of which one is not translated, and without the links to
the others; `make book` builds all of them, with warnings as errors.
"""

import html
import re

import pytest
import yaml
from pages import ADDRESS, BOOK, CONFIG, load

translate = load(BOOK / "translate.py")
HOME = CONFIG["html"]["baseurl"]
TRANSLATED, ENGLISH = ["book/index", "book/mf"], "book/results"
HANGUL = re.compile("[가-힣]")
each_translated = pytest.mark.parametrize("name", TRANSLATED)


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    home = tmp_path_factory.mktemp("books")
    for language, folder in {"en": "", "ko": "ko"}.items():
        sources = home / language
        translate.write_sources(language, ["en", "ko"], sources)
        toc = yaml.safe_load((sources / "_toc.yml").read_text())
        chapters = [{"file": name} for name in (*TRANSLATED[1:], ENGLISH)]
        toc["parts"] = [{**toc["parts"][0], "chapters": chapters}]
        (sources / "_toc.yml").write_text(yaml.safe_dump(toc))
        translate.build(sources, home / "html" / folder)
    return home / "html"


def switches(books, name):
    """Where the switch of a page leads: dict from a language to a page."""
    path = books / f"{name}.html"
    found = re.findall(
        r'<a class="language" lang="(..)" hreflang="(..)" href="(.*?)">(.*?)</a>',
        path.read_text(),
    )
    for lang, hreflang, _, shown in found:
        assert lang == hreflang
        assert shown == {"en": "English", "ko": "한국어"}[lang]
    return {lang: (path.parent / link).resolve() for lang, _, link, _ in found}


@each_translated
def test_the_switch_leads_to_the_same_page_and_back(books, name):
    there, here = books / f"ko/{name}.html", books / f"{name}.html"
    assert switches(books, name) == {"ko": there}
    assert switches(books, f"ko/{name}") == {"en": here}
    assert there.exists()


def test_a_page_that_is_not_translated_says_so(books):
    assert switches(books, ENGLISH) == {}
    assert switches(books, f"ko/{ENGLISH}") == {"en": books / f"{ENGLISH}.html"}
    page = (books / f"ko/{ENGLISH}.html").read_text()
    [said] = re.findall(r'<p class="in-english">(.*?)</p>\s*<div lang="en">', page)
    assert HANGUL.search(said)
    assert f'<link rel="canonical" href="{HOME}{ENGLISH}.html" />' in page
    assert "hreflang" not in page.partition("<body")[0]
    assert "in-english" not in (books / f"{ENGLISH}.html").read_text()


@each_translated
def test_the_languages_of_a_page_know_of_each_other(books, name):
    for language, folder in {"en": "", "ko": "ko/"}.items():
        page = (books / f"{folder}{name}.html").read_text()
        assert f'<html lang="{language}"' in page
        assert f'<link rel="canonical" href="{HOME}{folder}{name}.html" />' in page
        assert dict(
            re.findall(r'<link rel="alternate" hreflang="(.*?)" href="(.*?)"', page)
        ) == {"en": f"{HOME}{name}.html", "ko": f"{HOME}ko/{name}.html"}
        [description] = re.findall(r'<meta content="([^"]*)" [^>]*name="desc', page)
        assert bool(HANGUL.search(description)) == (language == "ko")
        assert len(html.unescape(description)) > 50


@each_translated
def test_what_stands_around_a_page_is_in_its_language(books, name):
    page = (books / f"ko/{name}.html").read_text()
    assert '<span class="caption-text">본문</span>' in page
    assert f"<title>{CONFIG['title']}" not in page
    text = html.unescape(re.sub(r"<(script|pre).*?</\1>|<[^>]*>", "", page, flags=re.S))
    for english in (
        "Show the code",
        "Contents",
        "Skip to",
        "Search",
        "**",
        "Exercises",
    ):
        assert english not in text


def test_the_korean_notebook_is_opened_elsewhere(books):
    page, file = (books / "ko/book/mf.html").read_text(), "book/ko/mf.ipynb"
    repository = ADDRESS.removeprefix("https://github.com/")
    colab = set(re.findall(r"https://colab\.research\.google\.com/[^\"]+", page))
    assert colab == {
        f"https://colab.research.google.com/github/{repository}/blob/main/{file}"
    }
    [binder] = set(re.findall(r"https://mybinder\.org/[^\"]+", page))
    assert binder.endswith(f"lab/tree/{file}")


def test_its_figures_are_described_in_korean(books):
    page = (books / "ko/book/mf.html").read_text()
    figures = re.findall(r'<img [^>]*src="[./]+_images/[^>]*>', page)
    assert len(figures) == len(translate.images_of(translate.translated("mf", "ko")))
    for figure in figures:
        assert HANGUL.search(re.search(r'alt="([^"]*)"', figure)[1])


@pytest.fixture
def phone(browser):
    context = browser.new_context(viewport={"width": 360, "height": 800})
    page = context.new_page()
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    context.close()


@each_translated
def test_the_switch_works_on_a_phone_and_by_keyboard(books, phone, name):
    phone.goto((books / f"{name}.html").as_uri())
    for language in ("ko", "en"):
        switch = phone.locator("a.language")
        box = switch.bounding_box()
        assert min(box["width"], box["height"]) >= 24
        assert box["x"] + box["width"] <= 360
        assert phone.evaluate("document.documentElement.scrollWidth") <= 360
        switch.focus()
        with phone.expect_navigation():
            phone.keyboard.press("Enter")
        assert phone.evaluate("document.documentElement.lang") == language
    assert phone.complaints == []


@each_translated
def test_widgets_speak_korean(books, phone, name):
    phone.goto((books / f"ko/{name}.html").as_uri())
    for widget in phone.locator(".widget:not(:has(> script))").all():
        assert HANGUL.search(widget.inner_text())
    words = phone.locator(".widget :is(label, .head, .hint, th)").all_inner_texts()
    english = [text for text in words if text.strip() and not HANGUL.search(text)]
    assert not english


def test_axe_finds_nothing_to_object_to(books, phone):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for name in (*TRANSLATED, ENGLISH):
        phone.goto((books / f"ko/{name}.html").as_uri())
        found = axe.run(phone, {"exclude": [[".highlight"]]})
        assert found.violations_count == 0, found.generate_report()
