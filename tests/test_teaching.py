"""What the page For Teachers says is what the pages and the checks say."""

import re
import subprocess
import sys
import zipfile

import pytest
from answers import WRONG
from pages import (
    BOOK,
    EXERCISES,
    RENDERED,
    ROOT,
    TRANSLATED,
    load,
    markdown_of,
    minutes_of,
)

from d2lrec import checks

PAGE = (BOOK / "for-teachers.md").read_text()
SESSIONS = re.split(r"^## Session \d: ", PAGE.partition("\n## In Every")[0], flags=re.M)
STATED = (
    r"\]\(([\w/-]+\.ipynb)\) \((\d+) minutes to read,(?: (\d+) to write,)? (\d+) to run"
)
IN_A_TABLE = r"\]\((exercises/[\w-]+\.ipynb)\) \|.+\| (\d+), (\d+), (\d+) \|"

MINUTES = re.findall(STATED, PAGE) + re.findall(IN_A_TABLE, PAGE)


@pytest.mark.parametrize("stated", MINUTES, ids=lambda stated: stated[0])
def test_the_minutes_are_those_of_the_page(stated):
    file, read, write, run = stated
    path = BOOK / file
    line = f"**Time:** {read} minutes to read"
    assert line + (f" and about {write} to write" * bool(write)) in markdown_of(path)
    assert minutes_of(path) == int(run)


def test_every_exercise_has_its_place():
    named = {file for file, *_ in MINUTES}
    assert {f"exercises/{path.name}" for path in EXERCISES} <= named


@pytest.mark.parametrize("session", SESSIONS[1:])
def test_a_session_has_goals_a_plan_of_90_minutes_and_mistakes(session):
    assert len(SESSIONS) == 7
    goals = session.partition("*Goals.*")[2].partition("*Pages.*")[0]
    assert goals.count("\n- ") == 3
    assert sum(map(int, re.findall(r"^\| (\d+) \| .+ \|$", session, re.M))) == 90
    mistakes = session.partition("*What students may get wrong.*")[2]
    assert mistakes.count("“") >= 5


@pytest.mark.slow
def test_a_check_says_what_is_quoted(capsys):
    for name, wrong in WRONG.items():
        check = getattr(checks, name)
        for answer, _ in wrong.values():
            check(*answer) if isinstance(answer, tuple) else check(answer)
    check(...)
    said = capsys.readouterr().out
    quoted = re.findall(r"“(.+?)”", PAGE)
    assert len(quoted) > 40
    assert [quote for quote in quoted if quote not in said] == []


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    target = tmp_path_factory.mktemp("zip") / "notebooks.zip"
    load(BOOK / "pack.py").pack(target)
    return target


def test_the_same_notebooks_make_the_same_bytes(packed, tmp_path):
    load(BOOK / "pack.py").pack(tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


@pytest.mark.slow
def test_the_zip_file_has_all_notebooks_and_a_package_that_works(packed, tmp_path):
    with zipfile.ZipFile(packed) as opened:
        opened.extractall(tmp_path)
    [top] = tmp_path.iterdir()
    found = {path.relative_to(top) for path in top.rglob("*.ipynb")}
    assert found == {path.relative_to(ROOT) for path in RENDERED + TRANSLATED}
    assert {"LICENSE", "HOW-TO-RUN.txt"} < {path.name for path in top.iterdir()}
    code = "import d2lrec, d2lrec.checks; print(d2lrec.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=top,
        env={"PYTHONPATH": str(top)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(top / "d2lrec/__init__.py"), done.stderr
