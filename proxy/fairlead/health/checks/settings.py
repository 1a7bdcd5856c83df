"""What can be configured of the checks of a service, each field with its sentence; read and shown as all settings are.

Nothing here reads anything. Invariant: a value of this type has been checked, and holds every default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, final

MOST_IN_A_ROW: Final = 100
MOST_BYTES: Final = 65536  # of an answer that are looked at, whatever is looked for in them


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """How Fairlead checks the endpoints of a service by itself. Without this group it does not."""

    kind: Literal["http", "tcp", "grpc"] = field(
        default="http",
        metadata={"doc": "a request and its reply; a connection; or `grpc.health.v1.Health/Check`, in cleartext"},
    )
    port: int = field(
        default=0, metadata={"doc": "another port to check than that of the traffic; 0: the same", "max": 65535}
    )
    interval_s: float = field(
        default=2.0, metadata={"doc": "from one check of an endpoint to the next while it passes", "min": 0.1}
    )
    fast_interval_s: float = field(
        default=0.5,
        metadata={"doc": "the same until `fall` or `rise` decides; at most `interval`", "min": 0.1},
    )
    down_interval_s: float = field(default=5.0, metadata={"doc": "the same while it fails", "min": 0.1})
    jitter: float = field(
        default=0.1, metadata={"doc": "each interval is longer or shorter by up to this share", "max": 0.5}
    )
    timeout_s: float = field(
        default=1.0, metadata={"doc": "from the start of a check to the end of the answer", "min": 0.1}
    )
    fall: int = field(
        default=3,
        metadata={"doc": "so many failures in a row take an endpoint out", "min": 1, "max": MOST_IN_A_ROW},
    )
    rise: int = field(
        default=2, metadata={"doc": "so many passes in a row bring it back", "min": 1, "max": MOST_IN_A_ROW}
    )
    initial: Literal["as-source", "down"] = field(
        default="as-source",
        metadata={"doc": "what a new endpoint is until `fall` or `rise` decides: what its source says, or not used"},
    )
    readiness: Literal["with-source", "replace"] = field(
        default="with-source",
        metadata={"doc": "both have to call it ready, or the checks alone, whatever a readinessProbe says"},
    )
    all_failed: Literal["refuse", "use-all"] = field(
        default="refuse",
        metadata={"doc": "when every endpoint fails: `no-endpoint`, or as if they were not checked"},
    )
    path: str = field(default="/", metadata={"doc": "http: what is asked for, with a query if need be"})
    method: Literal["GET", "HEAD"] = field(default="GET", metadata={"doc": "http: how"})
    host: str = field(
        default="", metadata={"doc": "http, grpc: the host that is asked for; without it the address of the endpoint"}
    )
    headers: Mapping[str, str] = field(default_factory=dict[str, str], metadata={"doc": "http: further fields"})
    status: tuple[str, ...] = field(
        default=("200-399",), metadata={"doc": "http: the statuses that pass, such as `[200, 204, 300-399]`"}
    )
    body: str = field(
        default="", metadata={"doc": "http: a text that the body must hold within its first 64 KiB, escaped as `send`"}
    )
    send: str = field(
        default="",
        metadata={"doc": r"tcp: what is sent, such as `'PING\r\n'`; also `\t`, `\0`, `\\` and `\xHH`"},
    )
    expect: str = field(
        default="", metadata={"doc": "tcp: a text that the answer must hold within its first 64 KiB, escaped as `send`"}
    )
    grpc_service: str = field(
        default="", metadata={"doc": "grpc: the name to ask for; without it the server as a whole"}
    )
