"""Make reveal.js slides of each chapter from the cells of its notebook (`make slides`).

A heading begins a slide. Of a section's text a slide shows what can be read from the
last row: the first sentence of each paragraph, the formulas and the lists. The rest
goes into the speaker's notes. Pictures are shown without the code that draws them.
Which other cells are shown, the notebook says itself, by the `slide_type` of nbconvert
and RISE in the metadata of a code cell: `subslide` shows it on a slide of its own,
`fragment` with the next click, below the text before it, and `skip` leaves a picture
out. Of a table, too, the code is not shown.
"""

import base64
import html
import math
import posixpath
import re
import shutil
import sys
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import nbformat
import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbconvert import SlidesExporter
from nbformat.v4 import new_code_cell, new_markdown_cell
from traitlets.config import Config

ROOT = Path(__file__).parent.parent
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text())
HOME = CONFIG["html"]["baseurl"]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
CHAPTERS = [ROOT / f"{page['file']}.ipynb" for page in TOC["parts"][0]["chapters"]]

# What nbconvert would fetch from elsewhere lies beside the slides.
LIBRARIES = {
    "reveal.js": (
        files("sphinx_revealjs") / "_static" / "revealjs",
        ["LICENSE", "dist/reveal.js", "dist/reveal.css", "dist/theme/white.css",
         "dist/theme/fonts/source-sans-pro", "plugin/notes/notes.js"],
    ),
    "mathjax": (
        files("sphinx-mathjax-offline") / "static" / "mathjax",
        ["tex-chtml.js", "input/tex/extensions", "output/chtml/fonts"],
    ),
}  # fmt: skip

# A slide is 1280 by 720 pixels. What is below its heading has this much room; a test
# asks a browser whether it fits.
ROOM, OF_FORMULA = 560, 150
MAX_WORDS, WORDS_BESIDE = 80, 42
SHORT, LONG = 45, 70  # letters of a sentence: to stand without the next one, and alone
SVG = "image/svg+xml"
GOALS = "When you have finished"
LISTS = ("bullet_list", "ordered_list")
PARSER = MarkdownIt().enable("table").use(dollarmath_plugin)
MORE = ' <span class="more">continued</span>'
BYLINE = (
    f'<p class="byline">Slides of a chapter of <em>{CONFIG["title"]}</em>, by '
    f'{CONFIG["author"]}. <a href="{{address}}">Read and run the chapter.</a><br>'
    f"{CONFIG['html']['extra_footer'].strip()}</p>"
)


def blocks_of(source):
    """The kind and the text of each heading, paragraph, formula, list and so on."""
    lines = source.split("\n")
    for token in PARSER.parse(source):
        if token.level == 0 and token.map and token.nesting >= 0:
            text = "\n".join(lines[slice(*token.map)]).strip()
            yield token.type.removesuffix("_open"), text


def sentences_of(text):
    """Split where a sentence ends outside of formulas, code and parentheses."""
    found, start = [], 0
    for stop in re.finditer(r"[.!?][\"”)*]*\s+(?=[\"“(*$`\[]*[A-Z0-9$`])", text):
        head = text[start : stop.end()].strip()
        closed = all(head.count(a) == head.count(b) for a, b in ("()", "[]"))
        paired = not any(head.count(sign) % 2 for sign in ("$", "`", "*"))
        if closed and paired and not re.search(r"\b(al|vs|e\.g|i\.e|[A-Z])\.$", head):
            found.append(head)
            start = stop.end()
    return [*found, text[start:].strip()]


class Deck:
    """The slides of a chapter: cells with the slide types of nbconvert."""

    def __init__(self, title):
        self.cells, self.notes, self.in_exercises = [], [], False
        self.title, self.start = title, None
        self.begin(title, level="#")

    def begin(self, heading, kind="slide", level="##"):
        """A slide, which is there as soon as something is shown below its heading."""
        self.flush()
        self.heading, self.start, self.picture = heading, (kind, level), False
        self.used, self.words, self.only_text = 0, 0, True

    def go_on(self):
        self.begin(self.heading.removesuffix(MORE) + MORE, "subslide")

    def flush(self):
        if self.notes and not self.start:
            self.append(new_markdown_cell("\n\n".join(self.notes)), "notes")
            self.notes = []

    def append(self, cell, kind="-"):
        if self.start:
            (slide, level), self.start = self.start, None
            self.append(new_markdown_cell(f"{level} {self.heading}"), slide)
        cell.metadata["slideshow"] = {"slide_type": kind}
        self.cells.append(cell)

    def has_room(self, height, words):
        most = WORDS_BESIDE if self.picture else MAX_WORDS
        return not self.used or (
            self.used + height <= ROOM and self.words + words <= most
        )

    def show(self, cell, height, words=0, kind="-"):
        """On the next slide of the section, where this one has no room left."""
        beside = self.picture and not words  # where only text has room
        if beside or not self.has_room(height, words):
            self.go_on()
            kind = "-"
        self.used, self.words = self.used + height, self.words + words
        self.only_text = self.only_text and words > 0
        self.append(cell, kind)

    def size_of(self, text):
        """The height and the words of a text on this slide."""
        plain = re.sub(r"\]\([^)]*\)|\\[a-z]+|[*`{}\[\\]", "", text)
        lines = math.ceil(len(plain) / (26 if self.picture else 68))
        return lines * 48 + 16, len(plain.split())

    def show_text(self, text, following=0):
        """Where there is room for what it leads on to, too."""
        height, words = self.size_of(text)
        if following and not self.has_room(height + following, words):
            self.go_on()
        self.show(new_markdown_cell(text), *self.size_of(text))

    def add_text(self, source):
        blocks = [*blocks_of(source), ("end", "")]
        for (kind, text), (following, _) in pairwise(blocks):
            if kind == "heading":
                level, _, heading = text.partition(" ")
                self.in_exercises = heading == "Exercises"
                self.begin(heading, "subslide" if level == "###" else "slide", level)
            elif text.startswith(GOALS):
                self.begin("What You Will Be Able to Do", "subslide")
            elif text.startswith("**Time:**"):
                self.begin(self.title)
            elif kind == "paragraph":
                self.add_paragraph(text, following)
            elif kind in LISTS:
                self.add_list(text)
            elif kind == "math_block":
                self.show(new_markdown_cell(text), OF_FORMULA)
            elif kind == "table":
                self.show(new_markdown_cell(text), 48 * text.count("\n"))

    def add_paragraph(self, text, following):
        if text.startswith("[Open in"):
            return
        sentences = sentences_of(text)
        leads_on = following in ("math_block", *LISTS)
        if leads_on:
            shown = sentences[-1]
        elif len(sentences[0]) < SHORT:
            shown = " ".join(sentences[:2])
        else:
            shown = sentences[0]
        if self.in_exercises:
            lead = re.match(r"\*\*[^*]+\*\*", text)
            shown = lead[0] if lead else ""
        elif text.startswith("("):
            shown = ""
        if (
            len(shown) < LONG
            and not leads_on
            and not self.has_room(*self.size_of(shown))
        ):
            shown = ""  # too little for another slide
        if shown:
            self.show_text(shown, OF_FORMULA if following == "math_block" else 0)
        self.notes.append(text.replace(shown, "", 1).strip())

    def add_list(self, text):
        for item in re.split(r"\n(?=- |\d+\. )", text):
            first, *rest = sentences_of(item)
            self.show_text(first)
            self.notes += rest

    def add_code(self, cell):
        kind = cell.metadata.get("slideshow", {}).get("slide_type")
        pictures = [o.data[SVG] for o in cell.outputs if SVG in o.get("data", {})]
        if pictures and kind != "skip" and not self.in_exercises:
            self.add_picture(pictures[0], cell.metadata.mystnb.image.alt)
        elif kind in ("subslide", "fragment"):
            tables = [o for o in cell.outputs if "text/html" in o.get("data", {})]
            if tables:  # they are shown without their code, too
                hidden = {"transient": {"remove_source": True}}
                cell = new_code_cell(outputs=tables, metadata=hidden)
            if self.used and (kind == "subslide" or self.picture):
                self.go_on()
            self.show(cell, height_of(cell), kind="fragment" if self.used else "-")

    def add_picture(self, svg, alt):
        """Left of the text, of which there is no more than has room beside it."""
        if self.used and not (self.only_text and self.words <= WORDS_BESIDE):
            self.go_on()
        data = base64.b64encode(svg.encode()).decode()
        source = f"data:{SVG};base64,{data}"
        image = f'<img class="figure" alt="{html.escape(alt)}" src="{source}">'
        self.append(new_markdown_cell(image))
        heading = max(n for n, c in enumerate(self.cells) if c.source.startswith("#"))
        self.cells.insert(heading + 1, self.cells.pop())
        self.picture, self.only_text, self.used = True, False, 2.6 * self.used + 1


def height_of(cell):
    """Of a cell with its outputs, in pixels."""
    lines = len(cell.source.splitlines())
    for output in cell.outputs:
        data = output.get("data", {})
        if "text/html" in data:
            lines += 1.6 * data["text/html"].count("<tr")
        else:
            lines += 1 + output.get("text", data.get("text/plain", "")).count("\n")
    return 26 * lines + 60


def absolute_links(source, name):
    """Slides are carried away, so their links lead to the published book."""

    def absolute(link):
        return f"]({HOME}{posixpath.normpath(f'book/{link[1]}')}.html"

    source = re.sub(r"\]\((?!\w+:|#)([^)#]+)\.(?:ipynb|md)", absolute, source)
    return source.replace("](#", f"]({HOME}book/{name}.html#")


def deck_of(path):
    """The notebook of a chapter's slides."""
    notebook = nbformat.read(path, 4)
    opening = absolute_links(notebook.cells[0].source, path.stem)
    heading, first, rest = [*opening.split("\n\n", 2), ""][:3]
    deck = Deck(heading.removeprefix("# "))
    deck.add_paragraph(first, "")
    byline = BYLINE.format(address=f"{HOME}book/{path.stem}.html")
    deck.append(new_markdown_cell(byline))
    before, goals, rest = rest.partition(GOALS)
    deck.notes.append(before)
    deck.add_text(goals + rest)
    deck.begin(deck.title)
    for cell in notebook.cells[1:]:
        if cell.cell_type == "code":
            deck.add_code(cell)
            continue
        text = absolute_links(cell.source, path.stem)
        text, appendix, _ = text.partition("## Appendix")
        deck.add_text(text)
        if appendix:
            break
    deck.flush()
    notebook.cells = deck.cells
    notebook.metadata["title"] = deck.title
    return notebook


def write(folder):
    """Write the slides of all chapters, and what they need, into a folder."""
    exporter = SlidesExporter(
        Config({"CSSHTMLHeaderPreprocessor": {"style": "a11y-high-contrast-light"}}),
        extra_template_basedirs=[str(Path(__file__).parent / "templates")],
        template_name="slides",
        reveal_url_prefix="reveal.js",
        reveal_theme="white",
        reveal_width="1280",
        reveal_height="720",
        exclude_anchor_links=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
    )
    folder.mkdir(parents=True, exist_ok=True)
    for path in CHAPTERS:
        page, _ = exporter.from_notebook_node(deck_of(path))
        (folder / f"{path.stem}.html").write_text(page)
    for name, (library, parts) in LIBRARIES.items():
        for part in parts:
            source, target = library / part, folder / name / part
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)
            else:
                shutil.copy(source, target)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
