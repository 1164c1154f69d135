"""Settings and fixtures that several test files share."""

import hypothesis
import pytest

from d2lrec import ml1m, read_data_ml100k
from d2lrec.sources import fetch_ml1m

# No test is timed; a busy machine may be slow.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def ml100k():
    """(data, num_users, num_items) of the real MovieLens 100K, from whichever source answers."""
    return read_data_ml100k()


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
