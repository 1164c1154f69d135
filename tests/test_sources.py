"""The chain of data sources, against servers that misbehave.

Every test ends in one of two ways: the right bytes, or one error that begins with what
to do and names every source and its reason. In both, the cache has right files or none.
"""

import contextlib
import datetime
import gzip
import hashlib
import http.server
import io
import os
import re
import shutil
import socket
import ssl
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import pytest
import small_ml1m
import trustme
from small_ml1m import NCF, RATINGS
from systems import SEPARATE_PROCESS, posix_only

from d2lrec.data import download, ncf, sources

FILES = {
    "u.data": b"1\t1\t5\t881250949\n" * 20_000,
    "u.item": b"1|Toy Story (1995)\n",
    "u.user": b"1|24|M|technician|85711\n",
}
WITH_PACKAGE = {"the package": (sources.download_package, sources.PACKAGE)}


def zip_of(files):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        for name, content in files.items():
            members.writestr(name, content)
    return archive.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


PUBLISHED = {
    "ml-100k.zip": zip_of({f"ml-100k/{name}": FILES[name] for name in FILES}),
    "ml-1m.zip": zip_of({"ml-1m/ratings.dat": RATINGS}),
    **NCF,
}

OK, END = b"HTTP/1.1 200 OK\r\n", b"\r\n"
LENGTH = b"Content-Length: 5000000\r\n"
GZIP = b"Content-Encoding: gzip\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
FOUND = b"HTTP/1.1 302 Found\r\nLocation: "
ZEROS = gzip.compress(bytes(100_000_000))  # 97 kB
A_LOT = bytes(2**16)
MANY, OTHER = "more than 1,000,000 bytes", "other bytes than it should"
SLOW_ANSWER, SLOW_FILE = "it took more than 0.4 s|timed out", "it took more than 0.5 s"
# What a server can do to keep us waiting, or to fill the memory or the disk: what it
# sends first, what it goes on sending, and why it is given up, where that is certain.
HOSTILE = {
    "a-header-at-a-time": (OK, b"C: d\r\n", SLOW_ANSWER),
    "a-letter-of-a-header": (OK + b"A: ", b"x", SLOW_ANSWER),
    "a-byte-at-a-time": (OK + LENGTH + END, b"x", SLOW_FILE),
    "a-byte-of-a-chunk": (OK + CHUNKED + END, b"1\r\nx\r\n", SLOW_FILE),
    "a-piece-at-a-time": (OK + LENGTH + END, bytes(2**10), SLOW_FILE),
    "endless": (OK + END, A_LOT, MANY),
    "endless-chunks": (OK + CHUNKED + END, b"10000\r\n%b\r\n" % A_LOT, MANY),
    "endless-chunk": (OK + CHUNKED + END + b"FFFFFFFFFF\r\n", A_LOT, MANY),
    "endless-size-of-a-chunk": (OK + CHUNKED + END, b"0" * 2**16, ""),
    "endless-headers": (OK, b"C: %b\r\n" % bytes(2**11), ""),
    "endless-header": (OK + b"A" * 2**20, b"", ""),
    "endless-status": (b"HTTP/1.1 200 " + b"A" * 2**20, b"", ""),
    "endless-trailer": (OK + CHUNKED + END + b"0\r\n" + b"A: b\r\n" * 10**4, b"", ""),
    "long-reason": (
        b"HTTP/1.1 500 %b\r\n\r\n" % (b"really " * 9000),
        b"",
        "500 Server Error: really",
    ),
    "longer-than-any-disk": (
        OK + b"Content-Length: %d\r\n\r\n" % 10**18 + ZEROS,
        b"",
        OTHER,
    ),
    # Were they unpacked, there would be too many bytes.
    "zeros-packed": (
        OK + GZIP + b"Content-Length: %d\r\n\r\n" % len(ZEROS) + ZEROS,
        b"",
        OTHER,
    ),
    "zeros-packed-twice": (
        OK + b"Content-Encoding: gzip, gzip\r\n\r\n" + gzip.compress(ZEROS),
        b"",
        OTHER,
    ),
    "not-packed-as-said": (OK + GZIP + END + b"plain", b"", OTHER),
    "in-circles": (FOUND + b"/in-circles/x\r\n\r\n", b"", "Exceeded 30 redirects"),
    "to-a-file": (FOUND + b"file:///etc/passwd\r\n\r\n", b"", "No connection adapters"),
    "to-nowhere": (FOUND + b"http://[::1/\r\n\r\n", b"", ""),
    "to-no-name": (FOUND + b"http://.x./\r\n\r\n", b"", ""),
    "hangs-up": (b"", b"", ""),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", b"", OTHER),
    "no-content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", OTHER),
    "less-than-nothing": (OK + b"Content-Length: -5\r\n\r\nx", b"", ""),
    "two-lengths": (OK + b"Content-Length: 3\r\n" * 2 + LENGTH + END + b"x", b"", ""),
    "bad-chunk": (OK + CHUNKED + END + b"zz\r\n", b"", ""),
    "not-http": (b"\x16\x03\x01SSH-2.0", b"", ""),
    "bare-text": (bytes(range(256)), b"", ""),
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers each path, /way/file, in the way it is called after."""

    def do_GET(self):
        way, name = self.path.strip("/").split("/")
        self.server.asked.append(way)
        if way == "silent":
            self.server.over.wait()
        elif way in ("missing", f"without-{name}"):
            self.send_error(404)
        elif way in HOSTILE:
            self.answer_with_hostility(*HOSTILE[way][:2])
        else:
            self.answer(way, name)

    def answer_with_hostility(self, first, again):
        self.send(first)
        while again:
            self.send(again)
            if len(again) <= 2**10 and self.server.over.wait(0.02):
                return

    def answer(self, way, name):
        content = b"<html>Sign in</html>" if way == "other-bytes" else PUBLISHED[name]
        if way == f"half-of-{name}":
            content = content[: len(content) // 2]
        half = len(content) // 2
        if way == "in-chunks":
            chunks = content[:half], content[half:], b""
            sized = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
            self.send(OK + CHUNKED + END + b"".join(sized))
            return
        self.send(OK + b"Content-Length: %d\r\n\r\n" % len(content) + content[:half])
        if way == "slow":
            self.server.over.wait(0.3)
        if way == "stalls-midway":
            self.server.over.wait()
        if way != "cut-off":
            self.send(content[half:])

    def send(self, content):
        self.wfile.write(content)
        self.server.sent += len(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def serve():
    """Start servers on loopback; serve() returns (address, list of paths asked for)."""
    servers = []

    def start(tls=None):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.asked, server.over, server.sent = [], threading.Event(), 0
        server.handle_error = lambda *args: None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
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
    """An empty world: no folder named, an empty cache, no download, nothing for pip.

    The files above are the right ones. Returns the cache's folder of MovieLens 100K.
    """
    folder = tmp_path / "cache"
    monkeypatch.delenv("D2LREC_DATA", raising=False)
    monkeypatch.setattr(download, "CACHE", folder)
    monkeypatch.setattr(download, "SILENCE", 1)
    monkeypatch.setattr(download, "PIP_SECONDS", 60)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    for name, contents in {"ML100K": FILES, "NCF": NCF, "ML1M": {}}.items():
        record = getattr(sources, name)
        right = {file: (sha256(content),) for file, content in contents.items()}
        files = {file: known and right[file] for file, known in record.files.items()}
        archive = sha256(PUBLISHED.get(f"{record.folder}.zip", b""))
        small = record._replace(files=files, archive_sha256=archive, downloads={})
        monkeypatch.setattr(sources, name, small)
    small_ml1m.let_be_right(monkeypatch, ncf)
    return folder / "ml-100k"


@pytest.fixture
def offer(cache, monkeypatch):
    """Let a record have downloads: archives at these addresses, and others."""

    def offer(record, archives=(), others=()):
        downloads = {
            source: (sources.download_archive, address)
            for source, address in dict(archives).items()
        }
        record_before = getattr(sources, record)
        record_now = record_before._replace(downloads=downloads | dict(others))
        monkeypatch.setattr(sources, record, record_now)

    return offer


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The system's folder for temporary files, for as long as a test runs."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def files_under(folder):
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name: path.read_bytes() for path in paths}


def put_in_place(folder, files):
    """Write files, name to bytes, where they belong under `folder`."""
    for record in (sources.ML100K, sources.NCF, sources.ML1M):
        for name in set(record.files) & set(files):
            (folder / record.folder).mkdir(parents=True, exist_ok=True)
            (folder / record.folder / name).write_bytes(files[name])


def refused():
    """The address of a port on which nobody listens."""
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        return f"http://localhost:{server.server_port}"


def address_of(way, address):
    return refused() if way == "refuses" else f"{address}/{way}"


BAD = {
    "refuses": "refused",
    "missing": "404",
    "silent": "timed out|it took more than 1 s",
    "stalls-midway": "timed out",
    "cut-off": OTHER,
    "other-bytes": f"{OTHER}: SHA-256",
}


@pytest.mark.parametrize("way", BAD)
def test_a_bad_first_source_is_passed_over(way, cache, serve, offer):
    address, asked = serve()
    first = {"first": address_of(way, address)}
    offer("ML100K", first)
    with pytest.raises(OSError, match=f"first: .*({BAD[way]})"):
        sources.fetch_ml100k()
    assert files_under(cache) == {}
    asked.clear()
    offer("ML100K", first | {"second": f"{address}/good"})
    assert sources.fetch_ml100k() == (FILES, "second")
    assert asked == [way, "good"][way == "refuses" :]
    assert files_under(cache) == FILES


def test_when_all_fail_one_error_names_each_with_its_reason(cache, offer):
    offer("ML100K", {"first": refused()}, WITH_PACKAGE)
    with pytest.raises(OSError, match=r"first: .*refused") as failure:
        sources.fetch_ml100k()
    what_to_do, *reasons = str(failure.value).splitlines()
    assert what_to_do == (
        "Connect to the network and run this again; or put u.data and u.item and "
        "u.user in FOLDER/ml-100k, and set the environment variable "
        "D2LREC_DATA=FOLDER. No source gave MovieLens 100K:"
    )
    beginnings = [
        "- the folder named by D2LREC_DATA: the variable is not set",
        "- the cache: ",
        "- first: ",
        "- the package: pip failed: ",
    ]
    assert len(reasons) == len(beginnings)
    assert all(map(str.startswith, reasons, beginnings))


@pytest.mark.parametrize("way", HOSTILE)
def test_a_hostile_server_is_given_up(way, cache, serve, monkeypatch, temporary):
    address, asked = serve()
    *_, reason = HOSTILE[way]
    monkeypatch.setattr(download, "MOST_BYTES", 1_000_000)
    monkeypatch.setattr(download, "SILENCE", 0.4 if reason == SLOW_ANSWER else 60)
    monkeypatch.setattr(download, "MOST_SECONDS", 0.5 if reason == SLOW_FILE else 60)
    with pytest.raises((OSError, ValueError)) as failure:
        sources.download_archive(f"{address}/{way}", sources.ML100K)
    assert re.search(reason, str(failure.value))
    assert set(asked) == {way}
    assert serve.sent() < 20_000_000, "what did not fit was not asked for"
    assert files_under(cache.parent) == files_under(temporary) == {}


def test_a_long_and_hostile_reason_is_cut(serve, offer):
    address, _ = serve()
    offer("ML100K", {"first": f"{address}/long-reason"})
    with pytest.raises(OSError, match="first: 500 Server Error: really") as failure:
        sources.fetch_ml100k()
    assert max(map(len, str(failure.value).splitlines())) < 600


def test_pip_is_held_to_its_seconds_and_clears_up(serve, offer, monkeypatch, temporary):
    address, _ = serve()
    set_index(monkeypatch, f"{address}/silent")
    offer("ML100K", others=WITH_PACKAGE)
    monkeypatch.setattr(download, "PIP_SECONDS", 1)
    with pytest.raises(OSError, match=r"the package: .* timed out after 1 s"):
        sources.fetch_ml100k()
    assert list(temporary.iterdir()) == []


def test_where_packets_vanish_the_chain_ends(cache, offer, monkeypatch):
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):  # they fill the queue, and what comes after them is dropped
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TimeoutError):
            socket.create_connection(listener.getsockname(), timeout=0.2)
        offer("ML100K", {"one": address, "two": address}, WITH_PACKAGE)
        set_index(monkeypatch, address)
        monkeypatch.setattr(download, "SILENCE", 0.3)
        monkeypatch.setattr(download, "PIP_SECONDS", 1)
        given_up = "(timed out|it took more than)"
        reasons = (
            rf"one: .*{given_up}.*\n.*two: .*{given_up}.*\n.*package: .*{given_up}"
        )
        with pytest.raises(OSError, match=reasons):
            sources.fetch_ml100k()


def test_the_chain_gives_up_within_half_a_minute():
    """The seconds in which nothing comes, as the tests above see them kept."""
    for records in ([sources.ML100K], [sources.NCF, sources.ML1M]):
        getters = [get for one in records for get, _ in one.downloads.values()]
        packages = getters.count(sources.download_package)
        silent = (len(getters) - packages) * download.SILENCE
        assert silent + packages * (download.PIP_SECONDS + 1) < 30


def set_index(monkeypatch, address):
    """Let pip ask only this address."""
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", address)


def test_an_expired_certificate_is_passed_over(
    cache, serve, offer, monkeypatch, tmp_path
):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    dates = {"not_before": now - 90 * day, "not_after": now - day}
    expired, _ = serve(authority.issue_cert("localhost", **dates))
    valid, _ = serve(authority.issue_cert("localhost"))
    offer("ML100K", {"expired": f"{expired}/good"})
    with pytest.raises(OSError, match=r"expired: .*certificate has expired"):
        sources.fetch_ml100k()
    offer("ML100K", {"expired": f"{expired}/good", "valid": f"{valid}/good"})
    assert sources.fetch_ml100k() == (FILES, "valid")
    assert files_under(cache) == FILES


@pytest.mark.parametrize("way", ["good", "in-chunks"])
def test_the_second_run_reads_the_cache(way, serve, offer, capfd):
    address, asked = serve()
    offer("ML100K", {"first": f"{address}/{way}"})
    assert sources.fetch_ml100k() == (FILES, "first")
    assert sources.fetch_ml100k() == (FILES, "the cache")
    assert asked == [way]
    assert capfd.readouterr() == ("", ""), "no logger wrote into the notebook"


def test_a_half_written_cache_is_not_used_but_replaced(cache, serve, offer):
    address, _ = serve()
    put_in_place(cache.parent, FILES | {"u.data": FILES["u.data"][:-100]})
    with pytest.raises(
        OSError, match=r"the cache: u\.data has other bytes than it sho"
    ):
        sources.fetch_ml100k()
    offer("ML100K", {"first": f"{address}/good"})
    assert sources.fetch_ml100k() == (FILES, "first")
    assert files_under(cache) == FILES


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


@posix_only
def test_a_read_only_cache_costs_only_the_next_download(
    serve, offer, monkeypatch, read_only_folder
):
    with pytest.raises(PermissionError):
        (read_only_folder / "probe").touch()
    address, asked = serve()
    monkeypatch.setattr(download, "CACHE", read_only_folder)
    offer("ML100K", {"first": f"{address}/good"})
    assert sources.fetch_ml100k() == (FILES, "first")
    assert sources.fetch_ml100k() == (FILES, "first")
    assert list(read_only_folder.iterdir()) == []
    assert asked == ["good", "good"]


@posix_only
@pytest.mark.parametrize("waits_for", ["a server", "pip"])
def test_a_run_killed_while_it_waits_leaves_nothing_in_the_cache(
    waits_for, cache, serve, offer, monkeypatch, temporary
):
    address, asked = serve()
    monkeypatch.setattr(download, "SILENCE", 30)
    if waits_for == "pip":
        set_index(monkeypatch, f"{address}/silent")
        offer("ML100K", others=WITH_PACKAGE)
    else:
        offer("ML100K", {"first": f"{address}/stalls-midway"})
    run = SEPARATE_PROCESS.Process(target=sources.fetch_ml100k)
    run.start()
    while run.is_alive() and not asked:
        time.sleep(0.01)
    time.sleep(0.1)
    run.kill()
    run.join()
    assert files_under(cache.parent) == files_under(temporary) == {}
    offer("ML100K", {"first": f"{address}/good"})
    assert sources.fetch_ml100k() == (FILES, "first")


@posix_only
def test_two_processes_at_once_both_get_the_right_bytes(
    cache, serve, offer, monkeypatch
):
    address, asked = serve()
    monkeypatch.setattr(download, "SILENCE", 60)
    offer("ML100K", {"first": f"{address}/slow"})
    answers = SEPARATE_PROCESS.Queue()
    for _ in range(2):
        SEPARATE_PROCESS.Process(
            target=lambda: answers.put(sources.fetch_ml100k())
        ).start()
    assert [answers.get(timeout=60) for _ in range(2)] == [(FILES, "first")] * 2
    assert asked == ["slow", "slow"]
    assert files_under(cache) == FILES


def test_the_named_folder_comes_first_and_is_left_alone(cache, tmp_path, monkeypatch):
    put_in_place(tmp_path / "by-hand", FILES)
    monkeypatch.setenv("D2LREC_DATA", str(tmp_path / "by-hand"))
    assert sources.fetch_ml100k() == (FILES, "the folder named by D2LREC_DATA")
    assert files_under(cache) == {}


def test_a_damaged_named_folder_is_reported_and_left_alone(
    cache, tmp_path, serve, offer, monkeypatch
):
    address, _ = serve()
    damaged = {name: content + b"more" for name, content in FILES.items()}
    put_in_place(tmp_path / "by-hand", damaged)
    monkeypatch.setenv("D2LREC_DATA", str(tmp_path / "by-hand"))
    offer("ML100K", {"first": f"{address}/good"})
    files, source = sources.fetch_ml100k()
    assert files == FILES
    reported = "first, not from the folder named by D2LREC_DATA: u.data has other bytes"
    assert source.startswith(reported)
    assert files_under(tmp_path / "by-hand") == damaged


@pytest.mark.parametrize(
    ("size", "reason"),
    [(0, r"recbole==1\.2\.1 has other bytes than it"), (2_000_000, f"has {MANY}")],
)
def test_a_wheel_with_other_bytes_or_too_many_is_refused(
    size, reason, cache, offer, tmp_path, monkeypatch, temporary
):
    info = "recbole-1.2.1.dist-info"
    parts = {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any",
        f"{info}/RECORD": "",
        "recbole/large.bin": bytes(size),
    }
    (tmp_path / "wheels").mkdir()
    wheel = tmp_path / "wheels" / "recbole-1.2.1-py3-none-any.whl"
    wheel.write_bytes(zip_of(parts))
    monkeypatch.setattr(download, "MOST_BYTES", 1_000_000)
    offer("ML100K", others=WITH_PACKAGE)
    with pytest.raises(OSError, match=f"the package: .*{reason}"):
        sources.fetch_ml100k()
    assert files_under(cache) == {}
    assert list(temporary.iterdir()) == []


def test_the_package_index_alone_gives_the_real_ratings(tmp_path, monkeypatch):
    """No folder, no cache, no web: only what pip reaches on this machine."""
    monkeypatch.delenv("D2LREC_DATA", raising=False)
    monkeypatch.setattr(download, "CACHE", tmp_path)
    monkeypatch.setattr(download, "PIP_SECONDS", 60)
    only_the_package = sources.ML100K._replace(downloads=WITH_PACKAGE)
    monkeypatch.setattr(sources, "ML100K", only_the_package)
    files, source = sources.fetch_ml100k()
    assert source == "the package"
    assert sha256(files["u.data"]) in sources.ML100K.files["u.data"]
    assert sources.fetch_ml100k() == (files, "the cache")


WITH_NCFS = "with NCF's negatives"
WITH_OUR_OWN = "split by NCF's rule with seeded negatives of our own"


def split_and_source_of_ml1m():
    (users, items, _, split), source = sources.fetch_ml1m(ncf.parse_ml1m)
    assert [users.tolist(), items.tolist()] == small_ml1m.PAIRS
    return split, source


def from_ncf(address):
    return {"NCF's own files": (sources.download_files, address)}


BAD_NCF = {
    "refuses": "refused",
    "missing": "404",
    "cut-off": "ml-1m.test.negative has other bytes than it should",
    "other-bytes": "ml-1m.test.negative has other bytes than it should",
    "half-of-ml-1m.train.rating": "ml-1m.train.rating: ",
    "without-ml-1m.test.negative": "404 .*ml-1m.test.negative",
}


@pytest.mark.parametrize("way", BAD_NCF)
def test_the_sources_of_ml1m_are_tried_in_their_order(way, cache, serve, offer):
    address, asked = serve()
    good, gone = f"{address}/good", f"{address}/missing"
    offer("NCF", others=from_ncf(address_of(way, address)))
    offer("ML1M", {"first": gone})
    reasons = f"NCF's own files: .*{BAD_NCF[way]}.*\n- first: 404"
    with pytest.raises(OSError, match=reasons) as failure:
        split_and_source_of_ml1m()
    for said in [
        "put ml-1m.train.rating and ml-1m.test.negative in FOLDER/ncf, or ratings.dat ",
        "D2LREC_DATA: the variable is not set",
        "the cache: ",
    ]:
        assert said in str(failure.value)
    assert files_under(cache.parent) == {}
    asked.clear()
    offer("ML1M", {"first": gone, "second": good, "third": good})
    assert split_and_source_of_ml1m() == (WITH_OUR_OWN, "second")
    assert files_under(cache.parent) == {"ratings.dat": RATINGS}
    assert asked[-2:] == ["missing", "good"]
    assert split_and_source_of_ml1m() == (WITH_OUR_OWN, "the cache")


def test_ncfs_own_files_come_before_the_archive_and_are_kept(cache, serve, offer):
    address, asked = serve()
    offer("NCF", others=from_ncf(f"{address}/good"))
    offer("ML1M", {"first": f"{address}/archive"})
    assert split_and_source_of_ml1m() == (WITH_NCFS, "NCF's own files")
    assert split_and_source_of_ml1m() == (WITH_NCFS, "the cache")
    assert files_under(cache.parent / "ncf") == NCF
    assert asked == ["good"] * len(NCF)


@pytest.mark.parametrize("name", NCF)
def test_a_truncated_file_of_ml1m_in_the_cache_is_replaced(name, cache, serve, offer):
    address, _ = serve()
    put_in_place(cache.parent, NCF | {name: NCF[name][: len(NCF[name]) // 2]})
    with pytest.raises(OSError, match=f"the cache: {name}"):
        split_and_source_of_ml1m()
    offer("NCF", others=from_ncf(f"{address}/good"))
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


def instead_of_files(folder, thing):
    """Leave something else at `folder` than the files that should lie there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if thing == "a file":
        folder.write_bytes(b"")
    elif thing == "a link in circles":
        folder.symlink_to(folder)
    elif thing == "a link to nowhere":
        folder.symlink_to(folder.parent / "nowhere")
    elif thing == "folders":
        for name in NCF:
            (folder / name).mkdir(parents=True)
    elif thing == "empty files":
        put_in_place(folder.parent, dict.fromkeys(NCF, b""))


LINKS = [pytest.param(f"a link {where}", marks=posix_only)
         for where in ("in circles", "to nowhere")]  # fmt: skip
THINGS = ["a file", *LINKS, "folders", "empty files"]


@pytest.mark.parametrize("place", ["the folder named by D2LREC_DATA", "the cache"])
@pytest.mark.parametrize("thing", THINGS)
def test_a_damaged_form_does_not_hide_the_other(
    thing, place, cache, tmp_path, monkeypatch
):
    folder = cache.parent if place == "the cache" else tmp_path / "by-hand"
    instead_of_files(folder / "ncf", thing)
    put_in_place(folder, {"ratings.dat": RATINGS})
    monkeypatch.setenv("D2LREC_DATA", str(tmp_path / "by-hand"))
    split, source = split_and_source_of_ml1m()
    assert split == WITH_OUR_OWN
    assert source.startswith(place)


@pytest.mark.parametrize("thing", THINGS)
def test_a_cache_that_cannot_be_mended_is_passed_over(thing, cache, serve, offer):
    address, _ = serve()
    instead_of_files(cache.parent / "ncf", thing)
    offer("NCF", others=from_ncf(f"{address}/good"))
    assert split_and_source_of_ml1m() == (WITH_NCFS, "NCF's own files")
    assert not list(cache.parent.rglob("*.part"))


@posix_only
def test_what_a_link_in_the_cache_leads_to_is_left_alone(cache, tmp_path):
    """The reader's own folder, in which a film was taken out."""
    damaged = {name: content[20:] for name, content in FILES.items()}
    put_in_place(tmp_path / "own", damaged)
    cache.parent.mkdir()
    cache.symlink_to(tmp_path / "own" / "ml-100k")
    with pytest.raises(OSError, match=r"the cache: u\.data has other bytes"):
        sources.fetch_ml100k()
    assert files_under(tmp_path / "own") == damaged


def test_wrong_ratings_in_the_named_folder_are_reported(cache, tmp_path, monkeypatch):
    put_in_place(tmp_path / "by-hand", {"ratings.dat": RATINGS[: len(RATINGS) // 2]})
    put_in_place(cache.parent, NCF)
    monkeypatch.setenv("D2LREC_DATA", str(tmp_path / "by-hand"))
    split, source = split_and_source_of_ml1m()
    assert split == WITH_NCFS
    assert source.startswith("the cache, not from the folder named by D2LREC_DATA: ")
    assert "ratings.dat: " in source
