"""The finished runs of a sweep, as lines of a file."""

import json
import zlib


def line_of(key, figures):
    """A run as a line of the file, with a checksum that tells whether the line is damaged."""
    run = json.dumps([key, figures]).encode()
    return b"%s %d\n" % (run, zlib.crc32(run))


def read_finished(file, path):
    """Read all lines of a file: a dict from the setting of each, as JSON, to its figures.

    A last line without its end, which is what a run leaves that was killed in the middle of
    writing it, is cut off. Raises ValueError if there is anything else in the file.
    """
    file.seek(0)
    *lines, unfinished = file.read().split(b"\n")
    finished = {}
    try:
        for line in lines:
            run, checksum = line.rsplit(b" ", 1)
            if int(checksum) != zlib.crc32(run):
                raise ValueError("another checksum")
            key, figures = json.loads(run)
            finished[key] = figures
        if not line_of("{", {}).startswith(unfinished[:3]):
            raise ValueError("another beginning")
    except ValueError as error:
        kind = f"sweep has not written {path}, or its line {len(finished) + 1} is damaged"
        raise ValueError(f"{kind}: give another path, or delete the line") from error
    file.truncate(file.tell() - len(unfinished))
    return finished
