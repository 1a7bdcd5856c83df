"""The example app as a container runs it: the process, its environment, SIGTERM."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import my_app
import pytest

LIMIT_S: Final = 20.0


@contextmanager
def started(**environ: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "my_app"],
        env={**os.environ, "PYTHONPATH": str(Path(my_app.__file__).parents[1]), **environ},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        match = re.fullmatch(r"pod-7 on port (\d+)\n", process.stdout.readline())
        assert match is not None
        yield process, f"http://127.0.0.1:{match[1]}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(("sigterm", "status"), [("graceful:0", 0), ("ignore:0.1", 0), ("close", 0), ("die", 143)])
def test_it_serves_and_ends_as_it_is_told(sigterm: str, status: int) -> None:
    with started(MY_APP_NAME="pod-7", MY_APP_PORT="0", MY_APP_SIGTERM=sigterm) as (process, url):
        with urllib.request.urlopen(url, timeout=LIMIT_S) as reply:
            assert reply.read() == b"pod-7\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == status


def test_a_wrong_variable_ends_it_with_one_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "my_app"],
        env={**os.environ, "PYTHONPATH": str(Path(my_app.__file__).parents[1]), "MY_APP_RATIO": "2"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert (ended.returncode, ended.stderr) == (2, "ratio: '2' is not a share from 0 to 1\n")
