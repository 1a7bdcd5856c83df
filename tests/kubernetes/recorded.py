"""What a control plane really sent, read from tests/recordings, and objects in its form."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fairlead.discovery.kubernetes.meaning import Meaning, Place, meaning
from fairlead.discovery.kubernetes.objects import ClusterService, Slice, read_service, read_slice
from fairlead.discovery.kubernetes.ports import choose_port
from fairlead.model import State

_RECORDINGS = Path(__file__).parent.parent / "recordings"

Json = dict[str, Any]


def lines(name: str) -> Iterator[Json]:
    """The lines of a recording, without the first, which is about it."""
    with gzip.open(_RECORDINGS / f"{name}.jsonl.gz", "rt") as text:
        next(text)
        for line in text:
            yield json.loads(line)


def names(prefix: str) -> list[str]:
    return sorted(path.name.removesuffix(".jsonl.gz") for path in _RECORDINGS.glob(f"{prefix}*.jsonl.gz"))


class Replay:
    """Services and slices as they are after each recorded event."""

    def __init__(self, name: str) -> None:
        self._lines = lines(f"slices-{name}")
        self.services: dict[str, ClusterService] = {}
        self.slices: dict[str, Slice] = {}
        self.doing = ""

    def steps(self) -> Iterator[Replay]:
        """Itself after each event of a Service or a slice; `doing` is what was done last before it."""
        for line in self._lines:
            if line["src"] == "action":
                self.doing = line["do"]
            if line["src"] in ("services", "endpointslices") and line["event"]["type"] != "BOOKMARK":
                self._take(line["src"], line["event"])
                yield self

    def _take(self, kind: str, event: Json) -> None:
        raw = event["object"]
        name = raw["metadata"]["name"]
        gone = event["type"] == "DELETED"
        if kind == "services" and gone:
            del self.services[name]
        elif kind == "services":
            self.services[name] = read_service(raw)
        elif gone:
            del self.slices[name]
        else:
            self.slices[name] = read_slice(raw)

    def meaning(self, port: str = "http", service: str = "my-app", place: Place | None = None) -> Meaning:
        known = self.services[service]
        slices = [each for each in self.slices.values() if each.service == service]
        return meaning(known, slices, choose_port(known, port), place or Place())

    def usable(self, port: str = "http", service: str = "my-app", place: Place | None = None) -> set[str]:
        """What gets new requests: as the data plane chooses from the states."""
        return usable(self.meaning(port, service, place))


def usable(meant: Meaning) -> set[str]:
    """The ready endpoints, or where there is none those that drain."""
    ready = {each.address for each in meant.endpoints if each.state is State.READY}
    return ready or {each.address for each in meant.endpoints if each.state is State.DRAINING}


def service(
    name: str = "my-app", ports: tuple[Json, ...] = ({"name": "http", "port": 80, "targetPort": 8080},), **spec: object
) -> Json:
    """A Service as the API gives it."""
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": "ClusterIP", "ports": [{"protocol": "TCP", **port} for port in ports], **spec},
    }


def endpoint(address: str, conditions: str | None = "RS-", pod: str = "", **more: object) -> Json:
    """An endpoint. Of its conditions, "RST" are true, "-" is false, "?" is absent; None is no conditions at all."""
    raw: Json = {"addresses": [address], **more}
    if conditions is not None:
        pairs = zip(("ready", "serving", "terminating"), conditions, strict=True)
        raw["conditions"] = {name: mark != "-" for name, mark in pairs if mark != "?"}
    if pod:
        raw["targetRef"] = {"kind": "Pod", "name": pod, "namespace": "default"}
    return raw


def hints(zone: str = "", node: str = "") -> Json:
    """The hints of an endpoint, as an argument of `endpoint`."""
    given: Json = {"forZones": [{"name": zone}]} if zone else {}
    return {"hints": {**given, "forNodes": [{"name": node}]} if node else given}


def endpoint_slice(
    *endpoints: Json,
    name: str = "my-app-1",
    of: str = "my-app",
    ports: tuple[Json, ...] | None = ({"name": "http", "port": 8080},),
    family: str = "IPv4",
) -> Json:
    """An EndpointSlice as the API gives it."""
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"name": name, "namespace": "default", "labels": {"kubernetes.io/service-name": of}},
        "addressType": family,
        "endpoints": list(endpoints) or None,
        "ports": None if ports is None else [{"protocol": "TCP", **port} for port in ports],
    }


def pod(name: str, cpu: str | None = None, weight: str | None = None, **more: object) -> Json:
    """A Pod as the API gives it, with what weights are made of."""
    requests = {"requests": {"cpu": cpu}} if cpu else {}
    annotations = {"annotations": {"fairlead.dev/weight": weight}} if weight is not None else {}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "default", **annotations},
        "spec": {"containers": [{"name": "app", "resources": requests}], **more},
    }
