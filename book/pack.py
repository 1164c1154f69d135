"""Pack the notebooks, and the package that they need, into one file (`make zip`)."""

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKED = (
    *("book/*.ipynb", "book/exercises/*.ipynb", "book/solutions/*.ipynb"),
    "book/??/*.ipynb",  # in other languages
    *("d2lrec/**/*.py", "d2lrec/results/*.csv"),
    *("pyproject.toml", "README.md", "LICENSE"),
)
TOP = "matrix-factorization-recommenders"
HOW_TO_RUN = """\
Matrix Factorization Recommenders in PyTorch: the notebooks, and their package d2lrec

On a machine with Python 3.11 or newer, in this folder:

    python -m venv .venv
    . .venv/bin/activate            (on Windows: .venv\\Scripts\\activate)
    pip install . matplotlib jupyterlab
    jupyter lab book

The chapters are in book, the exercises in book/exercises, their solutions in
book/solutions. A notebook fetches its data when it first needs them and keeps them for
later. Where there will be no network, run it once before. LICENSE says what you may do
with the code (MIT) and the text (CC BY 4.0).
"""


def pack(target):
    """Write the zip file; the same files give the same bytes."""
    content = {f"{TOP}/HOW-TO-RUN.txt": HOW_TO_RUN.encode()}
    for pattern in PACKED:
        for path in sorted(ROOT.glob(pattern)):
            content[f"{TOP}/{path.relative_to(ROOT).as_posix()}"] = path.read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in content.items():
            about = zipfile.ZipInfo(name)  # of 1980, whenever it is packed
            about.external_attr = 0o644 << 16
            packed.writestr(about, data, zipfile.ZIP_DEFLATED)
    part.replace(target)


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
