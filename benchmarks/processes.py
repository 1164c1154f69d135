"""Processes of their own for what is measured, and the memory that they take.

This module imports nothing large: the peak memory of a process counts for those that it
starts, too, so the one that starts all others must stay small.
"""

import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor


def in_own_process(function, *arguments):
    """Call a function of a module in a new process, and return what it returns."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


def peak_bytes():
    """The largest memory that this process has had so far."""
    import resource  # which Windows lacks: all else here can be imported there

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
