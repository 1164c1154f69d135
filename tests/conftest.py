"""What test files share: data, the rendered book, a browser; which tests come first."""

import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import hypothesis
import pytest
from pages import ROOT, load, minutes_of
from xdist.scheduler import LoadFileScheduling

from d2lrec import read_data_ml100k
from d2lrec.data import ncf
from d2lrec.data.sources import fetch_ml1m

NEED_ML1M = ("gmf", "dot-product", "fast")
# They look at the rendered book, which one worker builds.
ABOUT_THE_SITE = tuple(
    f"tests/test_{name}.py"
    for name in ("build", "site", "slides", "try_it", "rank", "front_page", "languages")
)

# No test is timed; a busy machine may be slow.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def ml100k():
    """(data, num_users, num_items) of MovieLens 100K, from whichever source answers."""
    return read_data_ml100k()


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the rendered book, built clean with warnings as errors."""
    folder = tmp_path_factory.mktemp("book")
    program = Path(sys.executable).with_name("jupyter-book")
    options = ["-W", "--keep-going", "--path-output", folder]
    done = subprocess.run(
        [program, "build", *options, ROOT], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    site = folder / "_build" / "html"
    load(ROOT / "book/slides.py").write(site / "slides")
    load(ROOT / "book/pack.py").pack(site / "notebooks.zip")
    return site


@pytest.fixture(scope="module")
def browser():
    """A headless chromium; tests that need it are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("there is no chromium on this machine")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=found, args=options)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def opened(browser, site):
    """Opens a page of the book from its file, as a context; the network is off.

    The page notes in `asked` what it asked for, in `outside` what of this lies
    elsewhere, and in `complaints` what the browser complained of.
    """

    @contextmanager
    def opened(name, query="", **options):
        context = browser.new_context(**options)
        page = context.new_page()
        page.outside, page.complaints, page.asked = [], [], []

        def only_files(route):
            page.asked.append(route.request.url)
            if route.request.url.startswith("file:"):
                return route.continue_()
            page.outside.append(route.request.url)
            return route.abort()

        def note(message):
            if message.type in ("error", "warning"):
                page.complaints.append(message.text)

        page.route("**/*", only_files)
        page.on("requestfailed", lambda request: page.complaints.append(request.url))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("console", note)
        page.goto((site / f"{name}.html").as_uri() + query)
        if options.get("java_script_enabled", True):
            page.evaluate("setFormulas()")  # those out of sight would come later
            page.wait_for_function(
                "!document.querySelector('.math:not(:has(mjx-container))')"
            )
        yield page
        context.close()

    return opened


@pytest.fixture
def visit(opened):
    """Opens a page of the book until the test has ended."""
    with ExitStack() as until_then:
        yield lambda *name, **options: until_then.enter_context(
            opened(*name, **options)
        )


@pytest.fixture
def skip_without_ml1m():
    """Skips the test of a page that needs MovieLens 1M, where there is none."""

    def skip(page):
        if page in NEED_ML1M and (reason := why_no_ml1m()):
            pytest.skip(f"the page {page}: {reason}")

    return skip


@cache
def why_no_ml1m():
    try:
        (*_, split), _ = fetch_ml1m(ncf.parse_ml1m)
    except OSError as error:
        return str(error).splitlines()[0]
    return (
        None if split == "with NCF's negatives" else f"its figures differ when {split}"
    )


def pytest_collection_modifyitems(items):
    """Mark tests, skip pages without their data, and let the longest files start."""
    for item in items:
        if file_of(item.nodeid) in ABOUT_THE_SITE:
            item.add_marker("site")
    cells = [item for item in items if item.path.stem in NEED_ML1M]
    reason = why_no_ml1m() if cells else None
    for cell in cells if reason else []:
        cell.add_marker(pytest.mark.skip(reason=f"the page {cell.path.stem}: {reason}"))
    items.sort(key=minutes_about, reverse=True)


def file_of(nodeid):
    return nodeid.partition("::")[0]


def minutes_about(item):
    """How long the file of a test takes, roughly: a notebook says so itself."""
    if item.path.suffix == ".ipynb":
        return minutes_of(item.path)
    return 3 if set(item.keywords) & {"site", "colab"} else 0


class OneWorkerForTheSite(LoadFileScheduling):
    """Each file goes to one worker, and all that look at the site go to the same."""

    def _split_scope(self, nodeid):
        file = file_of(nodeid)
        return "the site" if file in ABOUT_THE_SITE else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return OneWorkerForTheSite(config, log)


def pytest_terminal_summary(terminalreporter, config):
    """After a run with a report: the minutes by kind and by page."""
    if report := config.option.xmlpath:  # which is written by now
        terminalreporter.section("minutes")
        terminalreporter.write_line(
            load(ROOT / "benchmarks/minutes.py").tables([report])
        )
