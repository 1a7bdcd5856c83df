"""A process from its start to its end: the command line, workers that die, draining."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.harness import Client, Endpoint, Running, get, is_alive, until

Start = Callable[..., Running]
Endpoints = Callable[[str], Endpoint]


def one_liner(*to: Endpoint, workers: int = 1) -> list[str]:
    addresses = [argument for endpoint in to for argument in ("--to", endpoint.address)]
    return ["--listen", "127.0.0.1:0", *addresses, "--workers", str(workers), "--admin", "127.0.0.1:0"]


def config(to: str, more: str = "") -> str:
    return f"""
listeners:
  web: {{bind: "127.0.0.1:0", service: app}}
services:
  app: {{endpoints: {to}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
{more}
"""


def test_the_one_liner_serves_and_spreads(start: Start, endpoints: Endpoints) -> None:
    running = start(*one_liner(endpoints("a"), endpoints("b"))).wait_ready()
    replies = [get(running.port("default")) for _ in range(10)]
    assert [status for status, _, _ in replies] == [200] * 10
    assert sorted(body for _, body, _ in replies) == ["a"] * 5 + ["b"] * 5


def test_the_descriptor_limit_is_raised_for_every_process(start: Start, endpoints: Endpoints) -> None:
    running = start(*one_liner(endpoints("a"))).wait_ready()
    for pid in [running.process.pid, *running.workers()]:
        limits = Path(f"/proc/{pid}/limits").read_text()
        soft, hard = next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files"))
        assert soft == hard


def test_an_address_in_use_is_refused_with_a_reason(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "fairlead", "run", "--listen", address, "--to", "127.0.0.1:1"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=tmp_path)
    assert done.returncode == 2
    assert f"{address}: the address is in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_that_is_killed_loses_no_queued_connection(start: Start, endpoints: Endpoints) -> None:
    running = start(*one_liner(endpoints("a"))).wait_ready()
    port = running.port("default")
    (worker,) = running.workers()
    os.kill(worker, signal.SIGSTOP)
    clients = [Client(port) for _ in range(20)]  # the kernel accepts for the worker that cannot
    for client in clients:
        client.send("/")
    os.kill(worker, signal.SIGKILL)
    assert [client.reply()[2] for client in clients] == ["a"] * 20
    for client in clients:
        client.close()
    assert running.workers() != [worker]
    events = running.api("/api/v1/events")
    assert "worker-died" in str(events)


def test_counters_do_not_go_back_when_a_worker_dies(start: Start, endpoints: Endpoints) -> None:
    running = start(*one_liner(endpoints("a"), workers=2)).wait_ready()
    port = running.port("default")
    for _ in range(50):
        get(port)
    until(lambda: running.counter("fairlead_requests_total", code="200") == 50, "fifty requests are counted")
    killed = running.workers()
    os.kill(killed[0], signal.SIGKILL)
    until(lambda: len(running.workers()) == 2 and killed[0] not in running.workers(), "a successor")
    assert running.counter("fairlead_requests_total", code="200") == 50
    for _ in range(10):
        assert get(port)[0] == 200
    until(lambda: running.counter("fairlead_requests_total", code="200") == 60, "the new ones are added")
    assert running.counter("fairlead_request_duration_seconds_count") == 60


def test_workers_end_when_the_supervisor_is_killed(start: Start, endpoints: Endpoints) -> None:
    running = start(*one_liner(endpoints("a"), workers=2)).wait_ready()
    workers = running.workers()
    running.signal(signal.SIGKILL)
    until(lambda: not any(is_alive(pid) for pid in workers), "the workers end")


def test_sigterm_fails_readiness_goes_on_accepting_and_loses_nothing(start: Start, endpoints: Endpoints) -> None:
    endpoint = endpoints("a")
    running = start(config(f'["{endpoint.address}"]', "drain: {delay: 1s, limit: 10s}")).wait_ready()
    port = running.port("web")
    idle, slow = Client(port), Client(port)
    idle.send("/")
    assert idle.reply()[0] == 200
    slow.send("/slow")
    assert endpoint.begun.wait(10)
    running.signal(signal.SIGTERM)
    until(lambda: running.admin("/readyz")[0] == 503, "readiness fails")
    status, body, fields = get(port)  # still accepted
    assert (status, body, fields["connection"]) == (200, "a", "close")
    assert idle.is_closed()  # once the delay has passed
    endpoint.go.set()
    status, fields, body = slow.reply()
    assert (status, body, fields["connection"]) == (200, "a", "close")
    assert running.process.wait(10) == 0
    for client in (idle, slow):
        client.close()


def test_the_drain_has_an_end(start: Start, endpoints: Endpoints) -> None:
    endpoint = endpoints("a")
    running = start(config(f'["{endpoint.address}"]', "drain: {delay: 0, limit: 0.2s}")).wait_ready()
    slow = Client(running.port("web"))
    slow.send("/slow")
    assert endpoint.begun.wait(10)
    workers = running.workers()
    running.signal(signal.SIGTERM)
    assert running.process.wait(10) == 0
    with pytest.raises(ConnectionResetError):
        slow.socket.recv(1)
    slow.close()
    assert not any(is_alive(pid) for pid in workers)


def test_a_second_signal_ends_at_once(start: Start, endpoints: Endpoints) -> None:
    endpoint = endpoints("a")
    running = start(config(f'["{endpoint.address}"]', "drain: {delay: 60s, limit: 60s}")).wait_ready()
    slow = Client(running.port("web"))
    slow.send("/slow")
    assert endpoint.begun.wait(10)
    running.signal(signal.SIGTERM)
    running.wait_for("draining: readiness fails")
    running.signal(signal.SIGTERM)
    assert running.process.wait(10) == 0
    slow.close()


def test_the_drain_of_an_idle_process_is_quick(start: Start, endpoints: Endpoints) -> None:
    running = start(*one_liner(endpoints("a"), workers=2)).wait_ready()
    running.signal(signal.SIGINT)
    assert running.process.wait(5) == 0
    assert "Traceback" not in running.log
