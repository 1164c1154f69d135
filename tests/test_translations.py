"""The pages in other languages say what the English ones say, or that they do not."""

import re
from collections import Counter

import nbformat
import pytest
from pages import (
    ADDRESS,
    BOOK,
    LANGUAGES,
    TRANSLATED,
    cells_of,
    load,
    outputs_of,
    over,
    source_of,
    tags_of,
    text_of,
)

translate = load(BOOK / "translate.py")
CATALOGS = {
    path: messages
    for language in LANGUAGES
    for path, messages in translate.catalogs_of(language).items()
}
each_catalog = pytest.mark.parametrize(
    ("path", "messages"), CATALOGS.items(), ids=lambda value: getattr(value, "stem", "")
)
each_translated = over(TRANSLATED)


def language_of(path):
    return path.parent.name


def code_catalog_of(path):
    return translate.folder_of(language_of(path)) / f"book/{path.stem}.code.po"


@each_catalog
def test_a_catalog_has_the_messages_of_its_page(path, messages):
    stored = [message.id for message in translate.read(path) if message.id]
    assert stored == list(dict.fromkeys(messages)), "run: make gettext"


@each_catalog
def test_what_is_untranslated_or_has_changed_since_is_listed(path, messages):
    """It is skipped and not wrong: who writes a page need not know all languages."""
    known = translate.translations(path)
    left = [m for m in dict.fromkeys(messages) if m not in known]
    if left:
        name = path.relative_to(BOOK / "locale")
        texts = "; ".join(message[:60] for message in left)
        pytest.skip(f"{name}: {len(left)} of {len(messages)} to translate: {texts}")


@each_catalog
def test_a_translation_has_the_links_and_the_formulas_of_its_message(path, messages):
    kept = r"\]\([^)]*\)|(?<![\\$])\$[^$]+\$|`[^`]*`|\{\w+\}|href=\"[^\"]*\""
    for message, string in translate.translations(path).items():
        in_message, in_string = (
            Counter(part for part in re.findall(kept, text) if "\\text" not in part)
            for text in (message, string)
        )
        assert set(in_string) == set(in_message), message


@each_translated
def test_the_code_has_the_words_that_are_translated_in_it(path):
    code = "\n".join(map(source_of, cells_of(BOOK / path.name, "code")))
    for message in translate.read(code_catalog_of(path)):
        assert not message.id or f'"{message.id}"' in code, message.id


def test_each_catalog_is_used():
    """Of exercises and solutions, there are none yet."""
    of_code = {code_catalog_of(path) for path in TRANSLATED}
    of_theme = {translate.folder_of(language) / "sphinx.po" for language in LANGUAGES}
    there = {*(BOOK / "locale").rglob("*.po")}
    assert there - of_code - of_theme == {*CATALOGS}


def test_the_notebooks_are_those_that_have_catalogs():
    with_catalogs = [
        BOOK / language / f"{page}.ipynb"
        for language in LANGUAGES
        for page in translate.pages_of(language)
        if (BOOK / f"{page}.ipynb").exists()
    ]
    assert with_catalogs == TRANSLATED, "run: make translations"


@each_translated
def test_a_notebook_is_written_from_the_page_and_its_catalogs(path):
    stored = nbformat.read(path, 4)
    written = translate.translated(path.stem, language_of(path), up="../")
    assert written.cells == stored.cells, "run: make translations"
    assert written.metadata.myst == stored.metadata.myst, "run: make translations"


@each_translated
def test_a_notebook_prints_what_the_english_one_prints_but_for_words(path):
    """The same numbers, and no other English words."""
    ours, english = cells_of(path, "code"), cells_of(BOOK / path.name, "code")
    for ours_cell, cell in zip(ours, english, strict=True):
        if "nbval-ignore-output" in tags_of(cell):
            continue
        for output, other in zip(ours_cell["outputs"], cell["outputs"], strict=True):
            shown, wanted = text_of(output), text_of(other)
            if "<svg" in wanted:
                continue
            numbers = r"-?\d+(?:\.\d+)?"
            assert Counter(re.findall(numbers, shown)) == Counter(
                re.findall(numbers, wanted)
            )
            words = r"[A-Za-z]{2,}"
            assert set(re.findall(words, shown)) <= set(re.findall(words, wanted))
    assert len(outputs_of(path)) == len(outputs_of(BOOK / path.name))


@each_translated
def test_relative_links_of_a_notebook_lead_somewhere(path):
    text = "\n".join(map(source_of, cells_of(path, "markdown")))
    links = re.findall(rf"\]\((?!{translate.ELSEWHERE})([^)#]+)", text)
    assert len(links) > 5
    for link in links:
        assert (path.parent / link).exists(), link


PAGE = """---
title: no
description lang=en: "What it is"
---

# A Title

One *paragraph* with [a link](mf.ipynb).

- a point of several; another $x$
- a second

| head | other |
| --- | --- |
| cell | cell |

<p class="x"><a href="y.html">Go</a> and <b>look</b></p>
<script>{"no": 1}</script>

$$x = 1 \\text{ if so}$$
"""
WORDS = [
    "What it is",
    "A Title",
    "One *paragraph* with [a link](mf.ipynb).",
    "a point of several; another $x$",
    "a second",
    *["head", "other", "cell", "cell"],
    *["Go", "and", "look", " if so"],
]


def test_messages_are_what_a_reader_reads():
    words = [PAGE[start:end] for start, end in translate.spans_of(PAGE)]
    assert words == WORDS
    german = translate.in_markdown(PAGE, {word: word.upper() for word in WORDS})
    assert german.upper() == PAGE.upper()
    assert "# A TITLE\n\nONE *PARAGRAPH*" in german
    assert '<a href="y.html">GO</a> AND <b>LOOK</b>' in german
    assert "\\text{ IF SO}" in german


def test_what_has_changed_since_is_marked_and_not_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(translate, "BOOK", tmp_path)
    path = tmp_path / "locale/ko/page.po"
    path.parent.mkdir(parents=True)
    translate.update(path, ["One long sentence, as it was.", "Another thing", "Gone"])
    catalog = translate.read(path)
    for message in catalog:
        if message.id:
            message.string = f"KO {message.id}"
    with path.open("wb") as file:
        translate.write_po(file, catalog)
    translate.update(path, ["Another thing", "One long sentence, as it is."])
    assert translate.translations(path) == {"Another thing": "KO Another thing"}
    text = path.read_text()
    assert '#, fuzzy\nmsgid "One long sentence, as it is."\n' in text
    assert '#~ msgstr "KO Gone"' in text
    assert [m.id for m in translate.read(path) if m.id] == [
        "Another thing",
        "One long sentence, as it is.",
    ]
    translate.update(path, ["Another thing", "One long sentence, as it is."])
    assert path.read_text() == text


def test_a_translated_page_opens_itself_elsewhere():
    page = translate.pages_of("ko")[-1]
    link = f"{ADDRESS}/blob/main/book/{{}}{page}.ipynb"
    assert translate.opening_here(link.format(""), "ko") == link.format("ko/")
    assert translate.opening_here(link.format("ko/"), "ko") == link.format("ko/")
    binder = f"main?urlpath=lab%2Ftree%2Fbook%2F{page}.ipynb"
    assert "book%2Fko%2F" in translate.opening_here(binder, "ko")
