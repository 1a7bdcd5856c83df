"""Active checks through the real command: an endpoint leaves rotation and comes back, and a service of Kubernetes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.harness import Endpoint, Running, get, until
from e2e.test_kubernetes import Cluster
from kubernetes.recorded import service

Start = Callable[..., Running]
Endpoints = Callable[[str], Endpoint]

CHECKS = "{path: /healthz, interval: 200ms, fast_interval: 100ms, down_interval: 200ms, timeout: 5s"


def config(to: str, more: str = "") -> str:
    return f"""
listeners:
  web: {{bind: "127.0.0.1:0", service: app}}
services:
  app:
    endpoints: {to}
    checks: {CHECKS}{more}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
"""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.close()


def answering(running: Running, count: int = 8) -> set[str]:
    """Who answers a few requests; what Fairlead says itself is its status."""
    replies = [get(running.port("web")) for _ in range(count)]
    return {body if status == 200 else fields["fairlead-error"] for status, body, fields in replies}


def endpoint_of(running: Running, address: str) -> dict[str, Any]:
    (found,) = [e for e in running.api("/api/v1/services")["services"][0]["endpoints"] if e["address"] == address]
    return dict(found)


def test_an_endpoint_whose_health_fails_leaves_and_comes_back(start: Start, endpoints: Endpoints) -> None:
    a, b = endpoints("a"), endpoints("b")
    running = start(config(f'["{a.address}", "{b.address}"]')).wait_ready()
    until(lambda: running.counter("fairlead_checks_total", result="passed") >= 4, "both are checked")
    assert answering(running) == {"a", "b"}
    a.is_healthy = False
    until(lambda: answering(running) == {"b"}, "it leaves rotation")
    running.wait_for(rf"WARNING service app: {a.address} is not used: 3 of 3 checks failed: status 503")
    shown = endpoint_of(running, a.address)
    assert shown["state"] == "unready"
    assert shown["verdicts"][0]["until"] == "2 checks in a row pass"
    assert (shown["check"]["standing"], shown["check"]["detail"]) == ("down", "status 503")
    a.is_healthy = True
    until(lambda: answering(running) == {"a", "b"}, "it comes back")
    running.wait_for(rf"INFO service app: {a.address} passes its checks again: 2 of 2 checks passed")
    kinds = [event["kind"] for event in running.api("/api/v1/events")["events"]]
    assert [kind for kind in kinds if kind.startswith("check-")] == ["check-passed", "check-failed"]
    assert running.log.count("service app: ") == 2  # once for each change, however often it failed
    assert running.counter("fairlead_checks_total", service="app", result="wrong-reply") >= 3
    assert running.counter("fairlead_check_duration_seconds_count", service="app") >= 7


def test_when_every_endpoint_fails_it_is_said_and_a_reload_can_change_what_follows(
    start: Start, endpoints: Endpoints, tmp_path: Path
) -> None:
    a = endpoints("a")
    a.is_healthy = False
    to = f'["{a.address}"]'
    running = start(config(to)).wait_ready()
    until(lambda: answering(running, 1) == {"no-endpoint"}, "nothing is left")
    running.wait_for("ERROR service app: every endpoint fails its checks; requests get no-endpoint")
    (tmp_path / "fairlead.yaml").write_text(config(to, ", all_failed: use-all"))
    until(lambda: answering(running, 1) == {"a"}, "it is used nevertheless")
    shown = endpoint_of(running, a.address)
    assert (shown["state"], shown["check"]["standing"]) == ("ready", "down")


def test_checks_take_the_place_of_a_readiness_probe(
    cluster: Cluster, start: Start, endpoints: Endpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pod that is ready by its readinessProbe and one that is not: what the checks say of them is what counts."""
    a, b, c = endpoints("a"), endpoints("b"), endpoints("c")
    cluster.put("services", service())
    cluster.publish({a: "RS-", b: "---", c: "-ST"})
    path = tmp_path / "kubeconfig"
    path.write_text(cluster.server.kubeconfig())
    monkeypatch.setenv("KUBECONFIG", str(path))
    running = start(config("k8s://default/my-app:http", ", readiness: replace")).wait_ready()
    until(lambda: answering(running) == {"a", "b"}, "what passes is used, but not what terminates")
    verdict = endpoint_of(running, b.address)["verdicts"][0]
    assert (verdict["state"], verdict["reason"]) == ("ready", "2 of 2 checks passed")
    a.is_healthy = False
    until(lambda: answering(running) == {"b"}, "what fails is not used, ready or not")
    cluster.publish({b: "RS-"})
    cluster.publish({a: "---"})
    a.is_healthy = True
    until(lambda: answering(running) == {"a", "b"}, "and is when it passes, ready or not")
