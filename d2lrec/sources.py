"""Where MovieLens 100K comes from, and how its bytes are known to be the right ones.

Tried in this order: the folder named by the environment variable D2LREC_DATA, the cache,
GroupLens, a byte-identical mirror, and last a package that carries the ratings as an
example, fetched with pip from whatever package index this machine uses. Every file is
compared with its SHA-256 before it is used, so it does not matter which source answers.
"""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import pooch

from .files import write_whole

HTTP_TIMEOUT = 15  # seconds without a byte after which a server is given up
PIP_TIMEOUT = 180  # seconds for a whole pip download
HUGGING_FACE = "https://huggingface.co/datasets/Recommenders/MovieLens/resolve/main"
URLS = {
    "GroupLens": "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
    "its mirror on Hugging Face": f"{HUGGING_FACE}/ml-100k.zip",
}
ZIP_SHA256 = "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229"
WHEEL = "recbole==1.2.1"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
FILES_SHA256 = {
    "u.data": ("06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",),
    "u.item": (
        "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
        "07276912ec2be1cdaf8b8f268b63eec047d20627cbf0b846b7ab0729c3e07cb4",  # made of the wheel
    ),
}


def fetch_ml100k():
    """Find MovieLens 100K: its u.data and u.item as a dict of bytes, and where they were.

    Raises OSError if no source gave the right bytes; the message names each and its reason.
    """
    attempts = {"the folder named by D2LREC_DATA": read_by_hand, "the cache": read_cache}
    attempts |= {name: partial(download_zip, url) for name, url in URLS.items()}
    attempts[f"the package {WHEEL}"] = download_wheel
    failures = []
    for source, attempt in attempts.items():
        try:
            files = attempt()
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            failures.append(f"{source}: {error}")
        else:
            if failures and os.environ.get("D2LREC_DATA"):
                source += f", not from {failures[0]}"
            return files, source
    raise OSError(
        "MovieLens 100K could not be had from any source.\n- " + "\n- ".join(failures) + "\n"
        "To put it in place by hand, unpack ml-100k.zip so that FOLDER/ml-100k/u.data "
        "exists, and set the environment variable D2LREC_DATA=FOLDER."
    )


def read_by_hand():
    """Read the files as a person has put them in place."""
    if not os.environ.get("D2LREC_DATA"):
        raise OSError("the variable is not set")
    return read_folder(Path(os.environ["D2LREC_DATA"], "ml-100k"))


def cache_folder():
    """The folder that keeps the files: pooch's usual place."""
    return Path(pooch.os_cache("d2lrec"), "ml-100k")


def read_cache():
    """Read the files from the cache; if one is damaged, empty it."""
    try:
        return read_folder(cache_folder())
    except ValueError:
        shutil.rmtree(cache_folder(), ignore_errors=True)
        raise


def read_folder(folder):
    """Read u.data and u.item and compare them with their SHA-256: a dict of bytes."""
    files = {name: (folder / name).read_bytes() for name in FILES_SHA256}
    for name, content in files.items():
        found = hashlib.sha256(content).hexdigest()
        if found not in FILES_SHA256[name]:
            raise ValueError(f"{folder / name} has other bytes than it should: SHA-256 {found}")
    return files


def download_zip(url):
    """Download GroupLens's archive and take the files out of it."""
    http = pooch.HTTPDownloader(timeout=HTTP_TIMEOUT)
    with download(url, ZIP_SHA256, http) as archive:
        return cache({name: archive.read(f"ml-100k/{name}") for name in FILES_SHA256})


def download_wheel():
    """Fetch the package with pip; its tables have the lines of u.data, and titles and years."""
    with download(WHEEL, WHEEL_SHA256, pip_download) as archive:
        folder = "recbole/dataset_example/ml-100k/ml-100k"
        ratings = archive.read(f"{folder}.inter").split(b"\n", 1)[1]
        films = archive.read(f"{folder}.item").decode().splitlines()[1:]
    columns = (film.split("\t")[:3] for film in films)
    titles = "".join(f"{item_id}|{title} ({year})\n" for item_id, title, year in columns)
    titles = titles.replace("unkonwn (unkonwn)", "unknown")  # film 267, as in GroupLens's file
    return cache({"u.data": ratings, "u.item": titles.encode("latin-1")})


def download(url, sha256, downloader):
    """Download an archive to a temporary place and open it, if its SHA-256 is the right one."""
    pooch.get_logger().setLevel("WARNING")  # its messages show paths of the reader's machine
    with tempfile.TemporaryDirectory() as folder:
        path = pooch.retrieve(url, f"sha256:{sha256}", "archive", folder, downloader=downloader)
        return zipfile.ZipFile(io.BytesIO(Path(path).read_bytes()))


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


def cache(files):
    """Keep the files for the next run, where the cache can be written, and return them."""
    with suppress(OSError):
        for name, content in files.items():
            write_whole(cache_folder() / name, content)
    return files
