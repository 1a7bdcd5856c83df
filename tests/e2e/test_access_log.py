"""The access log of a running Fairlead: what it says, that it is opened anew, that a full disk stops nobody."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from e2e.harness import Endpoint, Running, get, until

Start = Callable[..., Running]
Endpoints = Callable[[str], Endpoint]


def config(endpoint: Endpoint, to: object) -> str:
    return f"""
listeners:
  web: {{bind: "127.0.0.1:0", routes: [{{path: /app, service: app}}]}}
services:
  app: {{endpoints: ["{endpoint.address}"]}}
admin: {{bind: "127.0.0.1:0"}}
workers: 2
access_log: {{to: {to}}}
"""


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_each_exchange_is_a_line_and_sighup_opens_the_file_anew(
    start: Start, endpoints: Endpoints, tmp_path: Path
) -> None:
    endpoint = endpoints("a")
    log = tmp_path / "access.log"
    running = start(config(endpoint, log)).wait_ready()
    for _ in range(10):
        get(running.port("web"), "/app/x?y=1")
    get(running.port("web"), "/elsewhere")
    until(lambda: len(records(log)) == 11, "eleven lines")
    served = [record for record in records(log) if record["status"] == 200]
    assert len(served) == 10
    assert {(r["method"], r["target"], r["endpoint"], r["reason"]) for r in served} == {
        ("GET", "/app/x?y=1", endpoint.address, "")
    }
    (refused,) = [record for record in records(log) if record["status"] == 404]
    assert (refused["reason"], refused["endpoint"]) == ("no-route", "")
    log.rename(tmp_path / "access.log.1")
    running.signal(signal.SIGHUP)
    running.wait_for("INFO loaded")
    until(log.exists, "the file is there again")

    def is_in_the_new_file() -> bool:
        get(running.port("web"), "/app")
        return len(records(log)) > 0

    until(is_in_the_new_file, "lines in the new file")


def test_a_full_disk_stops_nobody_and_is_counted(start: Start, endpoints: Endpoints) -> None:
    running = start(config(endpoints("a"), "/dev/full")).wait_ready()
    assert [get(running.port("web"), "/app")[0] for _ in range(20)] == [200] * 20
    until(lambda: running.counter("fairlead_access_log_dropped_total") == 20, "the lost lines are counted")
