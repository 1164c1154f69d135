"""A rehearsal of Colab and Binder: each notebook alone, in an environment without the
package.

The environment has what Colab has of ours, with all that this needs, and nothing else;
git takes the project's address from the local clone, so what is installed is the last
commit. Here, every notebook runs whole that says it takes less than a minute, and of
the others the first cells: the installation and the imports. `make colab` runs them all
whole and compares the minutes.
"""

import json
import os
import re
import subprocess
import sys
import time
import venv
from importlib.metadata import distribution

import pytest
import yaml
from packaging.requirements import Requirement
from test_book import ADDRESS, NOTEBOOKS, ROOT, cells_of, each_notebook, source_of

COLAB = [
    "torch",
    "numpy",
    "pandas",
    "matplotlib",
    "tqdm",
    "ipykernel",
    "nbclient",
    "setuptools",
]
EXECUTE = "import nbclient.cli; nbclient.cli.NbClientApp.launch_instance()"
WHOLE = "D2LREC_WHOLE" in os.environ
MINUTES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


def with_what_they_need(names):
    """The names of distributions, and of those that they depend on here."""
    found, todo = set(), list(names)
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name not in found:
            found.add(name)
            needed = map(Requirement, distribution(name).requires or [])
            todo += [
                need.name
                for need in needed
                if not need.marker or need.marker.evaluate()
            ]
    return found


def link(names, folder):
    """Put the distributions into a folder, as links to where they are installed."""
    folder.mkdir()
    for name in with_what_they_need(names):
        for file in distribution(name).files:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(distribution(name).locate_file(top))
    return folder


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """Make an environment of some distributions; gives what runs a line of Python there."""

    def make(names):
        home = tmp_path_factory.mktemp("machine")
        venv.create(home / "env", with_pip=True)
        surroundings = {
            **os.environ,
            "PYTHONPATH": str(link(names, home / "installed")),
            "PATH": f"{home / 'env' / 'bin'}:{os.environ['PATH']}",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{ROOT.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": ADDRESS,
        }

        def run(*arguments, folder=home):
            command = [home / "env" / "bin" / "python", *arguments]
            return subprocess.run(
                command, cwd=folder, env=surroundings, capture_output=True, text=True
            )

        return run

    return make


@pytest.fixture(scope="module")
def colab(machine):
    return machine(COLAB)


def minutes_of(path):
    """How long a notebook says that it runs, in whole minutes."""
    text = "\n".join(map(source_of, cells_of(path, "markdown")))
    line = re.search(r"\*\*Time:\*\*(.*)", text)[1]
    stated = re.search(rf"about ({'|'.join(MINUTES)}) minutes", line)
    return MINUTES[stated[1]] if stated else 1  # half a minute, or under one


def execute(run, path, folder, whole):
    """Run a notebook, or its cells up to the imports, alone in a folder; gives the seconds."""
    notebook = json.loads(path.read_text())
    if not whole:
        sources = [
            cell["cell_type"] == "code" and source_of(cell)
            for cell in notebook["cells"]
        ]
        imports = next(
            n for n, source in enumerate(sources) if source and "from d2lrec" in source
        )
        notebook["cells"] = notebook["cells"][: imports + 1]
    (folder / path.name).write_text(json.dumps(notebook))
    started = time.perf_counter()
    done = run("-c", EXECUTE, path.name, folder=folder)
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - started


def test_the_machine_has_what_colab_has_and_the_package_moves_none_of_it(
    colab, tmp_path
):
    for absent in ("d2lrec", "pooch"):
        assert f"No module named '{absent}'" in colab("-c", f"import {absent}").stderr
    versions = "import numpy, pandas, torch; print(numpy.__file__, pandas.__file__, torch.__file__)"
    before = colab("-c", versions).stdout
    assert before.count("installed") == 3
    execute(colab, ROOT / "book" / "movielens.ipynb", tmp_path, whole=False)
    where = colab("-c", "import d2lrec; print(d2lrec.__file__)", folder=tmp_path).stdout
    assert str(ROOT) not in where
    assert "env" in where
    assert colab("-c", versions).stdout == before, (
        "the installation moved torch, numpy or pandas"
    )


def test_a_clone_beside_the_notebook_is_not_taken_for_the_package(machine, tmp_path):
    """Its folder has the package's name, so that a plain look for the package finds it."""
    (tmp_path / "d2lrec" / "d2lrec").mkdir(parents=True)
    fresh = machine(COLAB)
    found = "import importlib.util as u; print(u.find_spec('d2lrec').origin)"
    assert fresh("-c", found, folder=tmp_path).stdout == "None\n"
    execute(fresh, ROOT / "book" / "movielens.ipynb", tmp_path, whole=False)
    assert fresh("-c", found, folder=tmp_path).stdout.endswith("__init__.py\n")


@each_notebook
def test_the_notebook_runs_alone(colab, tmp_path, path, skip_without_ml1m):
    skip_without_ml1m(path.stem)
    minutes = minutes_of(path)
    whole = WHOLE or minutes == 1
    took = execute(colab, path, tmp_path, whole)
    if WHOLE:  # nothing is timed in the ordinary tests, whose machine may be busy
        print(f"{path.parent.name}/{path.stem}: {took / 60:.1f} of {minutes} minutes")
        assert took < 60 * (minutes + 1), (
            "half a minute's rounding, and the installation"
        )


@each_notebook
def test_a_notebook_that_trains_says_where(path):
    """But for the exercises, where it is the reader who trains."""
    source = "\n".join(map(source_of, cells_of(path, "code")))
    printed = json.dumps([cell["outputs"] for cell in cells_of(path, "code")])
    if re.search(r"\btrain\(|sweep\(", source) and "exercises" not in path.parts:
        assert re.search(r"\bon (cpu|cuda|mps)\b", printed)


def test_the_quick_notebooks_are_many():
    assert sum(minutes_of(path) == 1 for path in NOTEBOOKS) >= len(NOTEBOOKS) // 3


def test_binder_makes_an_environment_in_which_a_notebook_runs(machine, tmp_path):
    """Its packages by their names here; the package as postBuild installs it, from the clone."""
    listed = yaml.safe_load((ROOT / ".binder" / "environment.yml").read_text())[
        "dependencies"
    ]
    names = {re.match(r"[\w-]+", line)[0] for line in listed} - {"python", "pip"}
    here = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib"}
    jupyter = [
        "ipykernel",
        "nbclient",
        "setuptools",
    ]  # every machine of Binder has them
    binder = machine([*(here.get(name, name) for name in names), *jupyter])
    [command] = re.findall(
        "^python (.*)$", (ROOT / ".binder" / "postBuild").read_text(), re.M
    )
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    installed = binder(*command.split(), folder=clone)
    assert installed.returncode == 0, installed.stderr
    execute(binder, clone / "book" / "movielens.ipynb", clone / "book", whole=True)
    where = binder(
        "-c", "import d2lrec; print(d2lrec.__file__)", folder=tmp_path
    ).stdout
    assert where.startswith(str(clone))
    assert sys.prefix not in where
