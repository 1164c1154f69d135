"""Settings and fixtures that several test files share."""

import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

from d2lrec import ml1m, read_data_ml100k
from d2lrec.sources import fetch_ml1m

ROOT = Path(__file__).parent.parent

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
    command = ["jupyter-book", "build", "-W", "--keep-going", "--path-output", folder, ROOT]
    done = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:]], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "_build" / "html"


def pytest_collection_modifyitems(items):
    """Skip the page gmf, and say why, where NCF's split of MovieLens 1M cannot be had."""
    cells = [item for item in items if item.path.name == "gmf.ipynb"]
    reason = why_not_gmf() if cells else None
    for cell in cells if reason else []:
        cell.add_marker(pytest.mark.skip(reason=f"the page gmf: {reason}"))


def why_not_gmf():
    try:
        (*_, split), _ = fetch_ml1m(ml1m.parse_ml1m)
    except OSError as error:
        return str(error).splitlines()[0]
    return None if split == "with NCF's negatives" else f"its figures differ when {split}"
