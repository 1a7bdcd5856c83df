"""The access log against real files, pipes and a full disk: it blocks nobody and counts what it loses."""

import errno
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fairlead.observe.access_log import LIMIT, AccessLog
from fairlead.observe.access_record import Record

CHILD = """
import sys
from fairlead.observe.access_log import AccessLog

to, name, count = sys.argv[1:]
log = AccessLog(to, "json", 1.0)
for n in range(int(count)):
    target = b"/" + b"x" * (n * 37 % 900)
    log.record((1.0, name, "shop", b"c", b"GET", target, b"h", 200, "e", n, 0, 0, 0, 0, "", b"", ()))
log.close(30)
sys.exit(log.dropped)
"""


def record(n: int = 0, *, status: int = 200, reason: str = "", target: bytes = b"/") -> Record:
    return (1.0, "web", "shop", b"c", b"GET", target, b"h", status, "e", n, 0, 0, 0, 0, reason, b"", ())


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["attempts"] for line in path.read_bytes().splitlines()]


def until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A pipe that can be opened by name, and the end to read from."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    yield str(path), reader
    os.close(reader)


def read_all(fd: int) -> bytes:
    return b"".join(iter(lambda: os.read(fd, 65536), b""))


def test_closing_writes_what_waits_in_order(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "log"), "json", 1.0)
    for n in range(1000):
        log.record(record(n))
    log.close(30)
    assert numbers(tmp_path / "log") == list(range(1000))
    assert (log.dropped, log.problem) == (0, "")


def test_a_record_is_written_without_being_asked_for(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "log"), "text", 1.0)
    log.record(record(5))
    until(lambda: b" attempts=5 " in (tmp_path / "log").read_bytes())
    log.close(30)


def test_an_existing_file_is_appended_to(tmp_path: Path) -> None:
    for n in range(2):
        log = AccessLog(str(tmp_path / "log"), "json", 1.0)
        log.record(record(n))
        log.close(30)
    assert numbers(tmp_path / "log") == [0, 1]


def test_a_sample_is_evenly_spread(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "log"), "json", 0.25)
    for n in range(100):
        log.record(record(n))
    log.close(30)
    assert numbers(tmp_path / "log") == list(range(3, 100, 4))
    assert log.dropped == 0


@pytest.mark.parametrize("sample", [0.0, 0.1])
def test_errors_are_logged_whatever_the_sample(tmp_path: Path, sample: float) -> None:
    log = AccessLog(str(tmp_path / "log"), "json", sample)
    log.record(record(1, status=500))
    log.record(record(2, status=404))
    log.record(record(3, status=499, reason="client-gone"))
    log.record(record(4, reason="upstream-reset"))
    log.close(30)
    assert numbers(tmp_path / "log") == [1, 3, 4]


def test_a_pipe_that_nobody_reads_blocks_nobody(fifo: tuple[str, int]) -> None:
    path, reader = fifo
    log = AccessLog(path, "json", 1.0)
    for n in range(LIMIT + 5000):
        log.record(record(n))
    assert log.dropped > 4000  # the pipe took a few hundred, the thread holds some
    dropped = log.dropped
    log.close(0.01)
    assert dropped < log.dropped <= LIMIT + 5000
    assert read_whole_lines(reader) > 0


def read_whole_lines(reader: int) -> int:
    os.set_blocking(reader, False)
    lines = os.read(reader, 1 << 20).splitlines(keepends=True)
    assert all(json.loads(line) and line.endswith(b"\n") for line in lines)
    return len(lines)


def test_after_a_stall_each_record_is_written_or_counted(fifo: tuple[str, int]) -> None:
    path, reader = fifo
    log = AccessLog(path, "json", 1.0)
    total = LIMIT + 5000
    for n in range(total):
        log.record(record(n))
    received: list[bytes] = []
    thread = threading.Thread(target=lambda: received.append(read_all(reader)))
    thread.start()
    log.close(30)
    thread.join(30)
    lines = received[0].splitlines()
    assert log.dropped > 0
    assert len(lines) + log.dropped == total
    assert [json.loads(line)["attempts"] for line in lines[:1000]] == list(range(1000))


def test_while_many_wait_long_records_find_no_room(fifo: tuple[str, int]) -> None:
    path, _ = fifo
    log = AccessLog(path, "json", 1.0)
    for _ in range(3000):
        log.record(record())
    assert log.dropped == 0
    log.record(record(target=b"x" * 30_000))
    log.record(record(target=b"x" * 500))
    assert log.dropped == 1
    log.close(0.01)


def test_a_full_disk_is_counted_and_named() -> None:
    log = AccessLog("/dev/full", "json", 1.0)
    for n in range(200):
        log.record(record(n))
    log.close(30)
    assert (log.dropped, log.problem) == (200, "No space left on device")


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_that_the_disk_took_half_of_does_not_spoil_the_next(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "log"), "json", 1.0)
    with file_size_limit(1000):  # as a full disk: the write that reaches it is partial, the next one fails
        for n in range(10):
            log.record(record(n))
        until(lambda: bool(log.dropped))
    lost = log.dropped
    assert log.problem == os.strerror(errno.EFBIG)
    log.record(record(99))
    log.close(30)
    *whole, torn, last = (tmp_path / "log").read_bytes().splitlines()
    assert len(whole) + lost == 10
    assert all(json.loads(line) for line in whole)
    assert not torn.endswith(b"}")
    assert json.loads(last)["attempts"] == 99
    assert (log.dropped, log.problem) == (lost, "")


@pytest.mark.parametrize("is_blocking", [True, False])
def test_lines_of_two_processes_do_not_mix_in_a_pipe(is_blocking: bool) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, is_blocking)  # the children share this setting, as they would that of a terminal
    children = [start_child("stdout", name, stdout=writer) for name in "ab"]
    os.close(writer)
    lines = read_all(reader).splitlines()
    os.close(reader)
    assert [child.wait(30) for child in children] == [0, 0]
    assert_both_whole(lines)


def test_lines_of_two_processes_do_not_mix_in_a_file(tmp_path: Path) -> None:
    children = [start_child(str(tmp_path / "log"), name) for name in "ab"]
    assert [child.wait(60) for child in children] == [0, 0]
    assert_both_whole((tmp_path / "log").read_bytes().splitlines())


def start_child(to: str, name: str, stdout: int | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CHILD, to, name, "3000"], stdout=stdout)


def assert_both_whole(lines: list[bytes]) -> None:
    seen: dict[str, list[int]] = {"a": [], "b": []}
    for line in lines:
        entry = json.loads(line)
        seen[entry["listener"]].append(entry["attempts"])
    assert seen == {"a": list(range(3000)), "b": list(range(3000))}


@pytest.mark.parametrize("path", ["missing/log", ".", "fifo"])
def test_a_path_that_cannot_be_written_to_is_refused(tmp_path: Path, path: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="the access log cannot be opened for writing: ") as refused:
        AccessLog(str(tmp_path / path), "json", 1.0)
    assert refused.value.filename == str(tmp_path / path)
