"""Small tables of ratings and lists of pairs that several test modules draw."""

import pandas as pd
import torch
from hypothesis import strategies as st

NUM_USERS, NUM_ITEMS = 7, 11


@st.composite
def rating_tables(draw, min_size=2):
    """Ratings of distinct pairs in any order, with times that tie now and then."""
    pairs = st.tuples(st.integers(1, NUM_USERS), st.integers(1, NUM_ITEMS))
    pairs = draw(st.lists(pairs, min_size=min_size, max_size=40, unique=True))
    rows = [(*pair, draw(st.integers(1, 5)), draw(st.integers(0, 6))) for pair in pairs]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "timestamp"])


def two_ratings():
    """Two good ratings by one user."""
    return pd.DataFrame(
        {"user_id": 1, "item_id": [1, 2], "rating": [3, 4], "timestamp": [10, 20]}
    )


def tensors(pairs):
    """Users and items, two int64 tensors (n,), of a list of n pairs."""
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
