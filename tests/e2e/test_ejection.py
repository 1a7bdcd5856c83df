"""An endpoint that fails, as users meet it: not at all; the reason for all to see, and the return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from e2e.harness import Client, Endpoint, Running, until

Start = Callable[..., Running]
Endpoints = Callable[[str], Endpoint]

CONFIG = """
listeners:
  web: {bind: "127.0.0.1:0", service: app}
services:
  app:
    endpoints: [ADDRESSES]
    ejection: {base: 500ms, ramp: 0}
admin: {bind: "127.0.0.1:0"}
workers: 2
"""


def test_a_failing_endpoint_costs_no_request_is_explained_and_returns(start: Start, endpoints: Endpoints) -> None:
    given = [endpoints(name) for name in ("a", "b", "c")]
    addresses = ", ".join(f'"{endpoint.address}"' for endpoint in given)
    running = start(CONFIG.replace("ADDRESSES", addresses)).wait_ready()
    clients = [Client(running.port("web")) for _ in range(8)]  # of which either worker has some, in all likelihood
    bad = given[1]

    def ask() -> list[int]:
        for client in clients:
            client.send("/")
        return [client.reply()[0] for client in clients]

    def endpoint() -> dict[str, Any]:
        (service,) = running.api("/api/v1/services")["services"]
        (found,) = [each for each in service["endpoints"] if each["address"] == bad.address]
        return dict(found)

    assert set(ask()) == {200}
    bad.status = 503
    statuses = [status for _ in range(20) for status in ask()]
    assert set(statuses) == {200}
    until(lambda: endpoint()["state"] == "ejected", "an ejection")
    (verdict,) = endpoint()["verdicts"]
    assert (verdict["judge"], verdict["details"]["reason"], verdict["details"]["last"]) == ("ejection", "errors", "503")
    assert running.counter("fairlead_ejections_total", service="app", endpoint=bad.address, reason="errors") >= 1
    tried_again = running.counter("fairlead_retries_total", service="app", reason="status-503")
    assert 5 <= tried_again <= 5 * 2 + len(clients)  # of each worker five, and those that were on their way
    bad.status = 200
    returned = until(lambda: set(ask()) == {200} and endpoint()["state"] == "ready", "its return")
    assert returned
    kinds = [event["kind"] for event in running.api("/api/v1/events")["events"]]
    assert {"ejected", "probing", "returned"} <= set(kinds)
    for client in clients:
        client.close()
