"""Tables of ratings in readers' own forms: the right numbers, or an error by name."""

import datetime
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2lrec import load_data_ml100k, split_data_ml100k
from d2lrec.data.tables import plain_ratings, plain_times

NUM_USERS, NUM_ITEMS = 4, 5
COLUMNS = ["user_id", "item_id", "rating", "timestamp"]


def ratings_of(**columns):
    """Three good ratings with row labels of their own, some columns replaced."""
    good = {
        "user_id": [1, 1, 2],
        "item_id": [1, 2, 2],
        "rating": [3, 4, 5],
        "timestamp": [10, 20, 5],
    }
    return pd.DataFrame(good, index=["a", "b", "c"]).assign(
        **{
            name: pd.Series(value, index=["a", "b", "c"])
            for name, value in columns.items()
        }
    )


def number_of(cell):
    """The reference: the number that a cell plainly is, or None."""
    if isinstance(cell, bool | np.bool_):
        return None
    if isinstance(cell, str):
        if re.fullmatch(r"\s*[+-]?\d+\s*", cell):
            return int(cell)
        written = re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", cell)
        return float(cell) if written else None
    if isinstance(cell, int | float | np.integer | np.floating):
        return cell if math.isfinite(cell) else None
    return None


def date_of(cell):
    """The reference: the time that a cell plainly is, or None."""
    if isinstance(cell, str):
        try:
            cell = datetime.datetime.fromisoformat(cell)
        except ValueError:
            return None
    if cell is pd.NaT or not isinstance(cell, datetime.date):
        return None
    if not isinstance(cell, datetime.datetime):
        cell = datetime.datetime.combine(cell, datetime.time())
    return cell


def reference(table):
    """The columns of a table by plain Python, or None if it must be refused."""
    columns = [
        [number_of(cell) for cell in table[name].tolist()] for name in COLUMNS[:3]
    ]
    if not len(table) or any(None in column for column in columns):
        return None
    for column, count in zip(columns, (NUM_USERS, NUM_ITEMS), strict=False):
        if any(number != int(number) or not 1 <= number <= count for number in column):
            return None
    pairs = list(zip(*columns[:2], strict=True))
    return columns if len(set(pairs)) == len(pairs) else None


def latest_rows(users, times):
    """Rows of each user's latest rating by plain Python, or None without times."""
    cells = [number_of(cell) for cell in times]
    if all(cell is None for cell in cells):
        cells = [date_of(cell) for cell in times]
    if None in cells or len({getattr(cell, "tzinfo", None) for cell in cells}) > 1:
        return None
    latest = {}
    for row, (user, time) in enumerate(zip(users, cells, strict=True)):
        if user not in latest or cells[latest[user]] < time:
            latest[user] = row
    return sorted(latest.values())


WRONG = [
    None,
    math.nan,
    pd.NA,
    True,
    "",
    "x",
    "3,5",
    "1 2",
    math.inf,
    2.5,
    0,
    -1,
    9,
    "1.5",
    datetime.date(2020, 1, 1),
]
DATES = [
    "2020-01-02",
    "2020-01-02 10:00",
    "1999-12-31 23:59:59.5",
    "2020-01-02T10:00:00.25",
    datetime.date(2020, 1, 2),
    datetime.datetime(2020, 1, 2, 9),
    pd.Timestamp("2021-05-05"),
]
# Not beside those without one, where pandas before 3 reads the zone into the next row.
ZONED = [
    "2020-01-02T10:00:00+02:00",
    "2020-01-02 09:59+02:00",
    "2019-12-31T23:00+02:00",
]
NO_DATES = [None, pd.NaT, "01/02/2020", "soon", "", 5, True]


def spelled(number):
    """The forms in which a table may have a number."""
    forms = [number, float(number), np.int8(number), np.float32(number), str(number)]
    return st.sampled_from([*forms, f" {number} ", f"{number}.0", f"+{number}"])


@st.composite
def columns_of(draw, cells):
    """Cells as a Series of one of the dtypes that hold them."""
    dtype = draw(
        st.sampled_from(
            [None, object, "category", "string", "Int64", "float64", "uint8"]
        )
    )
    try:
        return pd.Series(cells, dtype=dtype)
    except (TypeError, ValueError, OverflowError):
        return pd.Series(cells, dtype=object)


@st.composite
def tables(draw):
    """A table with a cell that is wrong now and then, or a pair that comes twice."""
    rows = draw(st.integers(1, 6))
    unique = draw(st.integers(0, 4)) > 0
    pair = st.tuples(st.integers(1, NUM_USERS), st.integers(1, NUM_ITEMS))
    pairs = draw(st.lists(pair, min_size=rows, max_size=rows, unique=unique))
    ratings = draw(
        st.lists(st.sampled_from([0, 1, 3, 5]), min_size=rows, max_size=rows)
    )
    numbers = [*map(list, zip(*pairs, strict=True)), ratings]
    in_one_form = draw(st.booleans())
    columns = [
        draw(
            st.just(column)
            if in_one_form
            else st.tuples(*map(spelled, column)).map(list)
        )
        for column in numbers
    ]
    numbers = [0, 1, 2, 3.5, "2"], [0, 2**62, 2**62 + 1]
    clocks = draw(st.sampled_from([DATES, DATES[:4], ZONED, *numbers]))
    columns.append(
        draw(st.lists(st.sampled_from(clocks), min_size=rows, max_size=rows))
    )
    if draw(st.integers(0, 2)) == 0:
        wrong, column = draw(st.integers(0, rows - 1)), draw(st.integers(0, 3))
        columns[column][wrong] = draw(
            st.sampled_from(WRONG if column < 3 else NO_DATES)
        )
    columns = [draw(columns_of(column)) for column in columns]
    table = pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
    return table.set_axis(draw(st.permutations(range(rows))))


@settings(max_examples=400)
@given(tables())
def test_any_table_is_read_as_plain_python_reads_it_or_refused(table):
    before, expected = table.copy(), reference(table)
    if expected is None:
        for function in (split_data_ml100k, load_data_ml100k):
            with pytest.raises(ValueError, match=r"must be|more than once"):
                function(table, NUM_USERS, NUM_ITEMS)
        return
    users, items, ratings, inter = load_data_ml100k(table, NUM_USERS, NUM_ITEMS)
    assert users.tolist() == [user - 1 for user in expected[0]]
    assert items.tolist() == [item - 1 for item in expected[1]]
    assert ratings.tolist() == expected[2]
    assert inter.to_dense()[items, users].tolist() == expected[2]
    latest = latest_rows(expected[0], table.timestamp.tolist())
    if latest is None:
        with pytest.raises(
            ValueError, match=r"timestamp must be a number|[Mm]ixed timezones"
        ):
            split_data_ml100k(table, NUM_USERS, NUM_ITEMS, "seq-aware")
    elif len(latest) == len(table):
        with pytest.raises(ValueError, match=r"an empty part"):
            split_data_ml100k(table, NUM_USERS, NUM_ITEMS, "seq-aware")
    else:
        parts = split_data_ml100k(table, NUM_USERS, NUM_ITEMS, "seq-aware")
        pd.testing.assert_frame_equal(parts[1], table.iloc[latest])
        pd.testing.assert_frame_equal(pd.concat(parts).loc[table.index], table)
    pd.testing.assert_frame_equal(table, before)


IN_FORMS = {
    "strings": lambda s: s.astype(str),
    "strings with blanks and zeros": lambda s: " 0" + s.astype(str) + ".0 ",
    "objects": lambda s: s.astype(object),
    "floats": lambda s: s.astype("float64"),
    "half floats": lambda s: s.astype("float16"),
    "int8": lambda s: s.astype("int8"),
    "uint32": lambda s: s.astype("uint32"),
    "nullable": lambda s: s.astype("Int64"),
    "nullable unsigned": lambda s: s.astype("UInt16"),
    "nullable floats": lambda s: s.astype("Float64"),
    "string dtype": lambda s: s.astype("string"),
    "categories": lambda s: s.astype("category"),
    "categories of strings": lambda s: s.astype(str).astype("category"),
    "sparse": lambda s: s.astype(pd.SparseDtype("int64", 1)),
}


@pytest.mark.parametrize("form", IN_FORMS.values(), ids=IN_FORMS)
@pytest.mark.parametrize("column", COLUMNS)
def test_numbers_may_have_any_plain_form(column, form):
    table = ratings_of()
    table[column] = form(table[column])
    users, items, ratings, _ = load_data_ml100k(table, NUM_USERS, NUM_ITEMS)
    assert (users.tolist(), items.tolist(), ratings.tolist()) == (
        [0, 0, 1],
        [0, 1, 1],
        [3, 4, 5],
    )
    train_data, test_data = split_data_ml100k(table, NUM_USERS, NUM_ITEMS, "seq-aware")
    assert (train_data.index.tolist(), test_data.index.tolist()) == (["a"], ["b", "c"])
    assert test_data[column].dtype == table[column].dtype


def test_half_stars_in_strings_are_ratings():
    table = ratings_of(rating=["3.5", "0.5", "5"])
    assert load_data_ml100k(table, NUM_USERS, NUM_ITEMS)[2].tolist() == [3.5, 0.5, 5]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("user_id", 0, "user_id must be from 1 to 4 .*IdMap.*, got 0 in row 'b'"),
        ("user_id", 5, "user_id must be .* got 5 in row 'b'"),
        ("user_id", 2**63, "user_id must be .* got 9223372036854775808 in row 'b'"),
        ("user_id", 2**70, "user_id must be .* got 1180591620717411303424 in row 'b'"),
        ("user_id", 1.7, "user_id must be .* got 1.7 in row 'b'"),
        ("item_id", math.nan, "item_id must be .* got nan in row 'b'"),
        ("item_id", math.inf, "item_id must be .* got inf in row 'b'"),
        ("item_id", pd.NA, "item_id must be .* got <NA> in row 'b'"),
        ("item_id", None, "item_id must be .* got (None|nan) in row 'b'"),
        ("item_id", "tt0114709", "item_id must be .* got 'tt0114709' in row 'b'"),
        ("item_id", True, "item_id must be .* got True in row 'b'"),
        (
            "item_id",
            pd.Timestamp("2020"),
            "item_id must be .* got Timestamp.* in row 'b'",
        ),
        ("item_id", [2], r"item_id must be .* got \[2\] in row 'b'"),
        ("rating", "3,5", "rating must be a finite number, got '3,5' in row 'b'"),
        ("rating", "good", "rating must be .* got 'good' in row 'b'"),
        ("rating", "", "rating must be .* got '' in row 'b'"),
        ("rating", math.nan, "rating must be .* got nan in row 'b'"),
        ("rating", -math.inf, "rating must be .* got -inf in row 'b'"),
        ("rating", np.True_, r"rating must be .* got (np\.)?True_? in row 'b'"),
    ],
)
@pytest.mark.parametrize("function", [split_data_ml100k, load_data_ml100k])
def test_a_wrong_value_is_refused_by_column_row_and_value(
    function, column, value, message
):
    first, _, last = ratings_of()[column]
    table = ratings_of(**{column: [first, value, last]})
    with pytest.raises(ValueError, match=message):
        function(table, NUM_USERS, NUM_ITEMS)


@pytest.mark.parametrize(
    "values",
    [
        pd.array([1, None, 2], dtype="Int64"),
        pd.array([True, True, True]),
        [True, True, True],
        pd.to_datetime([1, 1, 1]),
        pd.to_timedelta([1, 1, 1]),
        pd.interval_range(0, 3),
        pd.period_range("1970-01-02", periods=3),
        [1j, 1j, 1j],
        pd.Categorical([1, None, 1]),
    ],
    ids=lambda values: str(getattr(values, "dtype", values)),
)
@pytest.mark.parametrize("column", COLUMNS[:3])
def test_a_column_of_another_kind_is_refused(column, values):
    with pytest.raises(ValueError, match=rf"{column} must be .* in row '[ab]'"):
        load_data_ml100k(ratings_of(**{column: values}), NUM_USERS, NUM_ITEMS)


@pytest.mark.parametrize(
    ("times", "order"),
    [
        (["2020-01-02", "2020-01-01", "2019-12-31"], [2, 1, 0]),
        (["2020-01-02 10:00:00", "2020-01-02 09:59:59", "2020-01-02"], [2, 1, 0]),
        (
            [
                "2020-01-02T00:10+02:00",
                "2020-01-01T23:50+02:00",
                "2020-01-01T07:00+02:00",
            ],
            [2, 1, 0],
        ),
        (pd.to_datetime(["2020-01-02", "2020-01-01", "1960-01-01"]), [2, 1, 0]),
        (
            pd.to_datetime(["2020-01-02", "2020-01-01", "1960-01-01"]).tz_localize(
                "Asia/Tokyo"
            ),
            [2, 1, 0],
        ),
        (
            [
                datetime.date(2020, 1, 2),
                datetime.date(2020, 1, 1),
                datetime.date(1700, 1, 1),
            ],
            [2, 1, 0],
        ),
        (["2020", "2019", "2018"], [2, 1, 0]),  # numbers: years
        (np.array([2, 0, 2**32 - 1], dtype="uint32"), [1, 0, 2]),
        (np.array([2, 0, 2**64 - 1], dtype="uint64"), [1, 0, 2]),
        (np.array([2, -(2**63), 2**63 - 1]), [1, 0, 2]),
        (np.array([2**62 + 1, 2**62, 2**62 + 2]), [1, 0, 2]),  # alike as float64
        (pd.array([2**62 + 1, 2**62, 2**62 + 2], dtype="Int64"), [1, 0, 2]),
        ([0.5, 0.25, "0.75"], [1, 0, 2]),
    ],
)
def test_times_keep_their_order(times, order):
    column = pd.Series(times, index=["a", "b", "c"], name="timestamp")
    assert np.argsort(plain_times(column)).tolist() == order
    table = ratings_of(user_id=[1, 1, 1], item_id=[1, 2, 3], timestamp=times)
    _, test_data = split_data_ml100k(table, NUM_USERS, NUM_ITEMS, "seq-aware")
    assert test_data.index.tolist() == [["a", "b", "c"][order[-1]]]


@pytest.mark.parametrize(
    ("times", "value"),
    [
        ([1, None, 2], "nan"),
        (pd.array([1, None, 2], dtype="Int64"), "<NA>"),
        (pd.to_datetime(["2020-01-01", None, "2020-01-02"]), "NaT"),
        (["2020-01-01", "then", "2020-01-02"], "'then'"),
        (["2020-01-01", "01/02/2020", "2020-01-02"], "'01/02/2020'"),  # of which month?
        ([1, "2020-01-01", 2], "'2020-01-01'"),
        ([1, math.inf, 2], "inf"),
        ([1, True, 2], "True"),
    ],
)
def test_what_is_no_time_is_refused_where_times_matter(times, value):
    table = ratings_of(timestamp=times)
    with pytest.raises(
        ValueError, match=rf"timestamp must be a number.* got {value} in row 'b'"
    ):
        split_data_ml100k(table, NUM_USERS, NUM_ITEMS, "seq-aware")
    split_data_ml100k(table, NUM_USERS, NUM_ITEMS, "random", 0.4)  # asks for no time


@pytest.mark.parametrize(
    "times",
    [
        ["2020-01-01", "2020-01-01T09:00Z", "2020-01-02"],
        ["2020-01-01T10:00+02:00", "2020-01-01T09:00+01:00", "2020-01-01 10:00"],
        [pd.Timestamp("2020", tz="UTC"), pd.Timestamp("2020"), pd.Timestamp("2021")],
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")  # an older pandas warns as well
def test_times_of_several_zones_are_refused(times):
    with pytest.raises(
        ValueError, match=r"timestamp must be .* in one zone|[Mm]ixed timezones"
    ):
        split_data_ml100k(
            ratings_of(timestamp=times), NUM_USERS, NUM_ITEMS, "seq-aware"
        )


def test_a_file_read_twice_is_refused():
    twice = pd.concat([ratings_of(), ratings_of()])
    for function in (split_data_ml100k, load_data_ml100k):
        with pytest.raises(
            ValueError, match=r"user 1 has item 1 more than once; keep one"
        ):
            function(twice, NUM_USERS, NUM_ITEMS)
    once = twice.sort_values("timestamp").drop_duplicates(
        ["user_id", "item_id"], keep="last"
    )
    assert len(load_data_ml100k(once, NUM_USERS, NUM_ITEMS)[0]) == 3


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=9)
)
def test_the_pair_that_is_named_occurs_twice(pairs):
    table = pd.DataFrame(pairs, columns=["user_id", "item_id"]).assign(rating=1)
    repeated = {pair for pair in pairs if pairs.count(pair) > 1}
    try:
        plain_ratings(table, 3, 3)
        named = set()
    except ValueError as error:
        user, item = map(
            int, re.match(r"user (\d+) has item (\d+)", str(error)).groups()
        )
        named = {(user, item)}
    assert bool(named) == bool(repeated)
    assert named <= repeated


def test_ids_that_fill_64_bits_do_not_overflow():
    users = [2**31 - 1, 2**31 - 2, 1]
    table = ratings_of(user_id=users, item_id=[2**31 - 5, 1, 2**31 - 5])
    assert plain_ratings(table, 2**31 - 1, 2**31 - 5)[0].tolist() == users
    with pytest.raises(ValueError, match="are too many for int64"):
        plain_ratings(table, 2**31, 2**31)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (ratings_of().to_dict(), "data must be a DataFrame .* once, got .*dict"),
        ("ratings.csv", "data must be a DataFrame .* once, got .*str"),
        (
            ratings_of().rename(columns={"user_id": "userId"}),
            r"a DataFrame with .* once, got \['userId'",
        ),
        (pd.concat([ratings_of(), ratings_of()], axis=1), "a DataFrame with .* once"),
        (ratings_of()[:0], "data is empty"),
    ],
)
def test_what_is_no_table_of_ratings_is_refused(table, message):
    with pytest.raises(ValueError, match=message):
        load_data_ml100k(table, NUM_USERS, NUM_ITEMS)


@pytest.mark.parametrize("count", [0, -1, 4.0, True, "4", None])
def test_counts_are_integers(count):
    for counts in ((count, NUM_ITEMS), (NUM_USERS, count)):
        with pytest.raises(ValueError, match=r"num_\w+ must be an integer, at least 1"):
            load_data_ml100k(ratings_of(), *counts)
    assert len(load_data_ml100k(ratings_of(), np.int16(4), np.uint8(5))[0]) == 3


@pytest.mark.parametrize("seed", [None, 1.0, "1", [1, 2], -1])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(ValueError, match="seed must be an integer"):
        split_data_ml100k(ratings_of(), NUM_USERS, NUM_ITEMS, "random", 0.4, seed)


def test_the_parts_are_the_readers_own_rows():
    table = ratings_of(rating=["3.5", "4", "5"]).assign(title=["A", "B", "C"])
    train_data, test_data = split_data_ml100k(
        table, NUM_USERS, NUM_ITEMS, "random", 0.4
    )
    pd.testing.assert_frame_equal(
        pd.concat([train_data, test_data]).sort_index(), table
    )


@pytest.mark.parametrize("sizes", [(138_493, 26_744), (10**6, 10**6)])
def test_the_matrix_takes_no_more_than_its_ratings(sizes):
    """Dense, it would take 14.8 GB for MovieLens 20M, and 4 TB for 10^6 x 10^6."""
    table = ratings_of(user_id=[1, sizes[0], 7], item_id=[sizes[1], 1, 2])
    _, _, _, inter = load_data_ml100k(table, *sizes)
    assert inter.shape == sizes[::-1]
    assert inter.coalesce().values().tolist() == [4, 5, 3]
