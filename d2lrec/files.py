"""Files that are whole or not there, and files that one process at a time appends to."""

import os
import secrets
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows
    import msvcrt

PARTS = ".d2lrec-*.part"  # the names of files that are being written
ABANDONED = 3600  # seconds after which nobody goes on writing one


def write_whole(path, content):
    """Write bytes to `path` in one step, through a temporary neighbour that takes its name.

    Whoever opens `path`, even after a run was killed in the middle, finds the old file, the
    new one or none, never a part. A link goes on to point where it did, and a file keeps its
    mode. Raises OSError, with the name of the file, where it cannot be written.
    """
    path = Path(os.path.realpath(path))  # what a symbolic link points to
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_parts(path.parent)
    part = path.with_name(PARTS.replace("*", secrets.token_hex(8)))
    with named(path):
        try:
            with open(part, "xb") as file:
                if path.exists():
                    shutil.copymode(path, part)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # it is on the disk before it has its name
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def clear_parts(folder):
    """Remove the parts in a folder that killed runs have left."""
    for part in folder.glob(PARTS):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()


@contextmanager
def named(path):
    """Have an OSError name the file: that of a full disk does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def open_alone(path):
    """Open a file to read and append bytes, if no other process or thread has it open so.

    The system gives it free when it is closed or when its process ends, in whatever way.
    Raises ValueError if another has it or there are no locks, OSError where it cannot be opened.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b", buffering=0) as file:
        try:
            lock(file)
        except OSError as error:
            reason = f"another run has it, or its disk has no locks ({error.strerror})"
            raise ValueError(f"{path} cannot be written to: {reason}") from error
        yield file


def lock(file):
    """Have a file for this open handle alone, or raise OSError."""
    if os.name == "nt":
        file.seek(2**30)  # of one byte, and that beyond all that is read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def append(file, content, path):
    """Append bytes to the file of `open_alone` at a path: they outlive the process from here on."""
    with named(path):
        while content:  # a disk that is nearly full takes a part
            content = content[file.write(content) :]
