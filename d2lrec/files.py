"""Files that are written completely or not at all, and files that only grow."""

import os
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path

PARTS = ".d2lrec-*.part"  # the names of files that are being written


def write_atomically(path, content):
    """Write bytes to `path` in one step: to a temporary neighbor that takes its name.

    Whoever opens `path`, even after a run was killed in the middle, finds the old file,
    the new one or none, never a part. A link goes on to point where it did, and a file
    keeps its mode. Raises OSError, with the name of the file, where it cannot be
    written.
    """
    path = Path(os.path.realpath(path))  # what a symbolic link points to
    part = path.with_name(PARTS.replace("*", secrets.token_hex(8)))
    with named_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_parts(path.parent)
        try:
            with open(part, "xb") as file:
                if path.exists() and os.name == "posix":  # Windows has no modes
                    shutil.copymode(path, part)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # it is on the disk before it has its name
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def clear_parts(folder):
    """Remove the parts that killed runs have left: no write takes an hour."""
    for part in folder.glob(PARTS):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > 3600:
                part.unlink()


@contextmanager
def named_errors(path):
    """Have an OSError name the file, which that of a full disk does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def append(path, content):
    """Add bytes to a file, in one write at its end, whoever else adds to it meanwhile.

    From then on they outlive the process. Raises OSError, with the name of the file,
    where it cannot be written; a full disk may have taken the first of the bytes.
    """
    with named_errors(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as file:
            file.write(content)
