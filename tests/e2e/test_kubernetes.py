"""The command follows a Service of Kubernetes: real processes, and an API server that stands in for a real one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.harness import Endpoint, Running, get, until
from kubernetes.api_server import ApiServer
from kubernetes.recorded import Json, endpoint, endpoint_slice, service

Start = Callable[..., Running]
Endpoints = Callable[[str], Endpoint]


class Cluster:
    """A stand-in API server in a thread, and the Service my-app in it. A real one would refuse loopback addresses."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.server = ApiServer()
        self.start()

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result(10)

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def put(self, resource: str, raw: Json) -> None:
        self._call(lambda: self.server.put(resource, raw))

    def _call(self, function: Callable[[], object]) -> None:
        async def call() -> None:
            function()

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def publish(self, conditions: dict[Endpoint, str]) -> None:
        """A slice of each endpoint, whose ports differ: they are all at one address."""
        for backend, given in conditions.items():
            host, _, port = backend.address.rpartition(":")
            ports: tuple[Json, ...] = ({"name": "http", "port": int(port)},)
            self.put(
                "endpointslices", endpoint_slice(endpoint(host, given), name=f"my-app-{backend.name}", ports=ports)
            )

    def remove(self, backend: Endpoint) -> None:
        self._call(lambda: self.server.delete("endpointslices", f"my-app-{backend.name}"))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def begin(cluster: Cluster, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Running]:
    def run() -> Running:
        path = tmp_path / "kubeconfig"
        path.write_text(cluster.server.kubeconfig())
        monkeypatch.setenv("KUBECONFIG", str(path))
        one_liner = ("--listen", "127.0.0.1:0", "--to", "k8s://default/my-app:http", "--admin", "127.0.0.1:0")
        return start(*one_liner, "--workers", "1").wait_ready()

    return run


def answering(running: Running, count: int = 12) -> set[str]:
    """Who answers a few requests on connections of their own; what Fairlead says itself is its status."""
    replies = [get(running.port("default")) for _ in range(count)]
    return {body if status == 200 else fields["fairlead-error"] for status, body, fields in replies}


def test_scaling_up_and_down_and_a_pod_that_terminates(
    cluster: Cluster, begin: Callable[[], Running], endpoints: Endpoints
) -> None:
    a, b = endpoints("a"), endpoints("b")
    cluster.put("services", service())
    cluster.publish({a: "RS-"})
    running = begin()
    assert answering(running) == {"a"}
    cluster.publish({b: "RS-"})
    until(lambda: answering(running) == {"a", "b"}, "the new one is used")
    cluster.publish({a: "-ST"})
    until(lambda: answering(running) == {"b"}, "what terminates gets nothing new")
    assert running.counter("fairlead_endpoints", state="draining") == 1
    cluster.publish({b: "-ST"})
    until(lambda: answering(running) == {"a", "b"}, "with nothing ready, what terminates and serves is used")
    cluster.remove(a)
    cluster.publish({b: "RS-"})
    until(lambda: answering(running) == {"b"}, "it is gone")


def test_the_api_may_be_away(cluster: Cluster, begin: Callable[[], Running], endpoints: Endpoints) -> None:
    a, b = endpoints("a"), endpoints("b")
    cluster.put("services", service())
    cluster.publish({a: "RS-"})
    running = begin()
    cluster.stop()
    running.wait_for(r"service default: k8s://default/my-app:http: the Kubernetes API at .* cannot be reached: ")
    running.wait_for(r"its last 1 endpoints stand, as they were \d+ s ago")
    assert answering(running) == {"a"}
    assert running.admin("/readyz")[0] == 200
    assert running.counter("fairlead_source_stale_seconds", service="default") > 0
    cluster.publish({b: "RS-"})
    cluster.server.compact()
    cluster.start()
    until(lambda: answering(running) == {"a", "b"}, "what has changed meanwhile is found")
    running.wait_for(r"answers again; its endpoints had been stale for \d+ s")
    until(lambda: running.counter("fairlead_source_stale_seconds", service="default") == 0, "it is fresh again")


def test_a_service_that_does_not_exist_is_said_and_works_when_it_appears(
    cluster: Cluster, begin: Callable[[], Running], endpoints: Endpoints
) -> None:
    a = endpoints("a")
    cluster.put("services", service("my-ap"))
    running = begin()
    running.wait_for(r"there is no Service my-app in namespace default; did you mean my-ap\?")
    assert answering(running, 1) == {"no-endpoint"}
    (source,) = running.api("/api/v1/services")["services"][0]["sources"]
    assert "did you mean my-ap?" in source["problem"]
    cluster.put("services", service())
    cluster.publish({a: "RS-"})
    until(lambda: answering(running) == {"a"}, "it works")
    (source,) = running.api("/api/v1/services")["services"][0]["sources"]
    assert (source["problem"], source["notes"]) == ("", ["weights: equal"])
