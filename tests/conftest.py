"""Fixtures that several test files share."""

import pytest

from d2lrec import read_data_ml100k


@pytest.fixture(scope="session")
def ml100k():
    """(data, num_users, num_items) of the real MovieLens 100K, from whichever source answers."""
    return read_data_ml100k()
