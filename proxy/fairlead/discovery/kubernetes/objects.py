"""The API's objects as the few values that matter here: Services, EndpointSlices and Pods, read from decoded JSON.

Owns the defaults of what is absent, the conditions' nil rules among them. Keeps nothing of an object that nobody asks
for: a namespace may hold thousands. Never asks the API. What has not the shape that the API promises raises
`Malformed`; a field that is absent or null is none of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, final

from fairlead.discovery.kubernetes.quantity import millicores
from fairlead.model import State

SERVICE_NAME: Final = "kubernetes.io/service-name"  # the label that ties a slice, whoever manages it, to its Service
WEIGHT: Final = "fairlead.dev/weight"  # the annotation of a Pod
ZONE: Final = "topology.kubernetes.io/zone"  # the label of a Node
TCP: Final = "TCP"
FQDN: Final = "FQDN"
_IPV6: Final = "IPv6"

Json = Mapping[str, Any]


@final
class Malformed(Exception):
    """An object that no API server would send. The text names it."""


@final
@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service. `target` is the Pods' port: a number, or the name that it has there."""

    name: str
    number: int
    protocol: str
    target: int | str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterService:
    """A Service. `external_name` is where one of type ExternalName leads; `families` is in its order of preference."""

    name: str
    ports: tuple[ServicePort, ...] = ()
    families: tuple[str, ...] = ()
    external_name: str = ""
    affinity_s: int = 0  # of sessionAffinity ClientIP; 0 without
    local_only: bool = False  # internalTrafficPolicy: Local


@final
@dataclass(frozen=True, slots=True)
class SlicePort:
    """`number` is None for a port that stands for all."""

    name: str
    number: int | None
    protocol: str


@final
@dataclass(frozen=True, slots=True)
class SliceEndpoint:
    """One endpoint: `host` as it stands before a port, what it may be given, the Pod, and whom it is meant for."""

    host: str
    state: State
    pod: str = ""
    zones: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()


@final
@dataclass(frozen=True, slots=True)
class Slice:
    """An EndpointSlice. `ports` is None when its endpoints serve whatever port they are asked for."""

    name: str
    service: str
    family: str
    ports: tuple[SlicePort, ...] | None
    endpoints: tuple[SliceEndpoint, ...]


@final
@dataclass(frozen=True, slots=True)
class Pod:
    """What of a Pod may decide its weight. `millicores` is what it asks for, 0 when it asks for nothing."""

    name: str
    weight: str | None
    millicores: int


def read_service(raw: Json) -> ClusterService:
    """From a Service. Raises Malformed."""
    with _reading("Service", raw):
        spec = raw.get("spec") or {}
        affinity = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        return ClusterService(
            name=_name(raw),
            ports=tuple(_service_port(port) for port in spec.get("ports") or ()),
            families=tuple(spec.get("ipFamilies") or ()),
            external_name=spec.get("externalName", "") if spec.get("type") == "ExternalName" else "",
            affinity_s=int(affinity.get("timeoutSeconds", 10800)) if spec.get("sessionAffinity") == "ClientIP" else 0,
            local_only=spec.get("internalTrafficPolicy") == "Local",
        )


def read_slice(raw: Json) -> Slice:
    """From an EndpointSlice. Raises Malformed."""
    with _reading("EndpointSlice", raw):
        family = raw["addressType"]
        return Slice(
            name=_name(raw),
            service=(raw["metadata"].get("labels") or {}).get(SERVICE_NAME, ""),
            family=family,
            ports=tuple(_slice_port(port) for port in raw.get("ports") or ()) or None,
            endpoints=tuple(_slice_endpoints(raw.get("endpoints") or (), family)),
        )


def read_pod(raw: Json) -> Pod:
    """From a Pod. Raises Malformed."""
    with _reading("Pod", raw):
        annotations = raw["metadata"].get("annotations") or {}
        return Pod(_name(raw), annotations.get(WEIGHT), _requested(raw.get("spec") or {}))


def state_of(ready: bool | None, serving: bool | None, terminating: bool | None) -> State:
    """What an endpoint of these conditions may be given; None is a condition that is absent.

    The rules of the API: ready is true unless said otherwise, serving is as ready, terminating is false. A Service that
    publishes addresses that are not ready has them all ready, even those that terminate. One that terminates while it
    still serves drains: it gets new requests only where nothing is ready (KEP-1669).
    """
    is_ready = ready is not False
    is_serving = is_ready if serving is None else serving
    if is_ready:
        return State.READY
    return State.DRAINING if is_serving and terminating else State.UNREADY


@contextmanager
def _reading(kind: str, raw: Json) -> Iterator[None]:
    """Turns what goes wrong while reading an object into one error that names it."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        metadata = raw.get("metadata") if isinstance(raw, Mapping) else None
        name = f" {metadata.get('name')}" if isinstance(metadata, Mapping) else ""
        raise Malformed(f"{kind}{name} cannot be read: {type(error).__name__}: {error}") from error


def _name(raw: Json) -> str:
    name = raw["metadata"]["name"]
    if not isinstance(name, str):
        raise TypeError("its name is no text")
    return name


def _service_port(raw: Json) -> ServicePort:
    number = int(raw["port"])
    return ServicePort(raw.get("name") or "", number, raw.get("protocol") or TCP, raw.get("targetPort") or number)


def _slice_port(raw: Json) -> SlicePort:
    number = raw.get("port")
    return SlicePort(raw.get("name") or "", None if number is None else int(number), raw.get("protocol") or TCP)


def _slice_endpoints(raw: Sequence[Json], family: str) -> Iterator[SliceEndpoint]:
    for endpoint in raw:
        conditions = endpoint.get("conditions") or {}
        hints = endpoint.get("hints") or {}
        yield SliceEndpoint(
            host=_host(
                endpoint["addresses"][0], family
            ),  # more than one are the same thing; kube-proxy takes the first
            state=state_of(conditions.get("ready"), conditions.get("serving"), conditions.get("terminating")),
            pod=_pod(endpoint.get("targetRef") or {}),
            zones=frozenset(hint["name"] for hint in hints.get("forZones") or ()),
            nodes=frozenset(hint["name"] for hint in hints.get("forNodes") or ()),
        )


def _pod(reference: Json) -> str:
    return str(reference.get("name", "")) if reference.get("kind") == "Pod" else ""


def _host(address: str, family: str) -> str:
    if family == FQDN:
        return address
    canonical = str(ip_address(address))
    return f"[{canonical}]" if family == _IPV6 else canonical


def _requested(spec: Json) -> int:
    """The CPU that a Pod asks for: as a whole, or all that runs in it together, sidecars too."""
    whole = _cpu(spec)
    if whole:
        return whole
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    return sum(_cpu(container) for container in [*(spec.get("containers") or ()), *sidecars])


def _cpu(holder: Json) -> int:
    requests = (holder.get("resources") or {}).get("requests") or {}
    return millicores(requests["cpu"]) if "cpu" in requests else 0
