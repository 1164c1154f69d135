"""A rehearsal of Colab: notebooks alone, in an environment that lacks only the package.

The environment sees torch and the rest of this one, but not d2lrec; git takes the project's
address from the local clone, so what is installed is the last commit.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv

import pytest
from test_book import ADDRESS, ROOT


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A function that runs a command line of Python there, in an empty folder."""
    home = tmp_path_factory.mktemp("colab")
    venv.create(home / "env", with_pip=True)
    surroundings = {
        **os.environ,
        "PYTHONPATH": sysconfig.get_path("purelib"),  # its .pth files, as d2lrec's, do not count
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{ROOT.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
    }

    def run(*arguments, folder=home):
        command = [home / "env" / "bin" / "python", *arguments]
        return subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True)

    return run


def test_a_notebook_alone_runs_to_the_end(colab, tmp_path):
    assert "No module named 'd2lrec'" in colab("-c", "import d2lrec").stderr
    versions = "import numpy, pandas, torch; print(numpy.__file__, pandas.__file__, torch.__file__)"
    before = colab("-c", versions).stdout
    for name in ("exercises/metrics", "movielens"):
        notebook = shutil.copy(ROOT / "book" / f"{name}.ipynb", tmp_path)
        done = colab("-m", "nbconvert", "--to", "notebook", "--execute", notebook, folder=tmp_path)
        assert done.returncode == 0, done.stderr
    where = colab("-c", "import d2lrec; print(d2lrec.__file__)", folder=tmp_path).stdout
    assert str(ROOT) not in where
    assert "env" in where
    assert colab("-c", versions).stdout == before, "the installation moved torch, numpy or pandas"
    assert sys.prefix in before
