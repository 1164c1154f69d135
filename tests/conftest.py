"""Settings and fixtures that several test files share."""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import hypothesis
import pytest
from playwright.sync_api import sync_playwright

from d2lrec import read_data_ml100k
from d2lrec.data import ncf
from d2lrec.data.sources import fetch_ml1m

ROOT = Path(__file__).parent.parent
NEED_ML1M = ("gmf", "fast")

# No test is timed; a busy machine may be slow.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def ml100k():
    """(data, num_users, num_items) of the real MovieLens 100K, from whichever source answers."""
    return read_data_ml100k()


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the rendered book, built clean with warnings as errors."""
    folder = tmp_path_factory.mktemp("book")
    command = [
        "jupyter-book",
        "build",
        "-W",
        "--keep-going",
        "--path-output",
        folder,
        ROOT,
    ]
    done = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:]],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "_build" / "html"


@pytest.fixture(scope="module")
def browser():
    """A headless chromium; tests that need it are skipped where there is none."""
    names = ("chromium", "chromium-browser", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip("there is no chromium on this machine")
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=options)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, site):
    """Open a page of the book from its file; notes what it asks for elsewhere and complains of."""
    contexts = []

    def visit(name, query="", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.outside, page.complaints, page.asked = [], [], []

        def only_files(route):
            page.asked.append(route.request.url)
            if route.request.url.startswith("file:"):
                return route.continue_()
            page.outside.append(route.request.url)
            return route.abort()

        page.route("**/*", only_files)
        page.on("requestfailed", lambda request: page.complaints.append(request.url))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                said.type in ("error", "warning") and page.complaints.append(said.text)
            ),
        )
        page.goto((site / f"{name}.html").as_uri() + query)
        if options.get("java_script_enabled", True):
            page.wait_for_function(
                "!document.querySelector('.math:not(:has(mjx-container))')"
            )
        return page

    yield visit
    for context in contexts:
        context.close()


def pytest_collection_modifyitems(items):
    """Skip two pages, and say why, where NCF's split of MovieLens 1M cannot be had."""
    cells = [item for item in items if item.path.stem in NEED_ML1M]
    reason = why_no_ml1m() if cells else None
    for cell in cells if reason else []:
        cell.add_marker(pytest.mark.skip(reason=f"the page {cell.path.stem}: {reason}"))


@pytest.fixture
def skip_without_ml1m():
    """A function that skips the test of a page that needs MovieLens 1M, where there is none."""

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
