"""The minutes of `make test`, by kind of test and by page: `make minutes`.

Reads the reports of pytest; of two, as in `python benchmarks/minutes.py BEFORE AFTER`,
the minutes stand beside each other. They are added up over the workers that ran at a
time, so two of them do two minutes' work in one on the clock.
"""

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

ABOUT_THE_SITE = "build", "site", "try_it", "rank", "front_page"  # it is built for them
BUILDS = "test_the_book_is_built_without_a_warning"


def kind_and_page(test):
    """What a test is about: its kind, and the page or else the file of the test."""
    file, name = test.get("classname"), test.get("name")
    if file.endswith(".ipynb"):
        return "notebooks", file.removesuffix(".ipynb").replace(".", "/")
    file = file.split(".")[1]
    if file == "test_colab":
        return "colab", file
    if file.removeprefix("test_") in ABOUT_THE_SITE:
        return "build" if name == BUILDS else "site", file
    return "unit tests", file


def minutes_in(path):
    """A report's minutes and numbers of tests by kind and by page, and on the clock."""
    suite = ElementTree.parse(path).getroot().find("testsuite")
    by_kind, by_page = Counter(), Counter()
    for test in suite.iter("testcase"):
        minutes = float(test.get("time")) / 60
        for table, key in zip((by_kind, by_page), kind_and_page(test), strict=True):
            table[key, "minutes"] += minutes
            table[key, "tests"] += 1
    return by_kind, by_page, float(suite.get("time")) / 60


def print_table(title, tables):
    """Print a line for each key, the longest first, with a pair of columns a report."""
    keys = {key for table in tables for key, _ in table}
    keys = sorted(keys, key=lambda key: -max(table[key, "minutes"] for table in tables))
    print(f"\n{title:<40}", *["minutes  tests"] * len(tables), sep="  ")
    for key in keys:
        pairs = [(table[key, "minutes"], table[key, "tests"]) for table in tables]
        print(f"{key:<40}", *(f"{m:7.1f} {n:6}" for m, n in pairs), sep="  ")
    sums = [sum(table[key, "minutes"] for key in keys) for table in tables]
    print(f"{'sum':<40}", *(f"{m:7.1f} {'':6}" for m in sums), sep="  ")


def main(paths):
    reports = [minutes_in(path) for path in paths]
    by_kind, by_page, clock = zip(*reports, strict=True)
    print_table("by kind", by_kind)
    print_table("by page, or file of tests", by_page)
    print("\non the clock:", *(f"{minutes:.1f} minutes" for minutes in clock), sep="  ")


if __name__ == "__main__":
    main([Path(path) for path in sys.argv[1:]])
