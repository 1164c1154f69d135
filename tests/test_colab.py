"""A rehearsal of Colab and Binder: notebooks alone, on a machine without the package.

The machine is an environment that has what Colab has of ours, with all that this needs,
and nothing else. In the place of the project's address stands a server of the test:
without a release there, git takes the local clone, so that the last commit is
installed. All imports of all notebooks are tried there, and a few notebooks that differ
in kind run from top to bottom. `make colab` runs them all, and compares with the
minutes that they state.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import venv
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution
from threading import Thread

import pytest
import yaml
from packaging.requirements import Requirement
from pages import (
    ADDRESS,
    BOOK,
    NOTEBOOKS,
    ROOT,
    cells_of,
    minutes_of,
    name_of,
    over,
    source_of,
)
from test_readme import first_use

from d2lrec import __version__

pytestmark = pytest.mark.colab

JUPYTER = ["ipykernel", "nbclient", "setuptools", "pip"]
COLAB = ["torch", "numpy", "pandas", "matplotlib", "tqdm", *JUPYTER]
EXECUTE = "import nbclient.cli; nbclient.cli.NbClientApp.launch_instance()"
FIRST = BOOK / "movielens.ipynb"
IN_FULL = [
    BOOK / "own-data.ipynb",  # writes files
    BOOK / "scale.ipynb",  # reads files that the package carries
    BOOK / "exercises" / "metrics.ipynb",  # calls checks
]
ALL_IN_FULL = "D2LREC_ALL_PAGES" in os.environ


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
def host(tmp_path_factory):
    """A server in the place of GitHub: its address, and the folder that it serves."""
    folder = tmp_path_factory.mktemp("host")
    handler = partial(SilentHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


class SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def machine(tmp_path_factory, host):
    """Make an environment of some distributions; gives what runs Python there."""

    def make(names):
        home = tmp_path_factory.mktemp("machine")
        venv.create(home / "env", symlinks=True)
        surroundings = {
            **os.environ,
            "PYTHONPATH": str(link(names, home / "installed")),
            "PATH": f"{home / 'env' / 'bin'}:{os.environ['PATH']}",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{ROOT.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": host[0],
            "NO_PROXY": "127.0.0.1",
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


@pytest.fixture(scope="module")
def execute(host):
    """Runs a notebook alone in a folder, with the test's server as the address."""

    def execute(run, path, folder):
        here = path.read_text(encoding="utf-8").replace(
            f'home = \\"{ADDRESS}\\"', f'home = \\"{host[0]}\\"'
        )
        (folder / path.name).write_text(here, encoding="utf-8")
        done = run("-c", EXECUTE, path.name, folder=folder)
        assert done.returncode == 0, done.stderr

    return execute


@pytest.fixture(scope="module")
def install(execute):
    """Runs the first code cell, which is the same in all notebooks, in a folder."""

    def install(run, folder):
        notebook = json.loads(FIRST.read_text(encoding="utf-8"))
        notebook["cells"] = cells_of(FIRST, "code")[:1]
        path = folder / "first-cell.ipynb"
        path.write_text(json.dumps(notebook))
        execute(run, path, folder)

    return install


def test_the_machine_has_what_colab_has_and_the_package_moves_none_of_it(
    colab, tmp_path, install
):
    for absent in ("d2lrec", "pooch"):
        assert f"No module named '{absent}'" in colab("-c", f"import {absent}").stderr
    versions = (
        "import numpy, pandas, torch; "
        "print(numpy.__file__, pandas.__file__, torch.__file__)"
    )
    before = colab("-c", versions).stdout
    assert before.count("installed") == 3
    install(colab, tmp_path)
    where = colab("-c", "import d2lrec; print(d2lrec.__file__)", folder=tmp_path).stdout
    assert str(ROOT) not in where
    assert "env" in where
    assert colab("-c", versions).stdout == before


def test_a_clone_beside_the_notebook_is_not_taken_for_the_package(
    machine, tmp_path, install
):
    """Its folder has the package's name: a plain look for the package finds it."""
    (tmp_path / "d2lrec" / "d2lrec").mkdir(parents=True)
    fresh = machine(COLAB)
    found = "import importlib.util as u; print(u.find_spec('d2lrec').origin)"
    assert fresh("-c", found, folder=tmp_path).stdout == "None\n"
    install(fresh, tmp_path)
    assert fresh("-c", found, folder=tmp_path).stdout.endswith("__init__.py\n")


def test_all_that_notebooks_import_is_there(colab, tmp_path, install):
    install(colab, tmp_path)
    sources = [source_of(cell) for path in NOTEBOOKS for cell in cells_of(path, "code")]
    no_magic = [
        re.sub(r"^( *)%.*", r"\1pass", source, flags=re.M) for source in sources
    ]
    imports = {
        ast.unparse(part)
        for source in no_magic
        for part in ast.walk(ast.parse(source))
        if isinstance(part, ast.Import | ast.ImportFrom)
    }
    done = colab("-c", "\n".join(sorted(imports)), folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_package_carries_its_results(colab, tmp_path, install):
    install(colab, tmp_path)
    listing = (
        "import importlib.resources as r; "
        "print(*(x.name for x in (r.files('d2lrec') / 'results').iterdir()))"
    )
    here = {path.name for path in (ROOT / "d2lrec" / "results").iterdir()}
    assert set(colab("-c", listing, folder=tmp_path).stdout.split()) == here


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The wheel and the sdist of the package, as `make package` builds them."""
    folder = tmp_path_factory.mktemp("release")
    build = [sys.executable, "-m", "build", "--quiet", "--outdir", folder, ROOT]
    subprocess.run(build, check=True)
    check = [sys.executable, "-m", "twine", "check", "--strict", *folder.iterdir()]
    subprocess.run(check, check=True)
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def test_a_release_has_the_package_and_nothing_else(release):
    wheel, sdist = release
    listed = subprocess.run(
        ["git", "ls-files", "d2lrec"], cwd=ROOT, capture_output=True, text=True
    )
    package = set(listed.stdout.split())
    about, read_first = f"d2lrec-{__version__}", {"README.md", "LICENSE"}
    in_wheel = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in in_wheel if not name.startswith(about)} == package
    assert f"{about}.dist-info/licenses/LICENSE" in in_wheel
    with tarfile.open(sdist) as archive:
        names = [name.removeprefix(f"{about}/") for name in archive.getnames()]
    in_sdist = {name for name in names if "egg-info" not in name}
    beside = {"CHANGELOG.md", "CITATION.cff", "MANIFEST.in", "pyproject.toml"}
    folders = {"d2lrec", "d2lrec/data", "d2lrec/checks", "d2lrec/results"}
    made = {"PKG-INFO", "setup.cfg", about}
    assert in_sdist - made - folders == package | beside | read_first


@pytest.mark.parametrize("form", ["wheel", "sdist"])
def test_a_release_works_alone(machine, release, tmp_path, form):
    """The README's first use runs where there is nothing of this repository."""
    fresh = machine([name for name in COLAB if name != "matplotlib"])
    wheel, sdist = release
    file = wheel if form == "wheel" else sdist
    done = fresh("-m", "pip", "install", "--quiet", file, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    code, printed = first_use()
    done = fresh("-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == printed.splitlines()[1:]
    said = fresh("-c", "import d2lrec; print(d2lrec.__version__)", folder=tmp_path)
    assert said.stdout == f"{__version__}\n"


def test_a_notebook_installs_the_release_where_there_is_one(
    machine, host, install, release, tmp_path
):
    wheel, _ = release
    _, folder = host
    place = folder / "releases" / "download" / f"v{__version__}"
    place.mkdir(parents=True)
    fresh = machine(COLAB)
    try:
        shutil.copy(wheel, place)
        install(fresh, tmp_path)
    finally:
        shutil.rmtree(folder / "releases")
    where = "from importlib.metadata import distribution as d; "
    from_where = fresh("-c", where + "print(d('d2lrec').read_text('direct_url.json'))")
    assert wheel.name in from_where.stdout


@over(NOTEBOOKS if ALL_IN_FULL else IN_FULL)
def test_the_notebook_runs_alone(colab, tmp_path, path, execute, skip_without_ml1m):
    skip_without_ml1m(path.stem)
    started = time.perf_counter()
    execute(colab, path, tmp_path)
    if ALL_IN_FULL:  # the machine of the ordinary tests may be busy
        minutes = (time.perf_counter() - started) / 60
        print(f"{name_of(path)}: {minutes:.1f} of {minutes_of(path)} minutes")
        assert minutes < minutes_of(path) + 1  # rounding, and the installation


def test_binder_makes_an_environment_in_which_a_notebook_runs(
    machine, tmp_path, execute
):
    """Its packages by their names here; ours as postBuild installs it, from a clone."""
    binder_folder = ROOT / ".binder"
    listed = yaml.safe_load((binder_folder / "environment.yml").read_text())
    names = {re.match(r"[\w-]+", line)[0] for line in listed["dependencies"]}
    here = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib"}
    needed = [here.get(name, name) for name in names - {"python"}]
    binder = machine([*needed, *JUPYTER])  # every machine of Binder has Jupyter
    [command] = re.findall(
        r"^python (.*)$", (binder_folder / "postBuild").read_text(), re.M
    )
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    installed = binder(*command.split(), folder=clone)
    assert installed.returncode == 0, installed.stderr
    execute(binder, clone / "book" / FIRST.name, clone / "book")
    where = binder("-c", "import d2lrec; print(d2lrec.__file__)", folder=tmp_path)
    assert where.stdout.startswith(str(clone))
    assert sys.prefix not in where.stdout
