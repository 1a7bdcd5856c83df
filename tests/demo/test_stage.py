"""Where the demo puts things, and that it says why when it cannot."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from fairlead.demo.stage import HOST, Stage, StageError, free_port


def test_a_port_that_is_taken_is_not_free() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) not in (0, port)


async def test_a_proxy_that_does_not_start_is_reported_with_its_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("fairlead.demo.stage._CONFIGURATION", "listners: {{}}\n")
    stage = Stage()
    try:
        with pytest.raises(StageError, match=r"could not start\n    .*fairlead\.yaml.*listners"):
            await stage.open()
    finally:
        await stage.close()
    assert not os.listdir(tmp_path)
    assert all(backend.process and backend.process.returncode for backend in stage.backends.values())
