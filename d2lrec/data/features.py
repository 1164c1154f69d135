"""Who the users are and what the films are, as columns of 0 and 1."""

import io

import pandas as pd
import torch

from .sources import GENRES, fetch_ml100k
from .tables import refuse


def read_users_ml100k():
    """Read who the users are (raises OSError as `read_data_ml100k` does).

    Returns a DataFrame whose row number is the user's index in a model (0...942), with
    the columns user_id (1...943), age (int64, years), gender ("F" or "M") and
    occupation (str, one of 21).
    """
    files, _ = fetch_ml100k("u.user")
    names = ["user_id", "age", "gender", "occupation"]
    text = io.BytesIO(files["u.user"])
    return pd.read_csv(text, sep="|", names=names, usecols=range(4))


def read_genres_ml100k():
    """Read the films' genres (raises OSError as `read_data_ml100k` does).

    Returns a DataFrame of bool whose row number is the film's index in a model
    (0...1681), with a column for each of the 19 genres, of which "unknown" is one.
    """
    files, _ = fetch_ml100k("u.item")
    text = io.StringIO(files["u.item"].decode("latin-1"))
    flags = pd.read_csv(text, sep="|", header=None, usecols=range(5, 24))
    return flags.set_axis(GENRES, axis="columns").astype(bool)


def one_hot(values, known):
    """Give each value a 1 in its own column: float32 (n, len(known)), else 0.

    Takes n values, such as a column of a table, and the known ones, each once. Raises
    ValueError for a value that is not known, and for a known one that is there twice.
    """
    values, known = pd.Series(values), pd.Index(known)
    if not known.is_unique:
        raise ValueError(f"each known value must be there once, got {known.tolist()}")
    columns = known.get_indexer(values)  # (n,)
    named = values.rename(values.name or "a value")
    refuse(named, columns < 0, f"one of {known.tolist()}")
    return torch.eye(len(known))[columns]
