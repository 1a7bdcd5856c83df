"""What can be configured of the metrics API, each field with its sentence; read and shown as all settings are.

Nothing here reads anything. Invariant: a value of these types has been checked, and holds every default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, final

from fairlead.discovery import Source

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@final
@dataclass(frozen=True, slots=True)
class ObjectName:
    """An object of Kubernetes that belongs to a namespace."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What Kubernetes calls a service of this file, for those whose endpoints do not say it (`k8s://` ones do)."""

    name: str
    object: ObjectName | None = field(
        default=None, metadata={"doc": "NAMESPACE/SERVICE: the Service whose metrics these are"}
    )
    concurrency: float = field(
        default=0.0,
        metadata={
            "doc": "requests that one endpoint serves at once and still within its objective, or `auto`: learned, "
            "which needs the service's `objective`; `fairlead_saturation` is measured against it, and is not offered "
            "without it",
            "auto": True,
        },
    )
    pods: Mapping[str, str] = field(
        default_factory=lambda: _NONE,
        metadata={"doc": "POD: IP or address of its endpoint, without a cluster to ask"},
    )
    labels: Mapping[str, str] = field(
        default_factory=lambda: _NONE, metadata={"doc": "of each of those pods: what a label selector is compared with"}
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsApi:
    """What a HorizontalPodAutoscaler asks: custom.metrics.k8s.io and external.metrics.k8s.io, over TLS."""

    bind: str = field(default="", metadata={"doc": "as a listener's, such as 0.0.0.0:6443; off for none"})
    window_s: float = field(
        default=30.0,
        metadata={"doc": "what figures are taken over; at least twice the autoscaler's period of 15 s", "min": 5},
    )
    hold_s: float = field(
        default=300.0,
        metadata={"doc": "without traffic the last latency and error ratio stand this long, with their time; then 0"},
    )
    certificate: str = field(
        default="", metadata={"doc": "PEM file with the chain, read again when it changes; without it one is made"}
    )
    key: str = field(default="", metadata={"doc": "PEM file with its private key"})
    server_names: tuple[str, ...] = field(
        default=(), metadata={"doc": "DNS names in the certificate that is made, such as SERVICE.NAMESPACE.svc"}
    )
    client_ca: str = field(
        default="",
        metadata={"doc": "PEM file that callers' certificates are checked against; without it the cluster is asked"},
    )
    client_names: tuple[str, ...] = field(
        default=(),
        metadata={"doc": "with client_ca: common names of certificates that may speak for users; all if none"},
    )
    authorization: Literal["cluster", "none"] = field(
        default="cluster", metadata={"doc": "ask the cluster whether a user may (cached 10 s), or let every user in"}
    )
    peers: Source | None = field(
        default=None,
        metadata={
            "doc": "the metrics API of all replicas, as a source of endpoints such as `k8s://NAMESPACE/SERVICE:https`: "
            "any of them then answers for all"
        },
    )
    peer_key: str = field(default="", metadata={"doc": "file with the key that they share, 16 bytes or more"})
    services: Mapping[str, Described] = field(
        default_factory=dict[str, Described], metadata={"doc": "more about services of this file, by name"}
    )
