"""The attackers' endpoint answers a GET whole and right, and takes a body without a word."""

import os
import socket
from pathlib import Path

import pytest

from loadtests.attack import endpoint
from loadtests.compare.processes import HOST, free_ports, started
from loadtests.compare.verify import first_reply


def test_it_sends_all_of_it_and_reads_no_body(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with started(endpoint.command(port), min(os.sched_getaffinity(0)), tmp_path / "log"):
        assert first_reply(port, endpoint.HUGE, within_s=20.0)
        with socket.create_connection((HOST, port), timeout=0.1) as client:
            client.sendall(b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123")
            with pytest.raises(TimeoutError):
                client.recv(1)
