"""What can be configured beyond what both planes share (model.py): frozen groups, each field with a sentence.

A field's key in the file is its name without `_s`; its type, default and `doc` are what the reader, the effective
configuration and the reference page are made of. Nothing here reads anything. Invariant: a value of these types has
been checked, and holds every default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, final

from fairlead.autoscale.settings import MetricsApi
from fairlead.discovery import Source
from fairlead.health.checks.settings import CheckSettings
from fairlead.model import Ejection, Hash, Listener, Queue, Retries, ServiceLimits, ServiceTimeouts

AUTO_WORKERS: Final = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Where a service's endpoints come from, and how one of them is chosen."""

    name: str
    sources: tuple[Source, ...] = field(
        metadata={"key": "endpoints", "doc": "where they are: one source or a list of them, see below"}
    )
    balance: str = field(default="round-robin", metadata={"doc": "how one of them is chosen, see below"})
    weights: Literal["equal", "annotation", "cpu-request"] = field(
        default="equal", metadata={"doc": "of k8s:// endpoints, where their weights come from, see below"}
    )
    objective_s: float = field(
        default=0.0,
        metadata={"doc": "within this a reply should be complete; an edge of the service's latency histogram. 0: none"},
    )
    hash: Hash | None = field(default=None, metadata={"doc": "what stays together, for balance: hash; see below"})
    slow_start_s: float = field(
        default=0.0, metadata={"doc": "a new endpoint's share grows from a tenth to the whole in this time; 0: at once"}
    )
    checks: CheckSettings | None = field(
        default=None, metadata={"doc": "how Fairlead checks the endpoints by itself; see below"}
    )
    timeouts: ServiceTimeouts = field(default_factory=ServiceTimeouts)
    limits: ServiceLimits = field(default_factory=ServiceLimits)
    ejection: Ejection = field(default_factory=Ejection)
    retries: Retries = field(default_factory=Retries)
    max_in_flight: int = field(
        default=0,
        metadata={"doc": "requests in flight to all endpoints; of tcp, sessions; of all workers together. 0: no limit"},
    )
    queue: Queue | None = field(default=None, metadata={"doc": "where requests wait while no endpoint has room"})
    scale_from_zero: str = field(
        default="",
        metadata={"doc": "deployment/NAME or statefulset/NAME: scaled from 0 to 1 when the first request waits"},
    )
    protect: bool = field(
        default=False,
        metadata={"doc": "http: learn how many requests at once the endpoints answer well, and refuse more with 503"},
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Kubernetes:
    """How k8s:// sources find the API; in a Pod it needs nothing but a service account."""

    kubeconfig: str = field(
        default="", metadata={"doc": "the path of one; without it KUBECONFIG, the Pod's own, or ~/.kube/config"}
    )
    context: str = field(default="", metadata={"doc": "of the kubeconfig; without it the current one"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """Where Fairlead answers about itself: health, metrics, its configuration and state."""

    bind: str = field(default="127.0.0.1:9900", metadata={"doc": "as a listener's; off for none"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """What happens between SIGTERM and exit: first readiness fails and all goes on, then what is in flight may end."""

    delay_s: float = field(
        default=5.0, metadata={"doc": "accepting goes on after SIGTERM, while others learn that this proxy is going"}
    )
    limit_s: float = field(
        default=30.0, metadata={"doc": "from the end of the delay to the closing of what is still in flight"}
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    """A line for each request or TCP session. It never blocks the traffic: lines that nobody takes are dropped."""

    to: str = field(default="", metadata={"doc": "stdout, stderr or the path of a file; off for none"})
    format: Literal["json", "text"] = field(default="json", metadata={"doc": "for machines or for people"})
    sample: float = field(default=1.0, metadata={"doc": "the share that is written", "min": 0, "max": 1})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A whole configuration."""

    listeners: Mapping[str, Listener] = field(metadata={"doc": "the addresses to accept on, by name"})
    services: Mapping[str, ServiceSettings] = field(metadata={"doc": "the endpoints to pass on to, by name"})
    admin: Admin = Admin()
    kubernetes: Kubernetes = Kubernetes()
    workers: int = field(
        default=AUTO_WORKERS,
        metadata={"doc": "processes for the traffic; auto: as many as cores may be used (affinity, quota)"},
    )
    drain: Drain = Drain()
    access_log: AccessLog = AccessLog()
    metrics_api: MetricsApi = field(default_factory=MetricsApi)
