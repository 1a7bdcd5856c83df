"""A request to a service without endpoints waits, and is served when there is one."""

from __future__ import annotations

import json
import os
from pathlib import Path

from e2e.harness import Client, Endpoint, Running, until

CONFIG = """
listeners:
  web: {bind: "127.0.0.1:0", service: app}
services:
  app:
    endpoints: file:endpoints.json
    queue: {max: 1, timeout: 1m}
admin: {bind: "127.0.0.1:0"}
workers: 1
"""


def write(folder: Path, *addresses: str) -> None:
    fresh = folder / "fresh.json"
    fresh.write_text(json.dumps(addresses))
    os.replace(fresh, folder / "endpoints.json")


def test_a_request_waits_for_an_endpoint_and_is_served(tmp_path: Path) -> None:
    (tmp_path / "fairlead.yaml").write_text(CONFIG)
    write(tmp_path)
    running = Running("-c", "fairlead.yaml", cwd=tmp_path)
    endpoint = Endpoint("late")
    client = other = None
    try:
        running.wait_ready()
        client = Client(running.port("web"))
        client.send("/")
        until(lambda: running.counter("fairlead_queued_requests", service="app") == 1, "a request that waits")
        other = Client(running.port("web"))
        other.send("/")
        status, fields, _ = other.reply()
        assert (status, fields["fairlead-error"]) == (503, "queue-full")
        assert int(fields["retry-after"]) >= 1
        write(tmp_path, endpoint.address)
        status, _, body = client.reply()
        assert (status, body) == (200, "late")
        until(lambda: running.counter("fairlead_queued_requests", service="app") == 0, "an empty queue")
        assert running.counter("fairlead_refused_requests_total", service="app", reason="queue-full") == 1
        (app,) = running.api("/api/v1/services")["services"]
        assert (app["queued"], app["refused"]) == (0, {"queue-full": 1})
    finally:
        for each in (client, other):
            if each is not None:
                each.close()
        endpoint.close()
        running.stop()
