"""How files are found: a folder that the reader names, a cache, and then each source in turn."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path

import pooch

from ..files import write_atomically


def fetch(title, layout, downloads, by_hand, check):
    """Try the folder named by D2LREC_DATA, the cache and then each download.

    Args:
        layout: dict from subfolder to names of files; the first with the right files
            counts.
        downloads: dict from source to a function that gives the files, name to bytes.
        by_hand: how a reader can put the files in place, for the error.
        check: turns the files into what is wanted of them, or raises ValueError.
    Returns what `check` returned, and the name of the source.
    Raises OSError if no source gave the right bytes; the message names each and its
    reason.
    """
    named = os.environ.get("D2LREC_DATA")
    attempts = {
        "the folder named by D2LREC_DATA": partial(read_folder, named, layout, check),
        "the cache": partial(read_folder, cache_folder(), layout, check),
    }
    for source, get_files in downloads.items():
        attempts[source] = partial(check_and_cache, get_files, layout, check)
    failures = []
    for source, attempt in attempts.items():
        try:
            result = attempt()
        except (OSError, ValueError) as error:
            failures.append(f"{source}: {' '.join(str(error).split())[:500]}")
        else:
            return result, source + (
                f", not from {failures[0]}" if named and failures else ""
            )
    raise OSError(
        f"Connect to the network and run this again; or {by_hand}, and set the environment "
        f"variable D2LREC_DATA=FOLDER. No source gave {title}:\n- "
        + "\n- ".join(failures)
    )


def cache_folder():
    """The folder that keeps the files: pooch's usual place."""
    return Path(pooch.os_cache("d2lrec"))


def read_folder(folder, layout, check):
    """Check the files of each subfolder in turn, and return what `check` makes of them."""
    if not folder:
        raise OSError("the variable is not set")
    missing, wrong = [], []
    for subfolder, names in layout.items():
        try:
            return check(
                {name: Path(folder, subfolder, name).read_bytes() for name in names}
            )
        except FileNotFoundError as error:
            missing.append(error.filename)
        except (OSError, ValueError) as error:
            wrong.append(str(error))
    raise OSError("; ".join(wrong) or f"there is no {' and no '.join(missing)}")


def check_and_cache(get_files, layout, check):
    """Download files, check them, and keep them where the cache can be written."""
    files = get_files()
    result = check(files)
    with suppress(OSError):
        for subfolder, names in layout.items():
            for name in set(names) & set(files):
                write_atomically(cache_folder() / subfolder / name, files[name])
    return result
