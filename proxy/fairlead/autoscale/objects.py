"""Which object of Kubernetes a service of the configuration is: from its `k8s://` sources, or as the file says.

Pure. Several services may be one object (two ports of one Service): its metrics are then of all of them together. A
service that is no object is not offered, since a metric belongs to a namespace, and who may read it is decided there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from fairlead.autoscale.settings import Described, ObjectName

_SOURCE: Final = re.compile(r"k8s://([a-z0-9-]{1,63})/([a-z0-9-]{1,63})(?::[^/]*)?", re.ASCII)
_OBJECT: Final = re.compile(r"([a-z0-9-]{1,63})/([a-z0-9-]{1,63})", re.ASCII)


@final
@dataclass(frozen=True, slots=True)
class Objects:
    """By Service, the names of the services of the configuration; and what is said of each of those."""

    services: Mapping[ObjectName, tuple[str, ...]]
    described: Mapping[str, Described]

    def within(self, namespace: str) -> list[ObjectName]:
        return [name for name in self.services if name.namespace == namespace]

    def concurrency(self, service: str) -> float:
        described = self.described.get(service)
        return described.concurrency if described else 0.0


def objects(sources: Mapping[str, tuple[str, ...]], described: Mapping[str, Described]) -> Objects:
    """`sources` is the texts of each service's sources. What the file says of a service goes before its sources."""
    found: dict[ObjectName, tuple[str, ...]] = {}
    for service, texts in sources.items():
        name = _named(texts, described.get(service))
        if name is not None:
            found[name] = (*found.get(name, ()), service)
    return Objects(found, described)


def parse_object(text: str) -> ObjectName:
    """NAMESPACE/SERVICE. Raises ValueError saying what is wrong."""
    parts = _OBJECT.fullmatch(text)
    if parts is None:
        raise ValueError(f"is {text[:80]!r}, and must be NAMESPACE/SERVICE")
    return ObjectName(*parts.groups())


def _named(texts: tuple[str, ...], described: Described | None) -> ObjectName | None:
    if described is not None and described.object is not None:
        return described.object
    for text in texts:
        if parts := _SOURCE.fullmatch(text):
            return ObjectName(*parts.groups())
    return None
