"""The values that both planes share: what is configured and what is known of the endpoints.

Everything here is frozen. The supervisor builds these values and sends them down; a worker builds its pickers from
them and never changes them. Live state (idle connections, requests in flight, averages) belongs to the data plane's
own objects and survives a new snapshot by address.

One word per thing:

downstream  the client's side of the proxy                  upstream   the endpoint's side
endpoint    one address that serves (ip:port or unix:path)  service    the endpoints that serve one thing
listener    an address that Fairlead accepts on             route      host and path -> service (HTTP listeners)
policy      how a service chooses an endpoint               picker     a policy built for one set of endpoints
source      where endpoints come from (static, k8s, ...)   snapshot   all of the above at one version
report      what a worker sends up: counters, histograms    exchange   one request and its reply
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, final

AUTO: Final = -1  # of a number: made of others; the file says auto


class Protocol(StrEnum):
    """What a listener speaks."""

    HTTP = "http"
    TCP = "tcp"


class State(StrEnum):
    """What an endpoint may be given. Only READY endpoints get new requests while there is one."""

    READY = "ready"
    EJECTED = "ejected"
    DRAINING = "draining"
    UNREADY = "unready"


class Trigger(StrEnum):
    """Whether endpoints are ejected for something: not at all, or it is only said that they would be."""

    OFF = "off"
    ON = "on"
    DRY_RUN = "dry-run"


class Reason(StrEnum):
    """What an endpoint is ejected for."""

    GATEWAY = "gateway"  # so many requests in a row without a reply
    ERRORS = "errors"  # so many replies in a row that say that it has failed
    SUCCESS_RATE = "success-rate"
    LATENCY = "latency"
    SILENCE = "silence"  # it is given requests and answers none of them


@final
@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address that serves. `address` is canonical: "10.0.0.1:80", "[2001:db8::1]:80" or "unix:/run/app.sock"."""

    address: str
    weight: int = 1  # 1 to 65535, relative to the others of the service
    state: State = State.READY


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTimeouts:
    """How long a service may take. Each is in seconds; 0 means no limit."""

    connect_s: float = field(default=3.0, metadata={"doc": "to establish a connection to an endpoint"})
    reply_s: float = field(default=60.0, metadata={"doc": "from the end of the request to the head of the reply"})
    body_s: float = field(default=30.0, metadata={"doc": "between two pieces of a body, in either direction"})
    request_s: float = field(default=0.0, metadata={"doc": "from the head of a request to the end of its reply"})
    idle_s: float = field(default=60.0, metadata={"doc": "an unused connection to an endpoint is kept this long"})
    tunnel_s: float = field(
        default=0.0, metadata={"doc": "an upgraded connection or TCP session without traffic; 0: the listener's `idle`"}
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """How much one endpoint of a service is given; 0 means no limit. All workers together keep to the first two."""

    max_connections: int = field(default=0, metadata={"doc": "connections to one endpoint, in use and idle"})
    max_in_flight: int = field(default=0, metadata={"doc": "requests in flight to one endpoint; of tcp, sessions"})
    max_idle: int = field(default=256, metadata={"doc": "idle connections to one endpoint that each worker keeps"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Where requests and TCP sessions wait while no endpoint has room, or while there is none."""

    max: int = field(
        default=1000, metadata={"doc": "so many may wait, in all workers together; more get 503", "min": 1}
    )
    timeout_s: float = field(
        default=5.0, metadata={"doc": "so long one may wait; then it gets 503", "min": 0.1, "max": 3600}
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ejection:
    """Which endpoints are taken out of use because of how they serve, how many at most, and for how long."""

    gateway: Trigger = field(
        default=Trigger.ON,
        metadata={"doc": "requests in a row without a reply: no connection, a reset, a timeout, a reply that is none"},
    )
    gateway_failures: int = field(default=5, metadata={"doc": "so many of them", "min": 1})
    errors: Trigger = field(
        default=Trigger.ON, metadata={"doc": "replies in a row with a status from 500 on, other than 501 and 505"}
    )
    error_replies: int = field(default=5, metadata={"doc": "so many of them", "min": 1})
    success_rate: Trigger = field(
        default=Trigger.ON, metadata={"doc": "more failures than the other endpoints of the service"}
    )
    failure_share: float = field(
        default=0.2,
        metadata={"doc": "of its requests, at least, and three times that of the others", "min": 0.01, "max": 1},
    )
    latency: Trigger = field(
        default=Trigger.ON, metadata={"doc": "slower than the other endpoints, or silent while they answer"}
    )
    latency_factor: float = field(
        default=4.0, metadata={"doc": "its median is so many times that of the others", "min": 1.5, "max": 1000}
    )
    latency_floor_s: float = field(default=0.01, metadata={"doc": "and so much longer"})
    silence_s: float = field(
        default=0.5,
        metadata={"doc": "answers nothing for so long, and for 20 times their median, while others do", "min": 0.1},
    )
    max_share: float = field(
        default=0.5, metadata={"doc": "of the endpoints may be out, but one always may and one never", "max": 1}
    )
    panic: float = field(
        default=0.5, metadata={"doc": "when less than this share can be used, all are used again; 0: never", "max": 1}
    )
    base_s: float = field(
        default=10.0, metadata={"doc": "the first time out lasts so long, each further one twice as long", "min": 0.1}
    )
    max_s: float = field(default=300.0, metadata={"doc": "and no longer than this", "min": 0.1})
    ramp_s: float = field(
        default=10.0, metadata={"doc": "as `slow_start`, for an endpoint that returns where there is none"}
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """When a request that failed is given to another endpoint of the service; docs/retries.md says what never is."""

    attempts: int = field(
        default=3,
        metadata={
            "doc": "endpoints that one request is given to at most; 1: nothing is tried again",
            "min": 1,
            "max": 5,
        },
    )
    reset: bool = field(
        default=True, metadata={"doc": "when a connection ends before the reply, if the method is idempotent"}
    )
    statuses: tuple[int, ...] = field(
        default=(500, 502, 503, 504),
        metadata={"doc": "when an endpoint replies with one of these, if the method is idempotent; [] for none"},
    )
    try_timeout_s: float = field(
        default=AUTO,
        metadata={
            "doc": "when a reply does not begin within this, if the method is idempotent; 0: never",
            "auto": True,
        },
    )
    backoff_s: float = field(
        default=0.025, metadata={"doc": "the wait before a second retry is up to 3 of these, later up to 7 and 10"}
    )
    budget: float = field(
        default=0.2, metadata={"doc": "retries as a share of the requests, over 10 s; for each worker", "max": 1}
    )
    budget_min: float = field(
        default=10.0, metadata={"doc": "and so many a second however few requests there are", "max": 10000}
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hash:
    """What keeps requests together under `balance: hash`: one of `by`, `header` and `cookie`."""

    by: str = field(default="client-address", metadata={"doc": "`client-address`, for TCP and HTTP"})
    header: str = field(default="", metadata={"doc": "HTTP: the value of this field; without it any endpoint"})
    cookie: str = field(default="", metadata={"doc": "HTTP: the value of this cookie; without it any endpoint"})
    max_load: float = field(
        default=1.25,
        metadata={
            "doc": "an endpoint takes this multiple of its part of the requests in flight, others what is more",
            "min": 1.05,
            "max": 100,
        },
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The endpoints that serve one thing, and how one of them is chosen."""

    name: str
    balance: str = "round-robin"
    hash: Hash | None = None
    slow_start_s: float = 0.0
    endpoints: tuple[Endpoint, ...] = ()
    timeouts: ServiceTimeouts = ServiceTimeouts()
    limits: ServiceLimits = ServiceLimits()
    ejection: Ejection = Ejection()
    is_panicking: bool = False  # too few can be used, so that all are, whatever is said of them
    retries: Retries = Retries()
    max_in_flight: int = 0
    queue: Queue | None = None
    protect: bool = False
    version: int = 0  # grows with every change of this service


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Requests for `host` (exact, "*.suffix" or "" for any) under `path` (prefix at segment boundaries) -> service."""

    service: str = field(metadata={"doc": "the service to pass the request on to"})
    host: str = field(default="", metadata={"doc": "exact, or *.suffix for any depth below it; without it any host"})
    path: str = field(default="/", metadata={"doc": "prefix at segment boundaries: /v1 takes /v1 and /v1/x, not /v10"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTimeouts:
    """How long a client may take. Each is in seconds; 0 means no limit."""

    head_s: float = field(default=10.0, metadata={"doc": "from the first byte of a request to the end of its head"})
    body_s: float = field(
        default=30.0, metadata={"doc": "between two pieces of a request's body, or of a reply that is taken slowly"}
    )
    keepalive_s: float = field(default=60.0, metadata={"doc": "between a reply and the next request"})
    idle_s: float = field(default=3600.0, metadata={"doc": "a TCP session or upgraded connection without traffic"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    """How much a client may send and how many may come, per worker; 0 means no limit."""

    max_connections: int = field(
        default=0,
        metadata={"doc": "open connections, more wait in the kernel's queue; 0: as many as there may be descriptors"},
    )
    max_client_connections: int = field(
        default=AUTO,
        metadata={"doc": "open connections of one client address; auto: half of all", "auto": True},
    )
    max_requests: int = field(default=1000, metadata={"doc": "requests on one connection, which the last reply ends"})
    max_request_line_bytes: int = field(
        default=16384, metadata={"doc": "method, target and version together", "floor": 64}
    )
    max_head_bytes: int = field(default=32768, metadata={"doc": "request line and fields together", "floor": 128})
    max_fields: int = field(default=100, metadata={"doc": "header fields of one request"})
    max_body_bytes: int = field(default=0, metadata={"doc": "the body of one request", "max": 1 << 50})
    max_chunk_extension_bytes: int = field(default=4096, metadata={"doc": "chunk extensions of one request"})
    max_trailer_bytes: int = field(default=8192, metadata={"doc": "trailer fields of one request"})
    min_body_rate: int = field(
        default=240,
        metadata={"doc": "bytes a second, of a request's body and of a reply that is taken slowly; after 5 s"},
    )
    max_buffer_bytes: int = field(
        default=65536,
        metadata={"doc": "kept of one connection in one direction, for a peer that is slower", "floor": 4096},
    )
    max_buffered_bytes: int = field(
        default=268435456,
        metadata={"doc": "kept of all connections: at it new requests get 503", "floor": 1 << 20, "max": 1 << 40},
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An address that Fairlead accepts on. HTTP listeners have routes, TCP listeners a service."""

    name: str
    bind: str = field(metadata={"doc": "IP:PORT, :PORT for every IPv4 address, [IPV6]:PORT or unix:PATH"})
    protocol: Protocol = field(default=Protocol.HTTP, metadata={"doc": "what clients speak"})
    routes: tuple[Route, ...] = field(default=(), metadata={"doc": "http only, the first match wins; see below"})
    service: str = field(default="", metadata={"doc": "tcp: where all goes; http: short for one route of everything"})
    trusted_proxies: tuple[str, ...] = field(
        default=(), metadata={"doc": "http only: who is believed on whom it forwards for; see below"}
    )
    debug_from: tuple[str, ...] = field(
        default=("127.0.0.0/8", "::1"),
        metadata={"doc": "http only: clients that may ask who served them, with `Fairlead-Debug: 1`; see below"},
    )
    timeouts: ListenerTimeouts = ListenerTimeouts()
    limits: ListenerLimits = ListenerLimits()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that a worker needs, at one version. Sent whole at start, then only what changed (`Update`)."""

    version: int = 0
    listeners: Mapping[str, Listener] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """New and changed services and listeners, each whole, and the names of those that are gone."""

    version: int
    services: tuple[Service, ...] = ()
    listeners: tuple[Listener, ...] = ()
    gone_services: tuple[str, ...] = ()
    gone_listeners: tuple[str, ...] = ()
