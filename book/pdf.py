"""Print the built book into one PDF with chromium (`make pdf`).

All pages are joined into one document, so that page numbers, bookmarks and the links
between pages are the browser's own. It is printed twice: the first time tells on which
page each chapter begins, for the table of contents of the second.
"""

import html
import posixpath
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pikepdf
import yaml
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text())
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
HOME = CONFIG["html"]["baseurl"]
PARTS = {"About This Book": [TOC["root"]]} | {
    part["caption"]: [page["file"] for page in part["chapters"]]
    for part in TOC["parts"]
}
PAGES = [name for names in PARTS.values() for name in names]
HEADINGS = [f"h{level}" for level in range(1, 7)]
FOOTER = (
    '<div style="width: 100%; font-size: 8px; text-align: center; color: #555">'
    '<span class="pageNumber"></span></div>'
)
STYLE = """
@page { size: A4; margin: 17mm 18mm 20mm; }
html { font-size: 14px; }
body { display: block; background: white; }
main { display: block; max-width: none; }
.cover, .contents, h1, h2.chapter { break-before: page; }
.cover { break-before: avoid; padding-top: 60mm; text-align: center; }
.cover img { width: 45mm; }
.cover p.title { margin-block: 10mm; font-size: 2.6rem; line-height: 1.2; }
h1 + article h2.chapter { break-before: avoid; }
.contents a { display: flex; gap: 0.5rem; color: inherit; text-decoration: none; }
.contents a span:first-child { flex: 1; }
.contents a, .contents p { margin: 0; padding: 0.12rem 0; font-size: 0.9rem; }
.bd-article :is(div.highlight, div.cell_output) pre { font-size: 0.75rem; }
.contents p { margin-top: 0.9rem; font-weight: bold; }
"""


def anchor(name, fragment=""):
    return f"{name}--{fragment}" if fragment else name


def article_of(site, name):
    """A page's article, whose ids and links hold in the whole, one heading lower."""
    page = BeautifulSoup((site / f"{name}.html").read_text(), "html.parser")
    article = page.select_one("article.bd-article")
    for part in article.select("script, .headerlink, .widget"):
        part.decompose()
    for part in article.select("[id]"):
        part["id"] = anchor(name, part["id"])
    for part in article.select("[src]"):
        part["src"] = posixpath.normpath(f"{posixpath.dirname(name)}/{part['src']}")
    for link in article.select("a[href]"):
        link["href"] = link_in_the_whole(name, link["href"])
    for heading in article.find_all(HEADINGS):
        heading.name = HEADINGS[min(HEADINGS.index(heading.name) + 1, 5)]
    title = article.find("h2")
    title["class"], title["id"] = "chapter", name
    return str(article), title.get_text()


def link_in_the_whole(name, to):
    """To a place in this document, or else to the published book."""
    if urlsplit(to).scheme:
        return to
    path, _, fragment = to.partition("#")
    here = posixpath.normpath(f"{posixpath.dirname(name)}/{path}") if path else name
    target = here.removesuffix(".html")
    return f"#{anchor(target, fragment)}" if target in PAGES else f"{HOME}{here}"


def whole_of(site, pages=None):
    """The book as one HTML document; `pages` has the page number of each chapter."""
    articles = {name: article_of(site, name) for name in PAGES}
    body, contents = [], []
    for part, names in PARTS.items():
        body.append(f"<h1>{part}</h1>")
        contents.append(f"<p>{part}</p>")
        for name in names:
            article, title = articles[name]
            number = pages[name] if pages else "000"
            body.append(article)
            contents.append(
                f'<a href="#{name}"><span>{html.escape(title)}</span>'
                f"<span>{number}</span></a>"
            )
    front = BeautifulSoup((site / f"{TOC['root']}.html").read_text(), "html.parser")
    styles = [posixpath.normpath(f"book/{link['href']}")
              for link in front.select('link[rel="stylesheet"]')]  # fmt: skip
    links = "".join(f'<link rel="stylesheet" href="{style}">' for style in styles)
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light"><head><meta charset="utf-8">
<title>{html.escape(CONFIG["title"])}</title>{links}<style>{STYLE}</style>
<script>window.MathJax = {{options: {{
  ignoreHtmlClass: "mathjax_ignore", processHtmlClass: "math"}}}};</script>
<script src="_static/mathjax/tex-chtml.js"></script></head>
<body class="bd-content"><main>
<div class="cover"><img src="_static/logo.svg" alt="">
<p class="title">{html.escape(CONFIG["title"])}</p><p>{CONFIG["author"]}</p>
<p><a href="{HOME}">{HOME}</a></p><p>{CONFIG["html"]["extra_footer"]}</p></div>
<div class="contents bd-article"><p>Contents</p>{"".join(contents)}</div>
{"".join(body)}</main></body></html>"""


def printed(browser, whole, target):
    page = browser.new_page()
    page.goto(whole.as_uri())
    page.evaluate("MathJax.startup.promise")
    page.evaluate("Promise.all([...document.images].map(image => image.decode()))")
    page.evaluate("document.fonts.ready")
    page.pdf(path=target, prefer_css_page_size=True, print_background=True,
             display_header_footer=True, header_template="<span></span>",
             footer_template=FOOTER, outline=True, tagged=True)  # fmt: skip
    page.close()


def bookmarks_in(items):
    """All of them, in the order of the document."""
    for item in items:
        yield item
        yield from bookmarks_in(item.children)


def pages_of(pdf):
    """The page on which each chapter begins."""
    places = {page.objgen: number for number, page in enumerate(pdf.pages, 1)}
    with pdf.open_outline() as outline:
        chapters = [chapter for part in outline.root for chapter in part.children]
    numbers = [places[chapter.destination[0].objgen] for chapter in chapters]
    return dict(zip(PAGES, numbers, strict=True))


def finish(pdf, document):
    """Give the bookmarks their names, which chromium runs together."""
    headings = BeautifulSoup(document, "html.parser").find_all(HEADINGS)
    with pdf.open_outline() as outline:
        bookmarks = bookmarks_in(outline.root)
        for bookmark, heading in zip(bookmarks, headings, strict=True):
            bookmark.title = heading.get_text()
    pdf.docinfo["/Author"] = CONFIG["author"]


def write(browser, site, target):
    whole, part, pages = site / "whole.html", target.with_suffix(".part"), None
    try:
        for _ in range(2):
            document = whole_of(site, pages)
            whole.write_text(document)
            printed(browser, whole, part)
            with pikepdf.open(part) as pdf:
                pages = pages_of(pdf)
        with pikepdf.open(part, allow_overwriting_input=True) as pdf:
            finish(pdf, document)
            pdf.save(part, object_stream_mode=pikepdf.ObjectStreamMode.generate)
        part.replace(target)
    finally:
        whole.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        sys.exit("The PDF is printed by chromium, which this machine does not have.")
    options = ["--no-sandbox", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=options)
        write(browser, Path(sys.argv[1]).resolve(), Path(sys.argv[2]))
