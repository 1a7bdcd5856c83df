"""The kinds of objects that the stand-in keeps, where their paths lead, and what it tells to who discovers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """A kind of objects, under its name in paths."""

    name: str
    kind: str
    group: str = ""
    is_namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/v1" if self.group else "v1"

    @property
    def full_name(self) -> str:
        return f"{self.name}.{self.group}" if self.group else self.name

    @property
    def details(self) -> Json:
        return {"group": self.group} if self.group else {}


RESOURCES: Final = (
    Resource("services", "Service"),
    Resource("pods", "Pod"),
    Resource("nodes", "Node", is_namespaced=False),
    Resource("namespaces", "Namespace", is_namespaced=False),
    Resource("endpointslices", "EndpointSlice", "discovery.k8s.io"),
)
_GROUPS: Final = tuple({resource.group: None for resource in RESOURCES if resource.group})
UNKNOWN: Final = "a resource or version that a known group has not"

_VERSION: Final = {"major": "1", "minor": "36", "gitVersion": "v1.36.2", "platform": "linux/amd64"}


def named(name: str) -> Resource:
    return next(resource for resource in RESOURCES if resource.name == name)


def of_kind(kind: str) -> Resource:
    return next(resource for resource in RESOURCES if resource.kind == kind)


def target(path: str) -> tuple[Resource, str, str] | str | None:
    """The resource, namespace and name that a path leads to; UNKNOWN; or None where it leads nowhere."""
    parts = path.strip("/").split("/")
    if parts[:2] == ["api", "v1"]:
        group, rest = "", parts[2:]
    elif parts[0] == "apis" and len(parts) > 2 and parts[1] in _GROUPS:
        group, rest = parts[1], parts[3:]
        if parts[2] != "v1":
            return UNKNOWN
    else:
        return None
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    for resource in RESOURCES:
        if rest and resource.name == rest[0] and resource.group == group:
            return resource, namespace, rest[1] if len(rest) > 1 else ""
    return UNKNOWN


def discovery() -> Mapping[str, Json]:
    """What is answered to clients that ask what there is, by path."""
    groups = [_group(name) for name in _GROUPS]
    return {
        "/version": _VERSION,
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/api/v1": _resources("", "v1"),
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups},
        **{f"/apis/{group['name']}": {"kind": "APIGroup", "apiVersion": "v1", **group} for group in groups},
        **{f"/apis/{name}/v1": _resources(name, f"{name}/v1") for name in _GROUPS},
    }


def _group(name: str) -> Json:
    version = {"groupVersion": f"{name}/v1", "version": "v1"}
    return {"name": name, "versions": [version], "preferredVersion": version}


def _resources(group: str, version: str) -> Json:
    listed = [
        {
            "name": each.name,
            "singularName": each.kind.lower(),
            "namespaced": each.is_namespaced,
            "kind": each.kind,
            "verbs": ["get", "list", "watch"],
        }
        for each in RESOURCES
        if each.group == group
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": listed}
