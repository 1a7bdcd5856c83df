"""What a control plane sent, sent again: through the API, the copies and the source, to what the service is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from fairlead.discovery import Found
from fairlead.model import State
from kubernetes.api_server import ApiServer
from kubernetes.conftest import SourceOf
from kubernetes.following import following, until
from kubernetes.recorded import lines

FAULTS = ("", "drops", "relists")


async def replay(server: ApiServer, name: str, fault: str) -> None:
    """Send a recording's events as fast as they are taken, with a fault now and then."""
    faults: dict[str, Callable[[], None]] = {"drops": server.drop_connections, "relists": server.compact}
    for count, line in enumerate(lines(f"slices-{name}")):
        if line["src"] not in ("services", "endpointslices") or line["event"]["type"] == "BOOKMARK":
            continue
        raw = line["event"]["object"]
        if line["event"]["type"] == "DELETED":
            server.delete(line["src"], raw["metadata"]["name"], raw["metadata"]["namespace"])
        else:
            server.put(line["src"], raw)
        if fault and count % 10 == 9:
            faults[fault]()
            server.drop_connections()
        await asyncio.sleep(0.001)


def counts(found: Found) -> dict[State, int]:
    return {state: sum(1 for each in found.endpoints if each.state is state) for state in State}


def usable(found: Found) -> int:
    counted = counts(found)
    return counted[State.READY] or counted[State.DRAINING]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("name", "full", "last"),
    [("rollout-quick", 3, 3), ("rollout-grace30", 3, 3), ("scale-3-10-3", 3, 3), ("over-100", 100, 40)],
)
async def test_it_never_has_less_than_the_control_plane_kept(
    server: ApiServer, source_of: SourceOf, name: str, full: int, last: int, fault: str
) -> None:
    where = namespace_of(name)
    async with following(source_of(f"k8s://{where}/my-app:http")) as followed:
        await until(lambda: server.watching == 2, "it is followed")
        await replay(server, name, fault)
        await followed.until(lambda found: counts(found)[State.READY] == last == len(found.endpoints))
    sizes = [usable(found) for found in followed.all]
    since = next(place for place, size in enumerate(sizes) if size >= full)
    assert min(sizes[since:]) >= min(last, full)


def namespace_of(name: str) -> str:
    for line in lines(f"slices-{name}"):
        if line["src"] == "services" and line["event"]["type"] == "ADDED":
            return str(line["event"]["object"]["metadata"]["namespace"])
    raise AssertionError(f"{name} has no Service")


async def test_ports_that_change_never_leave_it_empty(server: ApiServer, source_of: SourceOf) -> None:
    where = namespace_of("named-ports")
    async with following(source_of(f"k8s://{where}/my-app:80")) as followed:
        await until(lambda: server.watching == 2, "it is followed")
        await replay(server, "named-ports", "")
        await followed.until(lambda found: {each.address.rpartition(":")[2] for each in found.endpoints} == {"8081"})
    sizes = [usable(found) for found in followed.all]
    assert 0 not in sizes[sizes.index(2) :]
    assert sizes[-1] == 4


async def test_with_nothing_ready_what_terminates_serves(server: ApiServer, source_of: SourceOf) -> None:
    where = namespace_of("all-terminating")
    async with following(source_of(f"k8s://{where}/my-app:http")) as followed:
        await until(lambda: server.watching == 2, "it is followed")
        await replay(server, "all-terminating", "")
    assert any(not counts(found)[State.READY] and counts(found)[State.DRAINING] for found in followed.all)
