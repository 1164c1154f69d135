"""Files that are written completely or not at all, and files that only grow."""

import os
import stat
import sys
import threading
import time

import pytest
from systems import SEPARATE_PROCESS, posix_only, small_disk

from d2lrec import files
from d2lrec.files import append, write_atomically

ONE, OTHER = b"1" * 300_000, b"2" * 200_000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "best.pt"


def names(folder):
    return sorted(file.name for file in folder.iterdir())


# Written completely or not at all


def test_folders_are_made_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a" / "b" / "best.pt"
    for content in (ONE, OTHER, b""):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert names(path.parent) == ["best.pt"]


@posix_only
@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing yet"])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_stays_and_its_target_is_written(there, absolute, tmp_path):
    target = tmp_path / "disk" / "best.pt"
    link, first = tmp_path / "best.pt", tmp_path / "first.pt"
    link.symlink_to(target if absolute else "disk/best.pt")
    first.symlink_to(link)
    if there:
        write_atomically(target, ONE)
    write_atomically(first, OTHER)
    assert first.is_symlink()
    assert link.is_symlink()
    assert not target.is_symlink()
    assert target.read_bytes() == OTHER
    assert names(tmp_path) == ["best.pt", "disk", "first.pt"]


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
def test_an_old_file_keeps_its_mode(mode, path):
    write_atomically(path, ONE)
    path.chmod(mode)
    write_atomically(path, OTHER)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == OTHER


@posix_only
@pytest.mark.parametrize(
    ("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)]
)
def test_a_new_file_has_the_mode_that_the_umask_says(umask, mode, path):
    before = os.umask(umask)
    try:
        write_atomically(path, ONE)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix_only
@pytest.mark.parametrize(
    "name", ["x" * 250, "x" * 255, "ä" * 127, ".x", "a b", "x.part"]
)
def test_every_name_will_do_that_the_system_allows(name, tmp_path):
    for content in (ONE, OTHER):
        write_atomically(tmp_path / name, content)
        assert (tmp_path / name).read_bytes() == content
    assert names(tmp_path) == [name]


@posix_only
def test_a_name_that_the_system_does_not_allow_is_named(tmp_path):
    with pytest.raises(OSError, match=r"too long.*xxx'"):
        write_atomically(tmp_path / ("x" * 256), ONE)
    assert names(tmp_path) == []


@posix_only
def test_a_full_disk_names_the_file_and_leaves_the_old_one(path):
    write_atomically(path, b"old")
    with small_disk(1000), pytest.raises(OSError, match=r"best\.pt") as full:
        write_atomically(path, ONE)
    assert full.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert names(path.parent) == ["best.pt"]


def test_a_folder_is_left_as_it_is(path):
    path.mkdir()
    with pytest.raises(OSError, match=r"best\.pt"):
        write_atomically(path, ONE)
    assert path.is_dir()
    assert names(path.parent) == ["best.pt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_write_leaves_the_old_file_alone(error, path, monkeypatch):
    def interrupted(descriptor):
        raise error

    write_atomically(path, ONE)
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(error):
        write_atomically(path, OTHER)
    assert path.read_bytes() == ONE
    assert names(path.parent) == ["best.pt"]


def test_the_parts_of_killed_runs_are_cleared_and_nothing_else(path):
    abandoned, fresh = (files.PARTS.replace("*", f"{n:016x}") for n in range(2))
    others = ["mine.part", ".d2lrec-notes", "best.pt.123.part"]
    for name in (abandoned, fresh, *others):
        (path.parent / name).write_bytes(b"a part")
        if name != fresh:
            os.utime(path.parent / name, (time.time() - 2 * 3600,) * 2)
    write_atomically(path, ONE)
    assert names(path.parent) == sorted(["best.pt", fresh, *others])


def write_in_turns(path, end):
    while time.monotonic() < end:
        for content in (ONE, OTHER):
            write_atomically(path, content)


@posix_only
def test_threads_and_processes_write_one_file_at_once(path, monkeypatch):
    """The numbers of processes are alike, as in two containers that share a folder."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    write_atomically(path, ONE)
    failures, end = [], time.monotonic() + 0.7

    def try_it():
        try:
            write_in_turns(path, end)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=try_it) for _ in range(2)]
    processes = [
        SEPARATE_PROCESS.Process(target=write_in_turns, args=(path, end)) for _ in "ab"
    ]
    for each in (*processes, *threads):
        each.start()
    reads = 0
    while time.monotonic() < end or not reads:
        assert path.read_bytes() in (ONE, OTHER)
        reads += 1
    for each in (*processes, *threads):
        each.join()
    assert failures == []
    assert [process.exitcode for process in processes] == [0, 0]
    assert names(path.parent) == ["best.pt"]


@posix_only
@pytest.mark.parametrize("wait", [0.0, 0.002, 0.005])
def test_a_killed_write_leaves_a_complete_file(wait, path):
    run = SEPARATE_PROCESS.Process(
        target=write_in_turns, args=(path, time.monotonic() + 60)
    )
    run.start()
    while not path.exists():
        assert run.is_alive()
        time.sleep(0.001)
    time.sleep(wait)
    run.kill()
    run.join()
    assert path.read_bytes() in (ONE, OTHER)


# Appended to


def test_what_is_appended_is_there_at_once(tmp_path):
    path = tmp_path / "a" / "runs.jsonl"
    for content, there in ((b"", b""), (b"one", b"one"), (ONE, b"one" + ONE)):
        append(path, content)
        assert path.read_bytes() == there


def text_of(number):
    return b"\n%d " % number * 50


def append_all(path, numbers):
    for number in numbers:
        append(path, text_of(number))


@posix_only
def test_two_processes_append_to_one_file_and_no_line_is_cut(path):
    parts = range(300), range(300, 600)
    processes = [
        SEPARATE_PROCESS.Process(target=append_all, args=(path, part)) for part in parts
    ]
    for each in processes:
        each.start()
    for each in processes:
        each.join()
    written = path.read_bytes()
    texts = [text_of(number) for part in parts for number in part]
    assert len(written) == sum(map(len, texts))
    assert all(text in written for text in texts)


@posix_only
def test_appending_to_a_full_disk_names_the_file(path):
    append(path, b"x" * 990)
    with small_disk(1000), pytest.raises(OSError, match=r"best\.pt") as full:
        append(path, b"y" * 20)
    assert full.value.filename == str(path)
    assert path.read_bytes() == b"x" * 990 + b"y" * 10


@pytest.mark.skipif(sys.platform != "linux", reason="the device is Linux's")
def test_a_device_that_is_full_is_named():
    with pytest.raises(OSError, match=r"No space left.*/dev/full"):
        append("/dev/full", b"x")
