"""Where MovieLens comes from: a record for each form in which it is published.

`fetch` tries the folder named by the environment variable D2LREC_DATA, then the cache,
then the downloads of a record in their order. What they give is checked before it is
used, by its SHA-256 or its content, so it does not matter which one answers.
"""

import io
import zipfile
from typing import NamedTuple

from .download import checked, download, fetch, pip_download


class DataSet(NamedTuple):
    """What must be known of a data set to find its files and to believe them."""

    folder: str  # where they lie in D2LREC_DATA, in the cache and in the archive
    files: dict  # from a name to each SHA-256 that is right; none is known of some
    downloads: dict  # from a source to a function and the address that it is given
    archive_sha256: str = ""  # of GroupLens's archive
    needed: tuple = ()  # the files that must lie in a folder, if not all


def download_files(url, data_set):
    """Download the files of a data set one by one."""
    return {name: download(f"{url}/{name}") for name in data_set.files}


def download_archive(url, data_set):
    """Download GroupLens's archive of a data set and take the files out of it."""
    folder, known = data_set.folder, [data_set.archive_sha256]
    content = checked(f"{folder}.zip", download(f"{url}/{folder}.zip"), known)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(f"{folder}/{name}") for name in data_set.files}


def download_package(requirement, data_set):
    """Fetch a package that carries MovieLens 100K as an example, and make its files.

    Its tables have the lines of u.data and u.user, below a header, and of each film the
    title, the year and the genres.
    """
    content = checked(requirement, pip_download(requirement), [PACKAGE_SHA256])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        table = "recbole/dataset_example/ml-100k/ml-100k"
        ratings, users, films = [
            archive.read(f"{table}.{kind}").split(b"\n", 1)[1]
            for kind in ("inter", "user", "item")
        ]
    lines = [film_line(*line.split("\t")) for line in films.decode().splitlines()]
    films = "".join(lines).replace("unkonwn (unkonwn)", "unknown").encode("latin-1")
    users = users.replace(b"\t", b"|")
    return {"u.data": ratings, "u.item": films, "u.user": users}


def film_line(item_id, title, year, genres):
    """Make a line of u.item; the date and the address of the film are left empty."""
    flags = [str(int(genre in genres.split())) for genre in GENRES]
    return "|".join([item_id, f"{title} ({year})", "", "", "", *flags]) + "\n"


# GroupLens's certificate ran out in 2024, 2025 and 2026, so there is a second address.
GROUPLENS = "https://files.grouplens.org/datasets/movielens"
MIRROR = "https://huggingface.co/datasets/Recommenders/MovieLens/resolve/main"
ARCHIVES = {
    "GroupLens": (download_archive, GROUPLENS),
    "its mirror on Hugging Face": (download_archive, MIRROR),
}
PACKAGE = "recbole==1.2.1"
PACKAGE_SHA256 = "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407"
GITHUB = "https://raw.githubusercontent.com"
NCF_URL = f"{GITHUB}/hexiangnan/neural_collaborative_filtering/master/Data"

GENRES = [  # in the order of the columns of u.item
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime",
    "Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery",
    "Romance", "Sci-Fi", "Thriller", "War", "Western",
]  # fmt: skip
ML100K = DataSet(
    folder="ml-100k",
    files={
        "u.data": ("06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",),
        "u.item": (  # as in the archive, and as made of the package
            "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
            "7698249c0dabca2a0600405079b8f79ea3543313e8c309d13e08b68af34fe12e",
        ),
        "u.user": ("f120e114da2e8cf314fd28f99417c94ae9ddf1cb6db8ce0e4b5995d40e90e62c",),
    },
    archive_sha256="50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    downloads=ARCHIVES | {f"the package {PACKAGE}": (download_package, PACKAGE)},
)
NCF = DataSet(
    folder="ncf",
    files={
        "ml-1m.train.rating": (),  # known by its pairs, as it is passed on in two forms
        "ml-1m.test.negative": (
            "127853228a76b7d21c0481e8ef8d00dd009cd5c88670dbdd9e9debfdb9f93de4",
        ),
    },
    downloads={"NCF's own files": (download_files, NCF_URL)},
)
ML1M = DataSet(
    folder="ml-1m",
    files={"ratings.dat": ()},  # known by its archive, or by its counts
    archive_sha256="a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    downloads=ARCHIVES,
)


def fetch_ml100k(*needed):
    """Find MovieLens 100K: a dict from the names of its files to bytes, and the source.

    `needed` are the names of the files that must be there: u.data, u.item, u.user. A
    download keeps them all. Raises OSError if no source gave the right bytes; the
    message names each and its reason.
    """
    return fetch("MovieLens 100K", [ML100K._replace(needed=needed)], parse=dict)


def fetch_ml1m(parse):
    """Find MovieLens 1M: what `parse` makes of its files, and the source.

    `parse` is given a dict of bytes, NCF's files or ratings.dat; if it raises
    ValueError, the next source is tried. Raises OSError as `fetch_ml100k` does.
    """
    return fetch("MovieLens 1M", [NCF, ML1M], parse)
