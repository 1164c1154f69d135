"""The check of a split in which chosen films have n ratings to learn from."""

from collections import Counter

import pandas as pd

from .verdict import NotYetError, kind_of, says_what_is_wrong, tried

CHOSEN = [3, 5]


def ratings_to_split():
    """A table in which films 1 to 6 have 33 to 38 ratings, in mixed order."""
    pairs = [(user, item) for item in range(1, 7) for user in range(1, 33 + item)]
    table = pd.DataFrame(pairs, columns=["user_id", "item_id"])
    stars = 1 + (table.user_id * 7 + table.item_id * 3) % 5
    table = table.assign(rating=stars, timestamp=table.user_id + 874724710)
    return table.sample(frac=1, random_state=5).reset_index(drop=True)


@says_what_is_wrong
def check_split_by_count(split_by_count):
    """Check `split_by_count(data, chosen, n, seed)`: a training and a test set."""
    data = ratings_to_split()
    others = rows_of(data[~data.item_id.isin(CHOSEN)])
    tests = {}
    for n, seed in [(3, 0), (0, 0), (10, 0), (30, 0), (3, 1)]:
        on = f"for n = {n} and seed = {seed}"
        train, test = parts_of(split_by_count, data, n, seed, on)
        both = (train & test).total()
        if both:
            return f"{on}, {both} ratings are both learned from and tested on."
        beyond = (train | test) - rows_of(data)
        if beyond:
            return f"{on} there are ratings that are not in the data, or twice."
        if others - train:
            return f"{on}, ratings of films that are not chosen are not learned from."
        if test & others:
            return f"{on}, the test set has films that are not chosen."
        for item in CHOSEN:
            learned = sum(row[1] == item for row in train.elements())
            if learned != n:
                return f"{on}, {learned} ratings of film {item} are learned from."
            tested, wanted = sum(row[1] == item for row in test), 2 + item
            if tested != wanted:
                return f"{on} film {item} has {tested} test ratings, not {wanted}."
        tests[n, seed] = test
    if not tests[3, 0] == tests[0, 0] == tests[10, 0] == tests[30, 0]:
        return "the test ratings change with n: then the errors cannot be compared."
    if tests[3, 0] == tests[3, 1]:
        return "another seed must draw other ratings."


def parts_of(split_by_count, data, n, seed, on):
    """The two sets of a reader's split, as counters of their rows."""
    found = tried(split_by_count, data.copy(), list(CHOSEN), n, seed, on=on)
    parts = found if isinstance(found, tuple | list) else [found]
    tables = [part for part in parts if isinstance(part, pd.DataFrame)]
    if len(parts) != 2 or len(tables) != 2:
        kinds = " and ".join(map(kind_of, parts)) or kind_of(found)
        raise NotYetError(f"{on} it returns {kinds[:200]}: return two DataFrames.")
    if any(set(data.columns) - set(table.columns) for table in tables):
        raise NotYetError(f"{on}, columns are missing: keep all of the data's.")
    return map(rows_of, tables)


def rows_of(table):
    """How often each rating is in a table, as a counter of tuples."""
    names = ["user_id", "item_id", "rating", "timestamp"]
    return Counter(table[names].itertuples(index=False, name=None))
