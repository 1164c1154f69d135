"""The book in other languages, by gettext.

`book/locale/ko/LC_MESSAGES` has a catalog for each page that is translated into Korean,
as `book/mf.po`, and beside it `book/mf.code.po` for words in its code, which whoever
translates chooses: each message is what stands between two quotes. `interface.po` is
for what stands around the pages, and `sphinx.po` for words of the theme.

    python book/translate.py catalogs     takes what has changed into the catalogs
    python book/translate.py notebooks    writes book/ko/*.ipynb, without new outputs
    python book/translate.py book         builds the book in each language
    python book/translate.py book ko      in one

What is not translated, or has changed since it was, stays in English.
"""

import json
import re
import shutil
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import nbformat
import yaml
from babel.messages import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "book"
LANGUAGES = sorted(path.name for path in BOOK.glob("locale/*"))
PARSER = MarkdownIt("commonmark").enable("table")
PARSER.use(front_matter_plugin).use(dollarmath_plugin, double_inline=True)
# What is read in the parts of a page that are no Markdown.
IN_OTHER_BLOCKS = {
    "math_block": r"\\text\{([^}]*\w[^}]*)\}",
    "html_block": r">\s*([^<>{}]*\w[^<>{}]*?)\s*<",
    "front_matter": r'^ *"?(?:description lang=en|og:image:alt)"?: "(.*)"$',
}
# Words in a picture that a page of Markdown shows: it has its text as text.
PICTURE = r"!\[[^]]*\]\((assets/[\w-]+\.svg)\)"
IN_PICTURES = r"(<text[^>]*>)([^<]*[A-Za-z]{2}[^<]*)(?=</text>)"
# Links that stay what they are when a page moves down into a folder.
ELSEWHERE = r"https?:|mailto:|#|/"


def folder_of(language):
    return BOOK / "locale" / language / "LC_MESSAGES"


def pages_of(language):
    """The names of the pages that are translated, or are about to be; no exercises."""
    catalogs = folder_of(language).glob("book/*.po")
    return sorted(path.stem for path in catalogs if "." not in path.stem)


def source_of(page):
    for path in (BOOK / f"{page}.ipynb", BOOK / f"{page}.md"):
        if path.exists():
            return path
    sys.exit(f"there is no page {page} any more: rename its catalogs, or remove them")


def spans_of(text):
    """Where a reader's words stand in a text of Markdown: [(start, end)]."""
    starts = [0, *accumulate(map(len, text.splitlines(keepends=True)))]
    spans, place = [], 0
    for token in PARSER.parse(text):
        first, last = (starts[line] for line in token.map or (0, 0))
        if token.type == "inline" and token.content:
            place = text.find(token.content, max(place, first))
            if place < 0:
                sys.exit(f"put this into one line, for translators: {token.content}")
            spans.append((place, place + len(token.content)))
            place += len(token.content)
        elif token.type in IN_OTHER_BLOCKS:
            pattern = re.compile(IN_OTHER_BLOCKS[token.type], re.MULTILINE)
            spans += [m.span(1) for m in pattern.finditer(text[:last], first)]
    return spans


def messages_of(page):
    """What is to be translated of a page, in its order."""
    path = source_of(page)
    if path.suffix == ".md":
        texts, described = [path.read_text()], []
        for picture in re.findall(PICTURE, texts[0]):
            found = re.findall(IN_PICTURES, (BOOK / picture).read_text())
            described += [words for _, words in found]
    else:
        notebook = nbformat.read(path, 4)
        texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        described = [notebook.metadata.myst.html_meta["description lang=en"]]
        described += [image.alt for image in images_of(notebook)]
    spans = [(text, *span) for text in texts for span in spans_of(text)]
    return [*described, *(text[start:end] for text, start, end in spans)]


def images_of(notebook):
    """What is said of figures: the descriptions, as they can be written to."""
    about = [cell.metadata.get("mystnb", {}).get("image") for cell in notebook.cells]
    return [image for image in about if image]


def interface_messages():
    """The words around the pages: of the table of contents, settings and scripts."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    settings = config["sphinx"]["config"]
    yield config["title"]
    yield config["html"]["extra_footer"]
    yield from (settings[f"nb_code_prompt_{what}"] for what in ("show", "hide"))
    yield from settings["html_context"]["words"].values()
    for part in toc["parts"]:
        yield part["caption"]
        yield from (page["title"] for page in part["chapters"] if "title" in page)
    found = extract_from_dir(
        BOOK / "assets", [("*.js", "javascript")], keywords={"say": None}
    )
    yield from (message for _, _, message, _, _ in found)


def read(path):
    """A catalog; one that is empty, or not there, has only a head."""
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            return read_po(file)
    return Catalog(
        locale=path.relative_to(BOOK / "locale").parts[0],
        project="d2lrec",
        header_comment="# The license is that of the page's text.",
        fuzzy=False,
    )


def catalogs_of(language):
    """The catalogs that are made from texts: dict from path to messages."""
    pages = {f"book/{page}": messages_of(page) for page in pages_of(language)}
    found = {"interface": list(interface_messages()), **pages}
    return {folder_of(language) / f"{name}.po": found[name] for name in found}


def update(path, messages):
    """Take messages into a catalog; a translation of what has changed gets `fuzzy`."""
    template, catalog = Catalog(), read(path)
    for message in messages:
        template.add(message)
    catalog.update(template, update_creation_date=False)
    for message in catalog:
        message.flags -= {"python-format", "python-brace-format"}  # braces of formulas
    with path.open("wb") as file:
        write_po(file, catalog, width=0)


def translations(path):
    """What a catalog has translated, and nobody has to look at again."""
    return {m.id: m.string for m in read(path) if m.id and m.string and not m.fuzzy}


def in_markdown(text, known):
    for start, end in reversed(spans_of(text)):
        text = text[:start] + known.get(text[start:end], text[start:end]) + text[end:]
    return text


def in_code(source, known):
    """Words between quotes."""
    for message, string in known.items():
        source = source.replace(f'"{message}"', f'"{string}"')
    return source


def in_picture(text, known):
    return re.sub(IN_PICTURES, lambda m: m[1] + known.get(m[2], m[2]), text)


def opening_here(text, language):
    """Links that open a notebook elsewhere, as Colab, open the translated one."""
    pages = "|".join(map(re.escape, pages_of(language)))
    elsewhere = rf"(main\S*?book(/|%2F))(?=(?:{pages})\.ipynb)"
    return re.sub(elsewhere, rf"\1{language}\2", text)


def translated(page, language, up=""):
    """The source of a page in a language; `up` leads to where the other pages are.

    A notebook has the outputs that are stored beside it, by the ids of cells.
    """
    path, folder = source_of(page), folder_of(language)
    known = translations(folder / "book" / f"{page}.po")

    def text_of(text):
        return opening_here(in_markdown(text, known), language)

    if path.suffix == ".md":
        text = text_of(path.read_text())
        return text.replace('"description lang=en"', f'"description lang={language}"')
    notebook, stored = nbformat.read(path, 4), BOOK / language / path.name
    ran = {c.id: c for c in nbformat.read(stored, 4).cells} if stored.exists() else {}
    about = notebook.metadata.myst.html_meta
    description = about.pop("description lang=en")
    about[f"description lang={language}"] = known.get(description, description)
    for image in images_of(notebook):
        image.alt = known.get(image.alt, image.alt)
    words = translations(folder / "book" / f"{page}.code.po")
    here = "|".join(re.escape(name) + r"\.ipynb" for name in pages_of(language))
    away = rf"\]\((?!{ELSEWHERE}|(?:{here})[)#])"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(away, f"]({up}", text_of(cell.source))
        elif "package" not in cell.metadata.get("tags", []):
            cell.source = in_code(cell.source, words)
        if cell.id in ran and cell.cell_type == "code":
            cell.outputs = ran[cell.id].outputs
            cell.execution_count = ran[cell.id].execution_count
    return notebook


def in_settings(part, known):
    """The strings in what a file of YAML holds."""
    if isinstance(part, dict):
        return {key: in_settings(value, known) for key, value in part.items()}
    if isinstance(part, list):
        return [in_settings(value, known) for value in part]
    return known.get(part, part) if isinstance(part, str) else part


def write_notebooks(language):
    for page in pages_of(language):
        if source_of(page).suffix == ".ipynb":
            (BOOK / language).mkdir(exist_ok=True)
            notebook = translated(page, language, up="../")
            nbformat.write(notebook, BOOK / language / f"{page}.ipynb")


def switch_of(languages):
    """What pages need to know of each language, for their links to the others."""
    words = settings_of(ROOT)["sphinx"]["config"]["html_context"]["words"]
    for language in languages:
        if language == "en":
            yield {"code": "en", "name": words["language"], "folder": ""}
            continue
        known = translations(folder_of(language) / "interface.po")
        pages = [f"book/{page}" for page in pages_of(language)]
        name = known.get(words["language"], language)
        yield {"code": language, "name": name, "folder": f"{language}/", "pages": pages}


def settings_of(folder):
    return yaml.safe_load((folder / "_config.yml").read_text())


def write_sources(language, languages, folder):
    """What the book in a language is built from, with a switch to the others."""
    shutil.rmtree(folder, ignore_errors=True)
    left_out = shutil.ignore_patterns("locale", "__pycache__", ".*")
    shutil.copytree(BOOK, folder / "book", ignore=left_out)
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    config = settings_of(ROOT)
    settings = config["sphinx"]["config"]
    home = config["html"]["baseurl"]
    if language != "en":
        known = translations(folder_of(language) / "interface.po")
        toc, config = in_settings(toc, known), in_settings(config, known)
        settings = config["sphinx"]["config"]
        settings["language"] = language
        settings["ogp_site_url"] = config["html"]["baseurl"] = f"{home}{language}/"
        settings["ogp_image"] = f"{home}_static/card.png"
        settings["ogp_social_cards"] = {"enable": False}  # whose font has no Hangul
        settings["locale_dirs"] = ["locale"]
        settings["html_js_files"].insert(0, "language.js")
        for page in pages_of(language):
            path, content = source_of(page).name, translated(page, language)
            if isinstance(content, str):
                (folder / "book" / path).write_text(content)
                of_page = translations(folder_of(language) / "book" / f"{page}.po")
                for picture in re.findall(PICTURE, content):
                    drawn = folder / "book" / picture
                    drawn.write_text(in_picture(drawn.read_text(), of_page))
            else:
                nbformat.write(content, folder / "book" / path)
        for path in (folder / "book").glob("*.md"):  # slides are beside the English
            path.write_text(path.read_text().replace('href="../', 'href="../../'))
        said = f"const ownWords = {json.dumps(known, ensure_ascii=False)};\n"
        (folder / "book" / "assets" / "language.js").write_text(said)
        of_theme = Path("locale", language, "LC_MESSAGES", "sphinx.po")
        if (BOOK / of_theme).exists():
            (folder / of_theme).parent.mkdir(parents=True)
            shutil.copy(BOOK / of_theme, folder / of_theme)
    others = list(switch_of(languages))
    [here] = (other for other in others if other["code"] == language)
    settings["html_context"] |= {"home": home, "languages": others, "here": here}
    for name, content in {"_toc.yml": toc, "_config.yml": config}.items():
        written = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        (folder / name).write_text(written)


def build(folder, html, *options):
    """Render what stands in a folder, into another."""
    program = Path(sys.executable).with_name("jupyter-book")
    if subprocess.run([program, "build", "--quiet", *options, folder]).returncode:
        sys.exit("the book was not built; the messages above say why")
    shutil.rmtree(html, ignore_errors=True)
    shutil.move(folder / "_build" / "html", html)


def build_books(chosen):
    """All languages, that of English around the others; or some of them, for a look."""
    if unknown := {*chosen} - {"en", *LANGUAGES}:
        sys.exit(f"there are en, {', '.join(LANGUAGES)}; not {', '.join(unknown)}")
    home = ROOT / "_build" / "html"
    languages = chosen or ["en", *LANGUAGES]
    there = ["en"] if "en" not in languages and (home / "index.html").exists() else []
    for language in languages:
        folder = ROOT / "_build" / "sources" / language
        html = home if language == "en" else home / language
        write_sources(language, there + languages, folder)
        build(folder, html, "-W", "--keep-going")
        print(f"The book is ready: open {html / 'index.html'}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["book", *chosen]:
            build_books(chosen)
        case ["notebooks"]:
            for language in LANGUAGES:
                write_notebooks(language)
        case ["catalogs"]:
            for language in LANGUAGES:
                for path, messages in catalogs_of(language).items():
                    update(path, messages)
        case _:
            sys.exit(__doc__)
