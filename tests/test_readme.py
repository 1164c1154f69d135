"""What the README shows is what happens."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def first_use():
    """The code of the first use, and what the README says that it prints."""
    section = README.partition("## First use")[2].partition("\n## ")[0]
    _, code, _, printed, _ = re.split(r"^```.*\n", section, flags=re.M)
    return code, printed


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


def test_every_command_that_it_names_is_there():
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"`make ([a-z0-9-]+)", README))
    assert {"book", "test", "quick"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.M), target
