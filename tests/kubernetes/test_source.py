"""A Service as a source: found, followed, missed and found again."""

from __future__ import annotations

from pathlib import Path

import pytest
from fairlead.discovery.kubernetes import source as module
from fairlead.discovery.kubernetes.access import Access
from fairlead.discovery.kubernetes.source import KubernetesSource, parse
from fairlead.model import Endpoint, State
from kubernetes.api_server import ApiServer
from kubernetes.conftest import SourceOf
from kubernetes.following import following, ready, until
from kubernetes.recorded import endpoint, endpoint_slice, hints, pod, service

A, B = "10.0.0.1:8080", "10.0.0.2:8080"


def put_app(server: ApiServer, *conditions: str) -> None:
    """The Service my-app, whose endpoints 10.0.0.1 and so on have these conditions."""
    server.put("services", service())
    put_endpoints(server, *conditions)


def put_endpoints(server: ApiServer, *conditions: str) -> None:
    listed = [endpoint(f"10.0.0.{place}", given, f"pod-{place}") for place, given in enumerate(conditions, 1)]
    server.put("endpointslices", endpoint_slice(*listed))


async def test_what_is_there_is_found_and_what_changes_is_followed(server: ApiServer, source_of: SourceOf) -> None:
    put_app(server, "RS-")
    async with following(source_of()) as followed:
        await followed.until_ready(A)
        put_endpoints(server, "RS-", "RS-")
        await followed.until_ready(A, B)
        put_endpoints(server, "-ST", "RS-")
        await followed.until_ready(B)
        assert followed.last.endpoints[0] == Endpoint(A, 1, State.DRAINING)
        server.delete("endpointslices", "my-app-1")
        await followed.until_ready()
    assert [request for request in server.requests if "watch=1" in request]


async def test_endpoints_that_terminate_are_told_as_draining(server: ApiServer, source_of: SourceOf) -> None:
    put_app(server, "-ST", "---")
    async with following(source_of()) as followed:
        found = await followed.until(lambda found: bool(found.endpoints))
        assert [each.state for each in found.endpoints] == [State.DRAINING, State.UNREADY]


async def test_a_service_that_is_not_there_works_when_it_appears(server: ApiServer, source_of: SourceOf) -> None:
    server.put("services", service("my-apq"))
    server.put("services", service("other"))
    async with following(source_of()) as followed:
        found = await followed.until(lambda found: bool(found.problem))
        assert found.problem == "there is no Service my-app in namespace default; did you mean my-apq?"
        put_app(server, "RS-")
        await followed.until_ready(A)
        server.delete("services", "my-app")
        found = await followed.until(lambda found: bool(found.problem))
        assert found.endpoints == ()  # though its slice is still there


@pytest.mark.parametrize(
    ("namespaces", "allowed", "says"),
    [
        (["default", "shop"], True, "there is no Service my-app: there is no namespace defaut; did you mean default?"),
        (["defaut"], True, "there is no Service my-app: namespace defaut has no Services"),
        ([], False, "there is no Service my-app: namespace defaut has no Services, or does not exist"),
    ],
)
async def test_a_namespace_that_is_not_there(
    server: ApiServer, source_of: SourceOf, namespaces: list[str], allowed: bool, says: str
) -> None:
    for name in namespaces:
        server.put("namespaces", {"metadata": {"name": name}})
    if not allowed:
        server.rules["tester"] = {(verb, name) for verb in ("list", "watch") for name in ("services", "endpointslices")}
    async with following(source_of("k8s://defaut/my-app:http")) as followed:
        found = await followed.until(lambda found: bool(found.problem))
        assert found.problem == says


async def test_a_port_that_is_not_there_works_when_it_appears(server: ApiServer, source_of: SourceOf) -> None:
    server.put("services", service(ports=({"name": "web", "port": 80, "targetPort": 8080},)))
    server.put("endpointslices", endpoint_slice(endpoint("10.0.0.1"), ports=({"name": "web", "port": 8080},)))
    async with following(source_of()) as followed:
        found = await followed.until(lambda found: bool(found.problem))
        assert found.problem == "Service my-app has no port http; it has web (80)"
        put_app(server, "RS-")
        await followed.until_ready(A)


async def test_a_renamed_port_never_leaves_the_service_empty(server: ApiServer, source_of: SourceOf) -> None:
    put_app(server, "RS-")
    async with following(source_of("k8s://default/my-app:80")) as followed:
        await followed.until_ready(A)
        server.put("services", service(ports=({"name": "web", "port": 80, "targetPort": 9090},)))
        await until(lambda: server.version and not _unread(server), "the Service is read")
        server.put("endpointslices", endpoint_slice(endpoint("10.0.0.1"), ports=({"name": "web", "port": 9090},)))
        await followed.until_ready("10.0.0.1:9090")
        assert all(found.endpoints for found in followed.all)


def _unread(server: ApiServer) -> bool:
    return any(not watcher.lines.empty() for watcher in server.watchers)


async def test_a_port_that_the_slices_never_get_is_believed(
    server: ApiServer, source_of: SourceOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HOLD_S", 0.02)
    put_app(server, "RS-")
    async with following(source_of("k8s://default/my-app:80")) as followed:
        await followed.until_ready(A)
        server.put("services", service(ports=({"name": "web", "port": 80},)))
        await followed.until(lambda found: not found.endpoints)


async def test_services_share_one_watch_of_each_kind(server: ApiServer, source_of: SourceOf) -> None:
    put_app(server, "RS-")
    server.put("services", service("other"))
    server.put("endpointslices", endpoint_slice(endpoint("10.0.1.1"), name="other-1", of="other"))
    async with following(source_of()) as one, following(source_of("k8s://default/other:80")) as other:
        await one.until_ready(A)
        await other.until_ready("10.0.1.1:8080")
        await until(
            lambda: [each for each in slice_watches(server)[-1:] if "my-app%2Cother" in each or "my-app,other" in each],
            "a watch of both",
        )
        await until(lambda: server.watching == 2, "one watch of each kind")


def slice_watches(server: ApiServer) -> list[str]:
    return [request for request in server.requests if "endpointslices" in request and "watch=1" in request]


async def test_one_that_comes_later_is_found_and_does_not_disturb(server: ApiServer, source_of: SourceOf) -> None:
    put_app(server, "RS-")
    server.put("services", service("other"))
    server.put("endpointslices", endpoint_slice(endpoint("10.0.1.1"), name="other-1", of="other"))
    async with following(source_of()) as one:
        await one.until_ready(A)
        async with following(source_of("k8s://default/other:80")) as other:
            await other.until_ready("10.0.1.1:8080")
            await until(lambda: server.watching == 2, "one watch of each kind")
        assert len(one.all) == 1
        put_endpoints(server, "RS-", "RS-")
        await one.until_ready(A, B)


async def test_many_services_are_followed_without_naming_them(server: ApiServer, source_of: SourceOf) -> None:
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:
        for number in range(60):
            server.put("services", service(f"app-{number}"))
            raw = endpoint_slice(endpoint(f"10.1.0.{number}"), name=f"app-{number}-1", of=f"app-{number}")
            server.put("endpointslices", raw)
        all_of_them = [
            await stack.enter_async_context(following(source_of(f"k8s://default/app-{number}:80")))
            for number in range(60)
        ]
        for number, followed in enumerate(all_of_them):
            await followed.until_ready(f"10.1.0.{number}:8080")
        # The last list is answered before the watch from it is asked for.
        await until(lambda: ["labelSelector" not in each for each in slice_watches(server)[-1:]] == [True], "a watch")


async def test_weights_by_annotation_follow_the_pods(server: ApiServer, source_of: SourceOf) -> None:
    put_app(server, "RS-", "RS-")
    server.put("pods", pod("pod-1", weight="3"))
    async with following(source_of(weights="annotation")) as followed:
        found = await followed.until(lambda found: bool(found.endpoints))
        assert [each.weight for each in found.endpoints] == [3, 1]
        assert "1 of 2 endpoints have none" in found.notes[0]
        server.put("pods", pod("pod-2", weight="7"))
        found = await followed.until(lambda found: found.endpoints[1].weight == 7)
        assert found.notes == ("weights: by the annotation fairlead.dev/weight",)


async def test_weights_by_cpu(server: ApiServer, source_of: SourceOf) -> None:
    put_app(server, "RS-", "RS-")
    server.put("pods", pod("pod-1", cpu="2"))
    server.put("pods", pod("pod-2", cpu="500m"))
    async with following(source_of(weights="cpu-request")) as followed:
        found = await followed.until(lambda found: bool(found.endpoints))
        assert [each.weight for each in found.endpoints] == [2000, 500]


async def test_pods_that_may_not_be_read_cost_the_weights_only(server: ApiServer, source_of: SourceOf) -> None:
    put_app(server, "RS-")
    server.rules["tester"] = {(verb, name) for verb in ("list", "watch") for name in ("services", "endpointslices")}
    async with following(source_of(weights="cpu-request")) as followed:
        found = await followed.until_ready(A)
        assert any('resources: ["pods"]' in note for note in found.notes)
        assert found.endpoints == (Endpoint(A, 1),)


async def test_pods_are_not_asked_for_without_need(server: ApiServer, source_of: SourceOf) -> None:
    put_app(server, "RS-")
    async with following(source_of()) as followed:
        await followed.until_ready(A)
    assert not any("/pods" in request or "/nodes" in request for request in server.requests)


async def test_hints_are_followed_once_our_zone_is_known(
    server: ApiServer, source_of: SourceOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_NAME", "node-b")
    labels = {"labels": {"topology.kubernetes.io/zone": "b"}}
    server.put("nodes", {"metadata": {"name": "node-b", **labels}})
    server.put("services", service())
    near, far = endpoint("10.0.0.1", **hints("b")), endpoint("10.0.0.2", **hints("a"))
    server.put("endpointslices", endpoint_slice(near, far))
    async with following(source_of()) as followed:
        found = await followed.until(lambda found: len(found.notes) > 1)
        assert ready(found) == {A}
        assert found.notes[1:] == ("hints: 1 of 2 endpoints, those for zone b",)


async def test_without_the_right_to_read_nodes_all_zones_are_used(
    server: ApiServer, source_of: SourceOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_NAME", "node-b")
    server.rules["tester"] = {(verb, name) for verb in ("list", "watch") for name in ("services", "endpointslices")}
    server.put("services", service())
    near, far = endpoint("10.0.0.1", **hints("b")), endpoint("10.0.0.2", **hints("a"))
    server.put("endpointslices", endpoint_slice(near, far))
    async with following(source_of()) as followed:
        await followed.until_ready(A, B)
        await until(lambda: any("/nodes/node-b" in request for request in server.requests), "the node is asked for")


async def test_an_external_name_is_resolved(server: ApiServer, source_of: SourceOf) -> None:
    server.put("services", service(type="ExternalName", externalName="localhost", ports=()))
    async with following(source_of("k8s://default/my-app:5432")) as followed:
        found = await followed.until(lambda found: "127.0.0.1:5432" in ready(found))
        assert found.notes == ("ExternalName localhost",)
        put_app(server, "RS-")  # it becomes an ordinary one
        found = await followed.until(lambda found: "no port 5432" in found.problem)
        assert found.endpoints == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("k8s:default/my-app:80", "needs two slashes"),
        ("k8s://my-app:80", "does not name a namespace and a Service; write k8s://default/my-app:http"),
        ("k8s:///my-app:80", "does not name a namespace"),
        ("k8s://default/my-app", "has no port; write k8s://default/my-app:http"),
        ("k8s://default/my-app:", "has no port"),
        ("k8s://Default/my-app:80", "'Default' is no name of a namespace"),
        ("k8s://default/my_app:80", "'my_app' is no name of a Service"),
        ("k8s://default/my-app:0", "is not a number from 1 to 65535"),
        ("k8s://default/my-app:65536", "is not a number from 1 to 65535"),
        ("k8s://default/my-app:²", "neither the name nor the number of a port"),
        ("k8s://default/my-app:Http", "neither the name nor the number of a port"),
        ("k8s://default/my-app:80/x", "neither the name nor the number"),
    ],
)
def test_addresses_that_are_wrong_say_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(text, 1, Path("/"))
    assert says in str(error.value)


def test_an_address_in_its_canonical_form() -> None:
    source = parse("K8S://default/my-app:0080", 3, Path("/"))
    assert (source.text, source.weight) == ("k8s://default/my-app:80", 3)
    assert source == KubernetesSource("default", "my-app", "80", 3, access=Access())
