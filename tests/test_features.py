"""Who the users are and what the films are, from every source."""

import numpy as np
import pandas as pd
import pytest
import torch

from d2lrec import (
    one_hot,
    read_data_ml100k,
    read_films_ml100k,
    read_genres_ml100k,
    read_users_ml100k,
)
from d2lrec.data import download, sources


def test_users_of_movielens():
    users = read_users_ml100k()
    assert users.user_id.tolist() == list(range(1, 944))
    first = {"user_id": 1, "age": 24, "gender": "M", "occupation": "technician"}
    assert users.loc[0].to_dict() == first
    assert users.gender.value_counts().to_dict() == {"M": 670, "F": 273}
    assert users.occupation.nunique() == 21
    assert users.age.between(7, 73).all()


def test_genres_of_movielens():
    genres, films = read_genres_ml100k(), read_films_ml100k()
    assert genres.shape == (1682, 19)
    assert set(genres.dtypes) == {np.dtype(bool)}
    of = {title: set(genres.columns[row]) for title, row in zip(
        films.title, genres.to_numpy(), strict=True)}  # fmt: skip
    assert of["Toy Story"] == {"Animation", "Children's", "Comedy"}
    assert of["Star Wars"] == {"Action", "Adventure", "Romance", "Sci-Fi", "War"}
    assert of["unknown"] == {"unknown"}
    assert genres.any(axis="columns").all()
    assert genres.sum()[["Drama", "Fantasy"]].tolist() == [725, 22]


def test_the_package_of_an_index_has_the_same_users_and_genres(monkeypatch, tmp_path):
    """Its tables are other files: GroupLens's archive and the package must agree."""
    expected = read_users_ml100k(), read_genres_ml100k(), read_films_ml100k()
    monkeypatch.delenv("D2LREC_DATA", raising=False)
    monkeypatch.setattr(download, "CACHE", tmp_path)
    monkeypatch.setattr(download, "PIP_SECONDS", 60)
    package = {"the package": (sources.download_package, sources.PACKAGE)}
    record = sources.ML100K._replace(downloads=package)
    monkeypatch.setattr(sources, "ML100K", record)
    found = read_users_ml100k(), read_genres_ml100k(), read_films_ml100k()
    for table, same in zip(expected, found, strict=True):
        pd.testing.assert_frame_equal(table, same)


def test_a_folder_without_users_still_gives_ratings(monkeypatch, tmp_path, capsys):
    """Who has put u.data and u.item in place by hand needs no more for ratings."""
    files, _ = sources.fetch_ml100k()
    (tmp_path / "ml-100k").mkdir()
    for name in ("u.data", "u.item"):
        (tmp_path / "ml-100k" / name).write_bytes(files[name])
    monkeypatch.setenv("D2LREC_DATA", str(tmp_path))
    monkeypatch.setattr(download, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(sources, "ML100K", sources.ML100K._replace(downloads={}))
    read_data_ml100k()
    assert "folder named by D2LREC_DATA" in capsys.readouterr().out
    assert len(read_films_ml100k()) == len(read_genres_ml100k()) == 1682
    with pytest.raises(OSError, match=r"(?s)put u.data and u.item and u.user in .*"
                       r"the folder named by D2LREC_DATA: .*u\.user"):  # fmt: skip
        read_users_ml100k()


def test_one_hot():
    X = one_hot(["b", "a", "b"], ["a", "b", "c"])
    assert X.dtype == torch.float32
    assert X.tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0]]
    assert one_hot([], ["a"]).shape == (0, 1)
    with_index = one_hot(pd.Series([3, 1], index=[7, 7]), range(1, 4))
    assert with_index.argmax(dim=1).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("values", "known", "said"),
    [
        (pd.Series(["doctor", "astronaut"], name="occupation"), ["artist", "doctor"],
         r"occupation must be one of \['artist', 'doctor'\], got 'astronaut' in row 1"),
        (["x"], ["a"], "a value must be one of"),
        ([None], ["a"], "got None in row 0"),
        ([float("nan")], [1, 2], "got nan in row 0"),
        (["a"], ["a", "b", "a"], "each known value must be there once"),
    ],
)  # fmt: skip
def test_an_unknown_value_is_refused(values, known, said):
    with pytest.raises(ValueError, match=said):
        one_hot(values, known)
