"""How files are had: the order of the sources, the cache, the network and pip.

Bytes are checked before a file of the cache is written, in one step, so no run believes
what a killed one has left. Of pooch we use the place of the cache only: its downloads
have no limit in bytes or in seconds, and fail where the cache cannot be written.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pooch
import requests  # pooch's own way to the network, so it is there

from ..files import write_atomically

NAMED = "the folder named by D2LREC_DATA"
CACHE = pooch.os_cache("d2lrec")

# Where packets vanish, 100K's two addresses and pip take 7 + 7 + 14 seconds in all.
SILENCE = 7  # seconds until a server must begin to answer, or go on
PIP_SECONDS = 14  # for pip
MOST_SECONDS = 180  # for one file: the largest, NCF's 22 MB, at 1 Mbit a second
MOST_BYTES = 50_000_000  # of one file
PIP = (
    "-m pip download --quiet --no-input --disable-pip-version-check --retries=0 "
    "--timeout=5 --no-deps --only-binary=:all: --dest"
)


def fetch(title, data_sets, parse):
    """Try the folder named by D2LREC_DATA, the cache and then each download.

    Args:
        data_sets: records (see `sources.DataSet`) of which one is enough, best first.
        parse: makes of the files, name to bytes, what is wanted, or raises ValueError.
    Returns what `parse` returned, and the name of the source.
    Raises OSError if no source gave the right bytes, with the reason of each.
    """
    named = os.environ.get("D2LREC_DATA")
    failures = [] if named else [f"{NAMED}: the variable is not set"]
    for source, data_set, get_files, address in attempts(data_sets, named):
        try:
            files = get_files(address, data_set)
            for name, content in files.items():
                checked(name, content, data_set.files[name])
            result = parse(files)
        except (OSError, ValueError) as error:
            failures.append(f"{source}: {' '.join(str(error).split())[:500]}")
            continue
        if source in data_set.downloads:
            write_to_cache(files, data_set)
        if named and source != NAMED:
            source += f", not from {'; '.join(failures[: len(data_sets)])}"
        return result, source
    by_hand = [f"{' and '.join(one.files)} in FOLDER/{one.folder}" for one in data_sets]
    raise OSError(
        f"Connect to the network and run this again; or put {', or '.join(by_hand)}, "
        "and set the environment variable D2LREC_DATA=FOLDER. "
        + "\n- ".join([f"No source gave {title}:", *failures])
    )


def attempts(data_sets, named):
    """Yield, for each source in turn: its name, a record, a function and an address."""
    folders = {NAMED: named, "the cache": CACHE} if named else {"the cache": CACHE}
    for source, folder in folders.items():
        for data_set in data_sets:
            yield source, data_set, read_folder, folder
    for data_set in data_sets:
        for source, (get_files, address) in data_set.downloads.items():
            yield source, data_set, get_files, address


def read_folder(folder, data_set):
    """Read the needed files of a data set from its own folder under `folder`."""
    folder, names = Path(folder, data_set.folder), data_set.needed or data_set.files
    return {name: (folder / name).read_bytes() for name in names}


def write_to_cache(files, data_set):
    """Keep files; where the cache cannot be written, the next run downloads again."""
    with suppress(OSError):
        for name, content in files.items():
            write_atomically(CACHE / data_set.folder / name, content)


def checked(name, content, known):
    """Return bytes, or raise ValueError: too many, or none of the known SHA-256."""
    if len(content) > MOST_BYTES:
        raise ValueError(f"{name} has more than {MOST_BYTES:,} bytes")
    found = hashlib.sha256(content).hexdigest()
    if known and found not in known:
        raise ValueError(f"{name} has other bytes than it should: SHA-256 {found}")
    return content


def download(url):
    """Download a file into memory; of one that is too large, its first bytes.

    Raises OSError where the server fails, is silent for `SILENCE` seconds or takes
    longer than `MOST_SECONDS`.
    """
    as_it_is = {"Accept-Encoding": "identity"}  # nothing is unpacked unchecked
    options = {"headers": as_it_is, "stream": True, "timeout": SILENCE}
    response = within(SILENCE, requests.get, url, **options)
    response.raise_for_status()
    read, one_too_many = response.raw.read, MOST_BYTES + 1
    return within(MOST_SECONDS, read, one_too_many, decode_content=False)


def within(seconds, function, *args, **options):
    """Call a function in a thread, so that it cannot keep us waiting.

    Raises OSError if it takes longer, and for any error: a server may answer anything.
    """
    result = Future()

    def call():
        try:
            result.set_result(function(*args, **options))
        except Exception as error:
            result.set_exception(OSError(str(error)))

    Thread(target=call, daemon=True).start()
    try:
        return result.result(seconds)
    except TimeoutError:
        raise TimeoutError(f"it took more than {seconds} seconds") from None


def pip_download(requirement):
    """Fetch a wheel from the package index that pip uses here; raises OSError."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *PIP.split(), folder, requirement]
        inside = os.environ | {"TMPDIR": folder}  # cleared also where pip is ended
        options = {"env": inside, "timeout": PIP_SECONDS, "capture_output": True}
        done = within(PIP_SECONDS + 1, subprocess.run, command, **options)
        if done.returncode:
            raise OSError(f"pip failed: {done.stderr.decode(errors='replace')}")
        [wheel] = Path(folder).glob("*.whl")
        return wheel.read_bytes()
