"""The whole demo as users start it, beside a terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LIMIT_S = 60.0


@pytest.fixture
def mark(tmp_path: Path) -> str:
    """What the environment of every process of this test's demo holds, and of no other's."""
    return f"FAIRLEAD_DEMO_TEST={tmp_path}"


@contextmanager
def demo(mark: str, tmp_path: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    name, _, value = mark.partition("=")
    process = subprocess.Popen(
        [sys.executable, "-m", "fairlead", "demo", *arguments],
        env={**os.environ, name: value, "TMPDIR": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def marked(mark: str) -> list[str]:
    """The command lines of the processes that hold the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # ended meanwhile, or somebody else's
    return found


def test_it_shows_a_kill_that_costs_no_request_and_leaves_nothing_behind(mark: str, tmp_path: Path) -> None:
    with demo(mark, tmp_path, "--seconds", "3") as process:
        out, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, errors) == (0, ""), out
    assert "backend a was killed" in out and "backend a was started again" in out
    assert re.search(r"^\d\d:\d\d:\d\d +2 s: \d+ requests/s, ", out, re.MULTILINE)
    summary = re.search(r"^([\d,]+) requests in 3 s: ([\d,]+) ok, 0 failed", out, re.MULTILINE)
    assert summary, out
    assert int(summary[2].replace(",", "")) > 300
    assert len(re.findall(r"^  [abc]  127\.0\.0\.1:\d+  [\d,]+ requests, 0 errors$", out, re.MULTILINE)) == 3
    assert marked(mark) == []
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_ends_it_in_order(mark: str, tmp_path: Path) -> None:
    with demo(mark, tmp_path) as process:
        assert process.stdout is not None
        while not re.match(r"\d\d:\d\d:\d\d +1 s: ", line := process.stdout.readline()):
            assert line, "the demo has ended"
        assert len(marked(mark)) >= 5  # itself, three backends, the proxy and its workers
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, errors) == (0, "")
    assert re.search(r"^[\d,]+ requests in \d s: ", out, re.MULTILINE)
    assert marked(mark) == []
    assert list(tmp_path.iterdir()) == []


def test_the_death_of_the_proxy_is_no_success(mark: str, tmp_path: Path) -> None:
    with demo(mark, tmp_path) as process:
        assert process.stdout is not None
        while not re.match(r"\d\d:\d\d:\d\d +1 s: ", line := process.stdout.readline()):
            assert line, "the demo has ended"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        (proxy,) = (int(pid) for pid in children if b"run" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
        os.kill(proxy, signal.SIGKILL)
        _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 1
    assert "fairlead demo: the proxy has ended (status -9)" in errors
    assert list(tmp_path.iterdir()) == []
