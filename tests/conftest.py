"""Settings and fixtures that several test files share."""

import hypothesis
import pytest

from d2lrec import read_data_ml100k

# No test is timed; a busy machine may be slow.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def ml100k():
    """(data, num_users, num_items) of the real MovieLens 100K, from whichever source answers."""
    return read_data_ml100k()
