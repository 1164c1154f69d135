"""What the README shows is what happens."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import d2lrec

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def first_use():
    """The code of the first use, and what the README says that it prints."""
    section = README.partition("## First use")[2].partition("\n## ")[0]
    _, code, _, printed, _ = re.split(r"^```.*\n", section, flags=re.M)
    return code, printed


@pytest.mark.slow
def test_the_first_use_prints_what_it_says(tmp_path):
    code, printed = first_use()
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (said, *expected), (source, *found) = printed.splitlines(), done.stdout.splitlines()
    assert found == expected
    for line in (said, source):  # the source depends on the machine
        assert line.startswith("MovieLens 100K read from ")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_command_that_it_names_is_there(name):
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"`make ([a-z0-9-]+)", (ROOT / name).read_text()))
    named |= set(re.findall(r"^make ([a-z0-9-]+)$", README, re.M))
    assert {"book", "test", "quick"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.M), target


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_every_file_that_it_links_is_there(path):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
        assert (ROOT / target).exists(), target


def test_the_version_is_the_same_everywhere():
    """d2lrec/__init__.py has it; a test of the notebooks compares their first cells."""
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    released = re.findall(
        r"^## \[(\d.*)\] - (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )[0]
    assert (about["version"], str(about["date-released"])) == released
    if "dev" not in d2lrec.__version__:
        assert d2lrec.__version__ == released[0]
    front = (ROOT / "book" / "index.md").read_text()
    bibtex = dict(re.findall(r"^  (\w+) *= *\{(.+)\},?$", front, re.M))
    assert bibtex["title"].replace("{", "").replace("}", "") == about["title"]
    assert bibtex["author"].strip("{}") == about["authors"][0]["name"]
    assert bibtex["year"] == str(about["date-released"].year)
    assert bibtex["url"] == about["url"]
    assert bibtex["note"] == f"Version {about['version']}"


def test_binder_has_the_ranges_of_the_package():
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    binder = yaml.safe_load((ROOT / ".binder" / "environment.yml").read_text())
    ranges = {line.replace("pytorch-cpu", "torch") for line in binder["dependencies"]}
    assert set(package["dependencies"]) <= ranges
