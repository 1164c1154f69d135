"""The tables of `make minutes`, from small reports."""

import re
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))
import minutes

TESTS = [
    ("book.mf.ipynb", "Cell 0", 60),
    ("book.mf.ipynb", "Cell 1", 120),
    ("book.solutions.metrics.ipynb", "Cell 0", 30),
    ("tests.test_site", "test_paper_is_white", 12),
    ("tests.test_build", "test_the_book_is_built_without_a_warning", 24),
    ("tests.test_build", "test_the_page_is_there[book/mf]", 6),
    ("tests.test_colab", "test_the_notebook_runs_alone[book/mf]", 18),
    ("tests.test_mf.TestClass", "test_one", 36),
]


def report(path, tests, seconds):
    cases = "".join(
        f'<testcase classname="{file}" name="{name}" time="{time}"/>'
        for file, name, time in tests
    )
    suite = f'<testsuite name="pytest" time="{seconds}">{cases}</testsuite>'
    path.write_text(f"<testsuites>{suite}</testsuites>")
    return path


def lines_of(text):
    """From what stands first in a line to the numbers in it."""
    lines = [re.split(r"\s{2,}", line, maxsplit=1) for line in text.splitlines()]
    return {line[0]: " ".join(line[1:]).split() for line in lines}


@pytest.fixture
def before(tmp_path):
    return report(tmp_path / "before.xml", TESTS, 153)


def test_minutes_are_added_up_by_kind_and_by_page(before):
    lines = lines_of(minutes.tables([before]))
    assert lines["notebooks"] == ["3.5", "3"]
    assert lines["unit tests"] == ["0.6", "1"]
    assert lines["site"] == ["0.3", "2"]
    assert lines["build"] == ["0.4", "1"]
    assert lines["colab"] == ["0.3", "1"]
    assert lines["book/mf"] == ["3.4", "4"]  # with what is tested of its page
    assert lines["book/solutions/metrics"] == ["0.5", "1"]
    assert lines["test_build"] == ["0.4", "1"]
    assert lines["sum"] == ["5.1"]
    assert lines["on the clock"] == ["2.5"]


def test_two_reports_stand_beside_each_other(before, tmp_path):
    after = report(tmp_path / "after.xml", TESTS[1:3], 60)
    lines = lines_of(minutes.tables([before, after]))
    assert lines["book/mf"] == ["3.4", "4", "2.0", "1"]
    assert lines["build"] == ["0.4", "1", "0.0", "0"]
    assert lines["sum"] == ["5.1", "2.5"]
    assert lines["on the clock"] == ["2.5", "1.0"]


def test_the_longest_come_first(before):
    said = minutes.tables([before])
    assert said.index("notebooks") < said.index("unit tests") < said.index("build")
