"""What a request of the metrics API asks for, read from its target: a document of discovery, or values of a metric.

Pure. Owns the shapes of the paths, and the attributes by which an API server decides who may: the same path has to give
the same verb, resource and name there and here, or a Role would not mean what it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, final
from urllib.parse import parse_qsl, unquote

CUSTOM: Final = "custom.metrics.k8s.io"
EXTERNAL: Final = "external.metrics.k8s.io"
VERSIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {CUSTOM: ("v1beta2", "v1beta1"), EXTERNAL: ("v1beta1",)}
)  # the preferred first
ALL: Final = "*"
SERVICES: Final = "services"
PODS: Final = "pods"
_LONGEST: Final = 8192


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What is to be decided about: a path, or a verb on a resource."""

    verb: str
    path: str = ""
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""


@final
@dataclass(frozen=True, slots=True)
class Documents:
    """A document of discovery: all groups, one group, or one version of it. "" is what was not said."""

    group: str = ""
    version: str = ""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Values of a metric. `resource` is SERVICES, PODS, or "" for an external metric; `name` may be ALL."""

    group: str
    version: str
    namespace: str
    metric: str
    resource: str = ""
    name: str = ""
    selector: str = ""  # labelSelector, as it was written
    metric_selector: str = ""


@final
@dataclass(frozen=True, slots=True)
class Unknown:
    """A path that is nothing here. `is_known_group`: whether it lies in a group of ours."""

    is_known_group: bool


Asked = Documents | Values | Unknown


def read(target: str) -> tuple[Asked, Attributes]:
    """What a request target asks for, and what has to be allowed for it. Raises ValueError for one that is broken."""
    path, _, query = target.partition("?")
    if len(target) > _LONGEST or not path.startswith("/"):
        raise ValueError("the request target is too long, or no path")
    segments = [unquote(segment, errors="strict") for segment in path.strip("/").split("/")]
    if any("/" in segment or not segment.isprintable() for segment in segments):
        raise ValueError("the path has a segment that no name can be")
    asked = _asked(segments, query)
    return asked, _attributes(asked, "/" + "/".join(segments))


def _asked(segments: Sequence[str], query: str) -> Asked:
    match segments:
        case ["apis"]:
            return Documents()
        case ["apis", group] if group in VERSIONS:
            return Documents(group)
        case ["apis", group, version] if version in VERSIONS.get(group, ()):
            return Documents(group, version)
        case ["apis", group, version, "namespaces", namespace, *rest] if version in VERSIONS.get(group, ()):
            return _values(group, version, namespace, rest, query)
        case ["apis", group, *_]:
            return Unknown(group in VERSIONS)
    return Unknown(is_known_group=False)


def _values(group: str, version: str, namespace: str, rest: Sequence[str], query: str) -> Asked:
    options = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=32, errors="strict"))
    selector = options.get("labelSelector", "")
    match group, rest:
        case _ if not namespace or not all(rest):
            return Unknown(is_known_group=True)
        case ("external.metrics.k8s.io", [metric]):
            return Values(group=group, version=version, namespace=namespace, metric=metric, selector=selector)
        case ("custom.metrics.k8s.io", [resource, name, metric]):
            return Values(
                group=group,
                version=version,
                namespace=namespace,
                metric=metric,
                resource=resource,
                name=name,
                selector=selector,
                metric_selector=options.get("metricLabelSelector", ""),
            )
    return Unknown(is_known_group=True)


def _attributes(asked: Asked, path: str) -> Attributes:
    if not isinstance(asked, Values):
        return Attributes(verb="get", path=path)
    of = {"group": asked.group, "version": asked.version, "namespace": asked.namespace}
    if asked.group == EXTERNAL:
        return Attributes(verb="list", resource=asked.metric, **of)
    return Attributes(verb="get", resource=asked.resource, subresource=asked.metric, name=asked.name, **of)
