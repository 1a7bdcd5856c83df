"""The documents of the metrics API: discovery in both of its forms, and lists of values. Pure: dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, final

from fairlead.autoscale.metrics import METRICS
from fairlead.autoscale.requests import CUSTOM, EXTERNAL, PODS, SERVICES, VERSIONS, Values

JSON: Final = "application/json"
_AGGREGATED: Final = {
    f"g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList": version for version in ("v2", "v2beta1")
}
_KINDS: Final = {CUSTOM: "MetricValueList", EXTERNAL: "ExternalMetricValueList"}
_SINGULAR: Final = {SERVICES: "service", PODS: "pod"}
_OBJECTS: Final = {SERVICES: "Service", PODS: "Pod"}
_VERBS: Final = ["get"]

Document = dict[str, Any]


@final
@dataclass(frozen=True, slots=True)
class Value:
    """One item: of an object (`name`), or of what `labels` say. `value` is a quantity."""

    at: float  # Unix time
    window_s: float
    value: str
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def is_acceptable(accept: str) -> bool:
    """Whether an Accept header lets us answer with JSON, the only form there is."""
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return not accept or bool(kinds & {JSON, "application/*", "*/*"})


def all_groups(accept: str) -> tuple[Document, str]:
    """`/apis` and its content type: everything at once for who asks so (aggregated discovery), else a list."""
    for part in accept.split(","):
        kind, _, parameters = part.replace(" ", "").partition(";")
        version = _AGGREGATED.get(parameters)
        if kind == JSON and version:
            return _everything(version), f"{JSON};{parameters}"
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in VERSIONS]}, JSON


def group(name: str) -> Document:
    """`/apis/GROUP`."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)}


def resources(group: str, version: str) -> Document:
    """`/apis/GROUP/VERSION`."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}",
        "resources": [
            {"name": name, "singularName": "", "namespaced": True, "kind": _KINDS[group], "verbs": _VERBS}
            for name in _resource_names(group)
        ],
    }


def values(asked: Values, found: Iterable[Value]) -> Document:
    """The answer to a request for values."""
    return {
        "kind": _KINDS[asked.group],
        "apiVersion": f"{asked.group}/{asked.version}",
        "metadata": {},
        "items": [_item(asked, value) for value in found],
    }


def _item(asked: Values, value: Value) -> Document:
    measured = {"timestamp": _time(value.at), "windowSeconds": round(value.window_s), "value": value.value}
    if asked.group == EXTERNAL:
        return {"metricName": asked.metric, "metricLabels": dict(value.labels), **measured}
    described = {
        "kind": _OBJECTS[asked.resource],
        "namespace": asked.namespace,
        "name": value.name,
        "apiVersion": "v1",
    }
    named: Document = {"metric": {"name": asked.metric, "selector": None}}
    if asked.version == "v1beta1":
        named = {"metricName": asked.metric, "selector": None}
    return {"describedObject": described, **named, **measured}


def _time(unix: float) -> str:
    return datetime.fromtimestamp(int(unix), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _group(name: str) -> Document:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in VERSIONS[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resource_names(group: str) -> list[str]:
    if group == EXTERNAL:
        return list(METRICS)
    of_pods = [name for name, metric in METRICS.items() if metric.of_pods]
    return [f"{SERVICES}/{name}" for name in METRICS] + [f"{PODS}/{name}" for name in of_pods]


def _everything(version: str) -> Document:
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": name, "creationTimestamp": None},
                "versions": [
                    {"version": each, "resources": _discovered(name, each), "freshness": "Current"} for each in versions
                ],
            }
            for name, versions in VERSIONS.items()
        ],
    }


def _discovered(group: str, version: str) -> list[Document]:
    kind = {"group": group, "version": version, "kind": _KINDS[group]}
    if group == EXTERNAL:
        return [_resource(name, kind, {"singularResource": "", "verbs": _VERBS}) for name in METRICS]
    nothing = {"group": "", "version": "", "kind": ""}  # of what has no values itself: some clients look into it
    names = [name.partition("/") for name in _resource_names(group)]
    return [
        _resource(
            resource,
            nothing,
            {
                "singularResource": _SINGULAR[resource],
                "verbs": [],
                "subresources": [
                    {"subresource": metric, "responseKind": kind, "verbs": _VERBS}
                    for parent, _, metric in names
                    if parent == resource
                ],
            },
        )
        for resource in _SINGULAR
    ]


def _resource(name: str, kind: Document, more: Document) -> Document:
    return {"resource": name, "responseKind": kind, "scope": "Namespaced", **more}
