"""The kinds of objects that are followed: where the API has them, how one is read, whom a change concerns. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, final

from fairlead.discovery.kubernetes.objects import (
    SERVICE_NAME,
    ClusterService,
    Json,
    Pod,
    Slice,
    read_pod,
    read_service,
    read_slice,
)

T = TypeVar("T")
ALL: Final = ""  # whom a change concerns when it concerns everybody


@final
@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """`concerns` gives the name of the Service that an object belongs to; `label` holds that name, if one does."""

    resource: str
    group: str
    read: Callable[[Json], T]
    name: Callable[[T], str]
    concerns: Callable[[T], str]
    label: str = ""

    def path(self, namespace: str) -> str:
        root = f"/apis/{self.group}/v1" if self.group else "/api/v1"
        return f"{root}/namespaces/{namespace}/{self.resource}"


SERVICES: Final[Kind[ClusterService]] = Kind("services", "", read_service, lambda one: one.name, lambda one: one.name)
SLICES: Final[Kind[Slice]] = Kind(
    "endpointslices", "discovery.k8s.io", read_slice, lambda one: one.name, lambda one: one.service, SERVICE_NAME
)
PODS: Final[Kind[Pod]] = Kind("pods", "", read_pod, lambda one: one.name, lambda _: ALL)
