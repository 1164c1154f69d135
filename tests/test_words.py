"""The words of the pages: given once, found in the glossary, and none to be avoided."""

import re

import pytest
from pages import BOOK, CHAPTERS, ROOT, markdown_of, name_of, pages_of_the_book

GLOSSARY = BOOK / "glossary.md"
PAGES = [
    path
    for name in pages_of_the_book()
    for path in (ROOT / f"{name}.md", ROOT / f"{name}.ipynb")
    if path.exists()
]
each_page = pytest.mark.parametrize("path", PAGES, ids=name_of)

# A term, other forms of it in parentheses, and at the end the page where it is given.
ENTRY = r"^\*\*(?P<term>.+?)\*\*(?: \((?P<forms>.+?)\))?\..* → \[.+\]\((?P<page>.+)\)$"
ENTRIES = [
    match.groupdict() for match in re.finditer(ENTRY, GLOSSARY.read_text(), re.M)
]

AVOIDED = (
    r"learn(?:ed|s|ing)? by heart|first scale|first parameters|in the band"
    r"|witness(?:es)?|whoever|have done|mend(?:s|ed)?"
)
# By their endings, and one by one where these stand in American words as well.
BRITISH = (
    r"\w*(?:factor|general|initial|normal|optim|minim|maxim|regular|random|penal|summar"
    r"|recogn|organ|real|visual|memor|special|equal|custom|util|emphas|apolog"
    r"|parallel|token|vector|central|categor|charact\w+|popular|personal|standard)"
    r"is(?:e|es|ed|er|ers|ing|ation|ations)"
    r"|\w*(?:colour|behaviour|favour|neighbour|honour|labour|flavour|humour)\w*"
    r"|centred?|centres|catalogues?|analys(?:e|es|ed|ing)|metres?|grey|judgement"
    r"|(?:model|label|travel|cancel|signal|fuel)l(?:ed|ing)|licences?"
)


def matches(words, text):
    """What of a pattern of words stands in a text, but for code and addresses."""
    prose = re.sub(r"`[^`]*`|\]\([^)]*\)|https?://\S+", " ", text)
    return re.findall(rf"\b(?:{words})\b", prose, re.IGNORECASE)


def in_italics(form, text):
    """How often a form of a term stands in italics, also in the plural."""
    form = re.escape(form).replace(r"\ ", r"\s")
    italics = rf"(?<![*\w])(?:\*{form}s?\*|_{form}s?_)(?![*\w])"
    return len(re.findall(italics, text, re.IGNORECASE))


def test_the_glossary_has_its_terms_in_order():
    terms = [entry["term"] for entry in ENTRIES]
    assert len(terms) == GLOSSARY.read_text().count("\n**") > 40
    assert terms == sorted(set(terms), key=str.lower)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["term"])
def test_a_term_is_given_once_on_the_page_that_the_glossary_says(entry):
    """In italics, by its name or one of the other forms, in no other chapter."""
    forms = [entry["term"], *(entry["forms"] or "").split(", ")]
    counts = [
        {form: in_italics(form, markdown_of(path)) for form in forms if form}
        for path in CHAPTERS
    ]
    given = {
        path.name: count
        for path, forms in zip(CHAPTERS, counts, strict=True)
        if (count := max(forms.values()))
    }
    assert given == {entry["page"]: 1}


def test_the_patterns_find_what_they_are_for():
    for word in ["mends", "witnesses", "whoever", "have done", "learn by heart"]:
        assert matches(AVOIDED, f"It {word}.") == [word]
    assert not matches(AVOIDED, "It recommends what you have, done or not; `whoever`.")
    for word in ["factorisation", "optimiser", "neighbours", "normalised", "grey"]:
        assert matches(BRITISH, f"The {word} here.") == [word]
    american = "promise, precise, raised, exercise, revised, neighbor, realistic, list"
    assert not matches(BRITISH, f"{american}, optimistic and generalist")
    text = "a *cold start*, a **cold start** and *Cold starts*"
    assert in_italics("cold start", text) == 2


@each_page
def test_no_word_to_be_avoided_is_in_the_text(path):
    assert not matches(AVOIDED, markdown_of(path))


@each_page
def test_spellings_are_american_but_for_the_glossary(path):
    found = matches(BRITISH, markdown_of(path))
    assert bool(found) == (path == GLOSSARY), found
