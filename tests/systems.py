"""What only some systems have, so that all other tests run on Windows, too."""

import multiprocessing
import os
from contextlib import contextmanager

import pytest

POSIX = os.name == "posix"
posix_only = pytest.mark.skipif(
    not POSIX, reason="Windows lacks it: fork, modes of files, limits, peaks of memory"
)

# It begins as a copy of this process: what it runs may be a function within a test.
SEPARATE_PROCESS = multiprocessing.get_context("fork" if POSIX else None)


@contextmanager
def small_disk(num_bytes):
    """A disk on which no file grows beyond this; Python ignores the signal."""
    import resource  # which Windows lacks

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
