"""The minutes of `make test`, by kind of test and by page: `make minutes`.

Reads the reports of pytest; of two, as in `python benchmarks/minutes.py BEFORE AFTER`,
the minutes stand beside each other. They are added up over the workers that ran at a
time, so two of them do two minutes' work in one on the clock.
"""

import re
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

ABOUT_THE_SITE = "build", "site", "try_it", "rank", "front_page"  # it is built for them
BUILDS = "test_the_book_is_built_without_a_warning"


def kind_and_page(test):
    """What a test is about: its kind, and its page or else the file it stands in."""
    file, name = test.get("classname"), test.get("name")
    if file.endswith(".ipynb"):
        return "notebooks", file.removesuffix(".ipynb").replace(".", "/")
    file = file.split(".")[1]
    page = re.search(r"\[(book/[\w/-]+)", name)
    page = page[1] if page else file
    if file == "test_colab":
        return "colab", page
    if file.removeprefix("test_") in ABOUT_THE_SITE:
        return "build" if name == BUILDS else "site", page
    return "unit tests", page


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


def table_of(title, reports):
    """The lines of a table, the longest first, a pair of columns for each report.

    What would be shown as 0.0 minutes everywhere is only in the sum.
    """
    minutes = {}  # of each key, in each report
    for key in {key for report in reports for key, _ in report}:
        minutes[key] = [report[key, "minutes"] for report in reports]
    yield f"\n{title:<40}" + "  minutes  tests" * len(reports)
    shown = [key for key in minutes if max(minutes[key]) >= 0.05]
    for key in sorted(shown, key=lambda key: max(minutes[key]), reverse=True):
        pairs = zip(minutes[key], reports, strict=True)
        columns = (f"  {m:7.1f} {report[key, 'tests']:6}" for m, report in pairs)
        yield f"{key:<40}" + "".join(columns)
    sums = map(sum, zip(*minutes.values(), strict=True))
    yield f"{'sum':<40}" + "".join(f"  {m:7.1f} {'':6}" for m in sums)


def tables(paths):
    """Both tables, and the minutes on the clock, as a text."""
    by_kind, by_page, clock = zip(*map(minutes_in, paths), strict=True)
    lines = [*table_of("kind", by_kind), *table_of("page or file of tests", by_page)]
    on_the_clock = "".join(f"  {minutes:7.1f} {'':6}" for minutes in clock)
    return "\n".join([*lines, f"{'on the clock':<40}{on_the_clock}"])


if __name__ == "__main__":
    print(tables([Path(path) for path in sys.argv[1:]]))
