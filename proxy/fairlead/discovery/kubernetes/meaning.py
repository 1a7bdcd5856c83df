"""What a Service and its EndpointSlices mean: the endpoints of one port, and what each may be given.

Pure: functions of plain values, the rules of kube-proxy in one place.

1. The endpoints of all slices of the Service, whoever manages them, united by address and port. While one moves it is
   in two slices, and the better condition counts; then again the endpoint that has hints.
2. Of a dual-stack Service one family is used, or each Pod would be there twice: the first in the Service's order that
   has usable endpoints.
3. Usable are the ready ones, and where there is none those that terminate and still serve. The state says which is
   which, and the data plane gives draining endpoints new requests only while nothing is ready. That the other
   endpoints are told as well is for whoever looks at them, and for what they still have in flight.
4. Hints: if every usable endpoint is meant for some nodes and one for ours, those for ours are used; else the same with
   zones; else all. A single missing hint means that the controller has not finished, and turns them off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, final

from fairlead.discovery.kubernetes.objects import FQDN, ClusterService, ServicePort, Slice, SliceEndpoint
from fairlead.model import State

_FAMILIES: Final = ("IPv4", "IPv6")
_RANK: Final = {State.READY: 2, State.DRAINING: 1, State.UNREADY: 0}


@final
@dataclass(frozen=True, slots=True)
class Place:
    """Where this proxy runs; "" for what is not known."""

    node: str = ""
    zone: str = ""


@final
@dataclass(frozen=True, slots=True)
class Meant:
    """An endpoint of the port: "10.0.0.1:8080", what it may be given, and the Pod that it is."""

    address: str
    state: State
    pod: str = ""


@final
@dataclass(frozen=True, slots=True)
class Meaning:
    """The endpoints in the order of their addresses. `notes` say what a reader of the Service would not expect.

    `is_unsettled`: the slices have endpoints, and none has this port. That is so for a moment while a port is changed,
    because Service and slices come by ways of their own.
    """

    endpoints: tuple[Meant, ...]
    notes: tuple[str, ...] = ()
    is_unsettled: bool = False


def meaning(service: ClusterService, slices: Sequence[Slice], port: ServicePort, place: Place) -> Meaning:
    """The endpoints of `port`, seen from `place`."""
    families = {family: united(slices, family, port) for family in (*service.families, *_FAMILIES)}
    chosen = next((found for found in families.values() if _usable(found.values())), None)
    if chosen is None:
        chosen = next((found for found in families.values() if found), {})
    usable = _usable(chosen.values())
    preferred, preference = prefer(usable, place)
    left_out = {id(endpoint) for endpoint in usable} - {id(endpoint) for endpoint in preferred}
    endpoints = [
        Meant(address, endpoint.state, endpoint.pod)
        for address, endpoint in sorted(chosen.items())
        if id(endpoint) not in left_out
    ]
    has_endpoints = any(each.endpoints for each in slices if each.family != FQDN)
    return Meaning(tuple(endpoints), (*_notes(service, slices), *preference), has_endpoints and not chosen)


def united(slices: Iterable[Slice], family: str, port: ServicePort) -> dict[str, SliceEndpoint]:
    """Address and port -> the endpoint of one family, in its best condition."""
    found: dict[str, SliceEndpoint] = {}
    for each in slices:
        number = _number(each, port) if each.family == family else None
        if number is None:
            continue
        for endpoint in each.endpoints:
            address = f"{endpoint.host}:{number}"
            known = found.get(address)
            if known is None or _worth(endpoint) > _worth(known):
                found[address] = endpoint
    return found


def prefer(usable: list[SliceEndpoint], place: Place) -> tuple[list[SliceEndpoint], tuple[str, ...]]:
    """Those of the usable endpoints that are meant for this place, and a note that says so."""
    for what, mine, hints in (
        ("node", place.node, [endpoint.nodes for endpoint in usable]),
        ("zone", place.zone, [endpoint.zones for endpoint in usable]),
    ):
        if mine and all(hints):
            near = [endpoint for endpoint, hint in zip(usable, hints, strict=True) if mine in hint]
            if near:
                return near, (f"hints: {len(near)} of {len(usable)} endpoints, those for {what} {mine}",)
    return usable, ()


def _usable(endpoints: Iterable[SliceEndpoint]) -> list[SliceEndpoint]:
    by_state: dict[State, list[SliceEndpoint]] = {}
    for endpoint in endpoints:
        by_state.setdefault(endpoint.state, []).append(endpoint)
    return by_state.get(State.READY) or by_state.get(State.DRAINING) or []


def _worth(endpoint: SliceEndpoint) -> tuple[int, int]:
    return _RANK[endpoint.state], len(endpoint.zones) + len(endpoint.nodes)


def _number(each: Slice, port: ServicePort) -> int | None:
    """The number that this port has in a slice; None when the slice has not this port."""
    if each.ports is None:
        return _direct(port)
    for offered in each.ports:  # by name: the number differs between slices where Pods give a name different numbers
        if offered.name == port.name and offered.protocol == port.protocol:
            return _direct(port) if offered.number is None else offered.number
    return None


def _direct(port: ServicePort) -> int | None:
    """Where every port is served: the Pods' own number, if the Service says it."""
    return port.target if isinstance(port.target, int) else None


def _notes(service: ClusterService, slices: Iterable[Slice]) -> list[str]:
    notes = []
    if service.affinity_s:
        notes.append(f"sessionAffinity ClientIP ({service.affinity_s} s) is not followed: requests go to any endpoint")
    if service.local_only:
        notes.append("internalTrafficPolicy Local is not followed: endpoints of all nodes are used")
    names = sorted(each.name for each in slices if each.family == FQDN and each.endpoints)
    if names:
        notes.append(f"slices with names in the place of addresses are left out: {', '.join(names)}")
    return notes
