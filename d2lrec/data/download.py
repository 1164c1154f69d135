"""What comes from the network, with a limit in seconds and in bytes, and into memory only."""

import hashlib
import queue
import subprocess
import sys
import threading
import time

import requests  # pooch's own way to the network, so it is there

# Where packets vanish, 100K's two addresses and pip take 7 + 7 + 14 seconds in all.
SILENCE = 7  # seconds in which nothing comes, after which a server is given up
PIP_SECONDS = 14  # for pip, which is silent until its file is whole
WHOLE_SECONDS = 180  # for one file: the largest, NCF's 22 MB, at 1 Mbit a second
MOST_BYTES = 50_000_000  # of one file, and in memory only
PIECE = 2**14  # bytes: who sends less in SILENCE would need three hours for NCF's file

# A process of its own ends pip and clears up behind it, also where ours is killed
# meanwhile.
PIP_DOWNLOAD = """
import os, pathlib, subprocess, sys, tempfile
with tempfile.TemporaryDirectory() as folder:
    os.environ["TMPDIR"] = folder
    pip = [sys.executable, "-m", "pip", "download", "--dest", f"{folder}/wheels", *sys.argv[3:]]
    try:
        import resource  # not on Windows
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
    except ImportError:
        pass
    done = subprocess.run(pip, stdin=subprocess.DEVNULL, timeout=float(sys.argv[1]))
    if done.returncode:
        sys.exit(done.returncode)
    [wheel] = pathlib.Path(folder, "wheels").iterdir()
    sys.stdout.buffer.write(wheel.read_bytes())
"""


def download(url, sha256=None):
    """Download a file into memory: where a run is killed, nothing is left.

    Raises OSError where the server fails, is silent for `SILENCE` seconds, takes longer
    than `WHOLE_SECONDS` or sends more than `MOST_BYTES`; ValueError if the SHA-256 is
    another.
    """
    return gather(stream(url), SILENCE, sha256)


def pip_download(requirement, sha256):
    """Fetch a wheel from the package index that pip uses here, as `download` does."""
    return gather(run_pip(requirement), PIP_SECONDS, sha256)


def gather(pieces, patience, sha256):
    """Join the pieces of a file, which a thread awaits, so that nothing can keep us waiting."""
    arrived, content = queue.SimpleQueue(), bytearray()

    def await_pieces():
        try:
            for piece in pieces:
                arrived.put(piece)
            arrived.put(b"")
        except Exception as error:  # of any kind, as servers may answer anything
            arrived.put(error if isinstance(error, OSError) else OSError(repr(error)))

    threading.Thread(target=await_pieces, daemon=True).start()
    try:
        while piece := arrived.get(timeout=patience):
            if isinstance(piece, OSError):
                raise piece
            content += piece
    except queue.Empty:
        raise TimeoutError(
            f"nothing, or too little, came for {patience} seconds"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if sha256 not in (None, found):
        raise ValueError(f"it gave other bytes than it should: SHA-256 {found}")
    return bytes(content)


def stream(url):
    """Yield what a server answers, in pieces and as sent: nothing is unpacked unchecked."""
    end, size = time.monotonic() + WHOLE_SECONDS, 0
    options = {
        "stream": True,
        "timeout": 2 * SILENCE,
        "headers": {"Accept-Encoding": "identity"},
    }
    with requests.get(url, **options) as response:
        response.raise_for_status()
        while piece := response.raw.read(PIECE, decode_content=False):
            size += len(piece)
            if size > MOST_BYTES:
                raise OSError(f"more than {MOST_BYTES:,} bytes came")
            if time.monotonic() > end:
                raise OSError(f"it took more than {WHOLE_SECONDS} seconds")
            yield piece


def run_pip(requirement):
    """Yield the wheel that pip downloads."""
    options = ["--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check"]
    options += [
        "--retries=0",
        "--timeout=5",
        "--no-deps",
        "--only-binary=:all:",
        requirement,
    ]
    command = [
        sys.executable,
        "-c",
        PIP_DOWNLOAD,
        str(PIP_SECONDS),
        str(MOST_BYTES),
        *options,
    ]
    done = subprocess.run(command, capture_output=True, start_new_session=True)
    if done.returncode:
        *_, last_line = ["", *done.stderr.decode(errors="replace").splitlines()]
        raise OSError(f"pip download failed: {last_line}")
    yield done.stdout
