"""A whole Fairlead as users start it: the command, its processes, real sockets, and endpoints to forward to."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")

LIMIT_S = 20.0  # for anything that is waited for; a test that needs it fails


def until(condition: Callable[[], _T], what: str | Callable[[], str]) -> _T:
    """Wait until the condition holds and give its value."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"did not come to pass: {what if isinstance(what, str) else what()}")


class Running:
    """A `fairlead run` with its log; addresses are read from the log, so that every port can be 0."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fairlead", "run", *arguments],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, after: int = 0) -> re.Match[str]:
        """A match of the pattern in what is logged after that many lines."""

        def search() -> re.Match[str] | None:
            found = re.search(pattern, "\n".join(self.lines[after:]))
            if found is None and self.process.poll() is not None:
                raise AssertionError(f"fairlead has ended:\n{self.log}")
            return found

        match = until(search, lambda: f"{pattern!r} in the log:\n{self.log}")
        assert match is not None
        return match

    def port(self, listener: str) -> int:
        return int(self.wait_for(rf"\b{listener} on [\d.]+:(\d+)")[1])

    @property
    def admin_port(self) -> int:
        return int(self.wait_for(r"admin server on [\d.]+:(\d+)")[1])

    def admin(self, path: str) -> tuple[int, str]:
        """Status and body; 0 while the admin server is not there."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=LIMIT_S)
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def api(self, path: str) -> dict[str, Any]:
        status, body = self.admin(path)
        assert status == 200, body
        parsed: dict[str, Any] = json.loads(body)
        return parsed

    def wait_ready(self) -> Running:
        until(lambda: self.admin("/readyz")[0] == 200, f"readiness; log:\n{self.log}")
        return self

    def workers(self) -> list[int]:
        """The process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children]

    def counter(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that have these labels."""
        _, text = self.admin("/metrics")
        total = 0.0
        for line in text.splitlines():
            match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
            if match is not None:
                given = dict(re.findall(r'(\w+)="([^"]*)"', match[1] or ""))
                if labels.items() <= given.items():
                    total += float(match[2])
        return total

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """End it at once, however it is; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        status = self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


class Endpoint:
    """An HTTP endpoint in a thread: it says its name, and waits before replying to /slow until it is told.

    `status` is what it answers with, and at /healthz it says how it is.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_healthy = True
        self.status = 200
        self.go = threading.Event()
        self.begun = threading.Event()
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/slow":
                    endpoint.begun.set()
                    endpoint.go.wait(LIMIT_S)
                body = endpoint.name.encode()
                is_sick = self.path == "/healthz" and not endpoint.is_healthy
                self.send_response(503 if is_sick else endpoint.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def get(port: int, path: str = "/", headers: Mapping[str, str] | None = None) -> tuple[int, str, Mapping[str, str]]:
    """One request on a connection of its own: status, body, fields by lower-case name."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        reply = connection.getresponse()
        return reply.status, reply.read().decode(), {name.lower(): value for name, value in reply.getheaders()}
    finally:
        connection.close()


class Client:
    """One keep-alive connection, in bytes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)
        self._file = self.socket.makefile("rb")

    def send(self, path: str, host: str = "x") -> None:
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

    def reply(self) -> tuple[int, dict[str, str], str]:
        """Status, fields by lower-case name, body; needs a Content-Length."""
        status = int(self._file.readline().split()[1])
        fields: dict[str, str] = {}
        for line in iter(self._file.readline, b"\r\n"):
            name, _, value = line.decode().partition(":")
            fields[name.lower()] = value.strip()
        return status, fields, self._file.read(int(fields["content-length"])).decode()

    def is_closed(self) -> bool:
        """Wait for the other side to close."""
        return self._file.read(1) == b""

    def close(self) -> None:
        self._file.close()
        self.socket.close()


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
