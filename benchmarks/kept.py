"""What a long run has measured so far, so that one that is broken off can go on.

Each result is a file of its own under _build, written when it is complete. The folder
is named by what was measured with: the sources of benchmarks/ and d2lrec/, the version
of each installed package, and the machine. After a change of any of them nothing of an
older folder is taken. This module imports nothing large (see processes.py).
"""

import hashlib
import json
import platform
import shutil
import time
from importlib import metadata
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent
LONG_BREAK = 600  # seconds; what lies on both sides was not measured in one sitting


def measured_with():
    """A short name for the code, the versions and the machine."""
    said = hashlib.sha256(f"{platform.python_version()} {processor()}".encode())
    versions = {(part.name, part.version) for part in metadata.distributions()}
    said.update(repr(sorted(versions)).encode())
    for folder in ("benchmarks", "d2lrec"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            said.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return said.hexdigest()[:12]


def processor():
    """The processor's name, as far as the machine tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


class Kept:
    """The results of one run: `get` gives what is kept, else measures and keeps it.

    Older folders for the same purpose, measured with something else, are removed, and
    this is said.
    """

    def __init__(self, purpose, build=ROOT / "_build"):
        self.folder = build / f"{purpose}-{measured_with()}"
        for other in sorted(build.glob(f"{purpose}-*")):
            if other != self.folder:
                print(f"begun anew: {other} is of other code, versions or machine")
                shutil.rmtree(other)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.results = {}

    def get(self, name, measure):
        """The result of this name, and whether it was kept; results are for JSON."""
        path = self.folder / f"{name}.json"
        kept = path.exists()
        if not kept:
            began = time.time()
            result = {"result": measure(), "began": began, "ended": time.time()}
            unfinished = path.with_suffix(".part")
            unfinished.write_text(json.dumps(result))
            unfinished.replace(path)
        self.results[name] = json.loads(path.read_text())
        return self.results[name]["result"], kept

    def seconds(self):
        """What each took in all, with its imports and evaluations: a dict."""
        return {name: x["ended"] - x["began"] for name, x in self.results.items()}

    def sittings(self):
        """How many there were, with a long break between each two."""
        times = sorted((x["began"], x["ended"]) for x in self.results.values())
        breaks = [later[0] - earlier[1] for earlier, later in pairwise(times)]
        return 1 + sum(seconds > LONG_BREAK for seconds in breaks)

    def forget(self):
        """Remove these results, which are needed no more."""
        for name in self.results:
            (self.folder / f"{name}.json").unlink()
        if not any(self.folder.iterdir()):
            self.folder.rmdir()
