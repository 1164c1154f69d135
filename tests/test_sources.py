"""The chain of data sources, against servers that misbehave.

Every test ends in one of two ways: the right bytes, or one error that names every source
and its reason. In both, the cache holds right files or none.
"""

import datetime
import hashlib
import http.server
import io
import multiprocessing
import os
import shutil
import signal
import ssl
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import pytest
import trustme
from test_ml1m import NCF, RATINGS, SIZES

from d2lrec import download, ml1m, sources

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
    "ml-100k.zip": zip_of({f"ml-100k/{name}": content for name, content in FILES.items()}),
    "ml-1m.zip": zip_of({"ml-1m/ratings.dat": RATINGS}),
    **NCF,
}


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
        server.asked, server.over, server.handle_error = [], threading.Event(), lambda *args: None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        scheme = "https" if tls else "http"
        return f"{scheme}://localhost:{server.server_port}", server.asked

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
    monkeypatch.setattr(download, "cache_folder", lambda: folder)
    monkeypatch.setattr(download, "HTTP_TIMEOUT", 0.5)
    monkeypatch.setattr(sources, "URLS", {})
    monkeypatch.setattr(sources, "NCF_URL", refused())
    zips = {name: sha256(PUBLISHED[f"{name}.zip"]) for name in sources.ZIP_SHA256}
    monkeypatch.setattr(sources, "ZIP_SHA256", zips)
    known = {name: content for name, content in (FILES | NCF).items() if "train" not in name}
    hashes = {name: (sha256(content),) for name, content in known.items()}
    monkeypatch.setattr(sources, "FILES_SHA256", hashes)
    for name, size in SIZES.items():
        monkeypatch.setattr(ml1m, name, size)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return folder / "ml-100k"


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
        ("silent", "Read timed out"),
        ("stalls-midway", "Read timed out"),
        ("cut-off", "IncompleteRead|hash"),
        ("other-bytes", "does not match the known hash"),
    ],
)
def test_when_all_fail_one_error_names_each_with_its_reason(way, reason, cache, serve, monkeypatch):
    address, _ = serve()
    monkeypatch.setattr(sources, "URLS", {"first": address_of(way, address)})
    with pytest.raises(OSError, match=f"(?s)first: .*{reason}") as failure:
        sources.fetch_ml100k()
    for said in ["D2LREC_DATA: the variable is not set", "the cache: ", "recbole==1.2.1: pip"]:
        assert said in str(failure.value)
    assert "set the environment variable D2LREC_DATA" in str(failure.value)
    assert_empty(cache)


def test_an_expired_certificate_is_passed_over(cache, serve, monkeypatch, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    now = datetime.datetime.now(datetime.UTC)
    long_ago, yesterday = now - datetime.timedelta(days=90), now - datetime.timedelta(days=1)
    expired, _ = serve(authority.issue_cert("localhost", not_before=long_ago, not_after=yesterday))
    valid, _ = serve(authority.issue_cert("localhost"))
    monkeypatch.setattr(sources, "URLS", {"expired": f"{expired}/good"})
    with pytest.raises(OSError, match=r"expired: .*certificate has expired"):
        sources.fetch_ml100k()
    monkeypatch.setattr(sources, "URLS", {"expired": f"{expired}/good", "valid": f"{valid}/good"})
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


def test_a_half_written_cache_is_not_kept_when_all_else_fails(cache):
    cache.mkdir(parents=True)
    for name, content in FILES.items():
        (cache / name).write_bytes(content[:-10])
    with pytest.raises(OSError, match=r"the cache: .* has other bytes than it should"):
        sources.fetch_ml100k()
    assert_empty(cache)


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
    monkeypatch.setattr(download, "cache_folder", lambda: read_only_folder)
    monkeypatch.setattr(sources, "URLS", {"first": f"{address}/good"})
    assert sources.fetch_ml100k() == (FILES, "first")
    assert sources.fetch_ml100k() == (FILES, "first")
    assert list(read_only_folder.iterdir()) == []
    assert asked == ["good", "good"]


def test_a_run_killed_while_downloading_leaves_no_broken_file(cache, serve, monkeypatch):
    address, asked = serve()
    monkeypatch.setattr(download, "HTTP_TIMEOUT", 30)
    monkeypatch.setattr(sources, "URLS", {"first": f"{address}/stalls-midway"})
    run = SEPARATE_PROCESS.Process(target=sources.fetch_ml100k)
    run.start()
    while not asked:
        time.sleep(0.01)
    time.sleep(0.2)
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    assert_empty(cache)
    monkeypatch.setattr(sources, "URLS", {"first": f"{address}/good"})
    assert sources.fetch_ml100k() == (FILES, "first")


def test_two_processes_at_once_both_get_the_right_bytes(cache, serve, monkeypatch):
    address, asked = serve()
    monkeypatch.setattr(download, "HTTP_TIMEOUT", 10)
    monkeypatch.setattr(sources, "URLS", {"first": f"{address}/slow"})
    answers = SEPARATE_PROCESS.Queue()
    for _ in range(2):
        SEPARATE_PROCESS.Process(target=lambda: answers.put(sources.fetch_ml100k())).start()
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


def test_a_damaged_named_folder_is_reported_and_left_alone(cache, tmp_path, serve, monkeypatch):
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


def test_a_wheel_with_other_bytes_is_refused(cache, tmp_path):
    metadata = "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    info = "recbole-1.2.1.dist-info"
    wheel = {f"{info}/METADATA": metadata, f"{info}/WHEEL": tags, f"{info}/RECORD": ""}
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "recbole-1.2.1-py3-none-any.whl").write_bytes(zip_of(wheel))
    with pytest.raises(OSError, match=r"recbole==1\.2\.1: .*does not match the known hash"):
        sources.fetch_ml100k()
    assert_empty(cache)


def test_the_package_index_alone_gives_the_real_ratings(tmp_path, monkeypatch):
    """No folder, no cache, no web: only what pip reaches on this machine."""
    monkeypatch.delenv("D2LREC_DATA", raising=False)
    monkeypatch.setattr(download, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(sources, "URLS", {"the web": refused()})
    files, source = sources.fetch_ml100k()
    assert source == "the package recbole==1.2.1"
    assert sha256(files["u.data"]) == sources.FILES_SHA256["u.data"][0]
    assert sources.fetch_ml100k() == (files, "the cache")


def split_and_source_of_ml1m():
    (users, items, candidates, split), source = sources.fetch_ml1m(ml1m.parse_ml1m)
    assert (len(users), len(items), len(candidates)) == (147, 147, 3)
    return split, source


def put_in_place(folder, files):
    """Write files, name to bytes, where they belong under `folder`."""
    subfolders = {name: subfolder for subfolder, names in sources.ML1M.items() for name in names}
    for name, content in files.items():
        (folder / subfolders[name]).mkdir(parents=True, exist_ok=True)
        (folder / subfolders[name] / name).write_bytes(content)


def files_under(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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
    for said in ["D2LREC_DATA: the variable is not set", "the cache: there is no", "FOLDER/ncf"]:
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
def test_a_truncated_file_of_ml1m_in_the_cache_is_replaced(name, cache, serve, monkeypatch):
    address, _ = serve()
    put_in_place(cache.parent, NCF | {name: NCF[name][: len(NCF[name]) // 2]})
    with pytest.raises(OSError, match=f"the cache: {name}"):
        split_and_source_of_ml1m()
    assert files_under(cache.parent) == {}
    put_in_place(cache.parent, NCF | {name: NCF[name][: len(NCF[name]) // 2]})
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
def test_the_named_folder_gives_ml1m_in_either_form(files, split, cache, tmp_path, monkeypatch):
    put_in_place(tmp_path / "by-hand", files)
    put_in_place(cache.parent, NCF)
    monkeypatch.setenv("D2LREC_DATA", str(tmp_path / "by-hand"))
    assert split_and_source_of_ml1m() == (split, "the folder named by D2LREC_DATA")
    assert files_under(tmp_path / "by-hand") == files


def test_wrong_ratings_in_the_named_folder_are_reported(cache, tmp_path, monkeypatch):
    put_in_place(tmp_path / "by-hand", {"ratings.dat": RATINGS[: len(RATINGS) // 2]})
    put_in_place(cache.parent, NCF)
    monkeypatch.setenv("D2LREC_DATA", str(tmp_path / "by-hand"))
    split, source = split_and_source_of_ml1m()
    assert split == WITH_NCFS
    assert source.startswith("the cache, not from the folder named by D2LREC_DATA: ratings.dat")
