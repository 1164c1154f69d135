"""The finished runs of a sweep, as lines of a file."""

import json
import zlib


def line_of(key, figures):
    """A run as a line of the file, with a checksum that tells whether the line is damaged."""
    checksum = zlib.crc32(json.dumps([key, figures]).encode())
    return f"{json.dumps([key, figures, checksum])}\n".encode()


def run_in(line):
    """What is in a line: (setting as JSON, dict of its figures). ValueError if it is damaged."""
    try:
        key, figures = json.loads(line)[:2]
        older = f"{json.dumps([key, figures])}\n".encode()  # without a checksum
        if line not in (line_of(key, figures), older):
            raise ValueError("another checksum")
        return key, {**figures, "error": figures["error"]}
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError("not a run") from error


def read_finished(file, path):
    """Read all lines of a file: a dict from the setting of each, as JSON, to its figures.

    A last line without its end, which is what a run leaves that was killed in the middle of
    writing it, is cut off. Raises ValueError if there is anything else in the file.
    """
    file.seek(0)
    finished = {}
    for number, line in enumerate(file.read().splitlines(keepends=True), 1):
        try:
            if not line.endswith(b"\n") and line_of("{", {}).startswith(line[:3]):
                file.truncate(file.tell() - len(line))
            else:
                key, figures = run_in(line)
                finished[key] = figures
        except ValueError as error:
            raise ValueError(
                f"sweep has not written {path}, or its line {number} is damaged: "
                "give another path, or delete the file or that line"
            ) from error
    return finished
