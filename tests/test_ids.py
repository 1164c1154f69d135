"""A reader's own ids: every film keeps its title, whatever its id and its row."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from d2lrec import MF, IdMap, load_checkpoint, load_ids, recommend, save_checkpoint

RATINGS = pd.DataFrame(
    {
        "user_id": ["b", "a", "c", "a"],
        "item_id": [30, 10, 10, 999],
        "rating": [3.5, 1, 2, 4],
    },
    index=[9, 8, 7, 6],
)
FILMS = pd.DataFrame(
    {"item_id": [999, 5, 10, 30], "title": ["Zorro", "Unrated", "Alien", "M"]}
)


@pytest.fixture
def ids():
    return IdMap(RATINGS.user_id, RATINGS.item_id)


def test_rows_are_the_sorted_ids(ids):
    assert (ids.num_users, ids.num_items) == (3, 3)
    assert [ids.user(name) for name in "abc"] == [0, 1, 2]
    assert [ids.item(number) for number in (10, 30, 999)] == [0, 1, 2]
    assert ids.user_ids.tolist() == ["a", "b", "c"]
    assert type(ids.item(np.int64(30))) is int


def test_a_table_is_numbered_from_1_and_keeps_all_else(ids):
    expected = RATINGS.assign(user_id=[2, 1, 3, 1], item_id=[2, 1, 1, 3])
    pd.testing.assert_frame_equal(ids.number(RATINGS), expected)


def test_films_are_ordered_as_the_rows_are(ids):
    films = ids.order(FILMS)
    assert films.title.tolist() == ["Alien", "M", "Zorro"]
    assert films.item_id.tolist() == [1, 2, 3]
    assert films.index.tolist() == [10, 30, 999]
    without_m = ids.order(FILMS[:3])
    assert without_m.title.fillna("missing").tolist() == ["Alien", "missing", "Zorro"]


IDS = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1) | st.lists(
    st.text(), min_size=1
)


@given(IDS, IDS, st.randoms())
def test_every_id_comes_back_and_every_film_has_its_own_title(
    user_ids, item_ids, random
):
    ids = IdMap(user_ids, item_ids)
    assert [ids.user_ids[ids.user(user)] for user in user_ids] == user_ids
    films = pd.DataFrame({"item_id": [*set(item_ids)]}, dtype="object").sample(
        frac=1, random_state=random.randrange(2**32)
    )
    films["title"] = [f"title of {item!r}" for item in films.item_id]
    ordered = ids.order(films)
    for item in item_ids:
        assert ordered.title.iloc[ids.item(item)] == f"title of {item!r}"
    numbered = ids.number(
        pd.DataFrame({"user_id": user_ids[:1], "item_id": item_ids[:1]})
    )
    assert numbered.item_id[0] == ids.item(item_ids[0]) + 1
    again = IdMap(**ids.state_dict())
    assert again.state_dict() == ids.state_dict()


@pytest.mark.parametrize(
    ("user_ids", "known"),
    [
        (pd.array([2, 1, 2], dtype="Int64"), [1, 2]),
        (np.array([7, 3], dtype="uint8"), [3, 7]),
        ([3.0, 1.0], [1, 3]),
        (torch.tensor([3, 1]), [1, 3]),
        (pd.Series(["x", "y", "x"], dtype="string", index=[5, 5, 5]), ["x", "y"]),
        (pd.Categorical(["b", "a"], categories=["b", "a", "c"]), ["a", "b"]),
        (["10", "9"], ["10", "9"]),
    ],
    ids=["nullable", "uint8", "floats", "tensor", "strings", "categories", "digits"],
)
def test_ids_of_many_types_are_read(user_ids, known):
    assert IdMap(user_ids, [1]).state_dict() == {"user_ids": known, "item_ids": [1]}


@pytest.mark.parametrize(
    ("item_ids", "reason"),
    [
        ([], "there is no item_id at all"),
        ([1, None], "item_id must be an integer or a string, got nan in row 1"),
        (["a", None], "must be an integer or a string, got (None|nan) in row 1"),
        (pd.array([None, 1], dtype="Int64"), "or a string, got <NA> in row 0"),
        ([np.nan, 1.0], "or a string, got nan in row 0"),
        ([1, 2.5], "item_id must be an integer of 64 bits, got 2.5 in row 1"),
        ([np.inf], "an integer of 64 bits, got inf in row 0"),
        ([1, "a"], "all integers or all strings, not mixed-integer"),
        ([2**63], "an integer of 64 bits, got 9223372036854775808 in"),
        ([1e300], r"an integer of 64 bits, got 1e\+300 in row 0"),
        ([True, False], "all integers or all strings, not boolean"),
        (pd.to_datetime(["2020-01-01"]), "all integers or all strings, not datetime64"),
        ([[1, 2], [3, 4]], "all integers or all strings, not mixed"),
    ],
)
def test_what_is_no_id_is_refused(item_ids, reason):
    with pytest.raises(ValueError, match=reason):
        IdMap([1], item_ids)


@pytest.mark.parametrize("item_id", [5, "10", 10.5, None, [10]])
def test_an_unknown_item_is_refused(ids, item_id):
    with pytest.raises(ValueError, match="item_id"):
        ids.item(item_id)
    with pytest.raises(ValueError, match="item_id"):
        ids.number(RATINGS.assign(item_id=[30, 10, 10, item_id]))


@pytest.mark.parametrize(
    ("films", "reason"),
    [
        (
            FILMS.assign(item_id=["999", "5", "10", "30"]),
            "films has no known item: numbers here, strings there",
        ),
        (FILMS[:0], "films has no known item"),
        (pd.concat([FILMS, FILMS]), "item_id must be in one row only, got 999"),
        (
            FILMS.rename(columns={"item_id": "movieId"}),
            r"with \['item_id'\] once, got \['movieId",
        ),
        (
            FILMS.assign(item_id=[999, 5, 10, None]),
            "item_id must be an integer or a string, got nan in row 3",
        ),
    ],
)
def test_films_that_cannot_be_matched_are_refused(ids, films, reason):
    with pytest.raises(ValueError, match=reason):
        ids.order(films)


def test_the_ids_are_kept_with_the_checkpoint(ids, tmp_path):
    """Session one saves, session two has the file alone; each film keeps its title."""
    model = MF(2, ids.num_users, ids.num_items)
    with torch.no_grad():
        model.item_bias.weight[:, 0] = torch.tensor([0.0, 2.0, 1.0])  # 10, 30, 999
    save_checkpoint(model, tmp_path / "own.pt", ids)
    again = load_ids(tmp_path / "own.pt")
    assert again.state_dict() == ids.state_dict()
    loaded = MF(2, again.num_users, again.num_items)
    load_checkpoint(loaded, tmp_path / "own.pt")
    for films in (FILMS, FILMS.sort_values("title"), FILMS[::-1]):
        best = recommend(
            loaded, again.user("c"), again.order(films), seen=[again.item(10)]
        )
        assert best.title.tolist() == ["M", "Zorro"]
        assert best.index.tolist() == [30, 999]


def test_a_checkpoint_without_ids_has_none(tmp_path):
    save_checkpoint(MF(2, 3, 3), tmp_path / "own.pt")
    with pytest.raises(
        ValueError, match=r"own\.pt has no ids: give them to save_checkpoint"
    ):
        load_ids(tmp_path / "own.pt")


def test_ids_of_another_model_are_refused(ids, tmp_path):
    with pytest.raises(ValueError, match="3 users and 3 items"):
        save_checkpoint(MF(2, 3, 4), tmp_path / "own.pt", ids)
    with pytest.raises(ValueError, match="0 users and 0 items in its tables P and Q"):
        save_checkpoint(torch.nn.Linear(2, 2), tmp_path / "own.pt", ids)
    assert not list(tmp_path.iterdir())
