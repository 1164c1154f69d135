"""Files that are either whole or not there."""

import os
from pathlib import Path


def write_whole(path, content):
    """Write bytes to `path` in one step, through a temporary neighbour that takes its name.

    Whoever opens `path`, even after a run was killed in the middle, finds the old file, the
    new one or none, never a part. Raises OSError where the folder cannot be written to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
