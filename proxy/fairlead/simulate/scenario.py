"""What is simulated: a workload and the endpoints that serve it, as frozen groups with a sentence for each field.

Nothing here reads or runs anything. A field's key in a file is its name without `_s`, as in the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How the endpoints of a group behave from some moment on, until their next change."""

    at_s: float = field(metadata={"doc": "since the start"})
    slower: float = field(default=1.0, metadata={"doc": "their replies take so many times as long", "min": 0.001})
    fails: float = field(default=0.0, metadata={"doc": "the share of requests that fail", "max": 1})
    takes_s: float = field(default=0.001, metadata={"doc": "a failure takes so long"})
    hangs: bool = field(default=False, metadata={"doc": "they take requests and never answer"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Endpoints of one kind."""

    name: str
    count: int = field(default=1, metadata={"doc": "how many there are", "min": 1, "max": 10_000})
    weight: int = field(default=1, metadata={"doc": "of each", "min": 1, "max": 65535})
    time_s: float = field(default=0.005, metadata={"doc": "to serve a request, on average"})
    spread: Literal["exponential", "fixed", "lognormal"] = field(
        default="exponential", metadata={"doc": "of the times; lognormal has the longest tail (sigma 1)"}
    )
    concurrency: int = field(default=8, metadata={"doc": "requests served at once; others queue there", "min": 1})
    from_s: float = field(default=0.0, metadata={"doc": "when they come"})
    until_s: float = field(default=0.0, metadata={"doc": "when they go; 0: they stay"})
    step_s: float = field(default=0.0, metadata={"doc": "each comes and goes so much later than the one before it"})
    cold: float = field(default=1.0, metadata={"doc": "so many times slower when they have just come", "min": 1})
    warm_after_s: float = field(default=0.0, metadata={"doc": "as long as that lasts, which wears off evenly"})
    changes: tuple[Change, ...] = field(default=(), metadata={"doc": "of their behaviour, in order of time"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A workload, the endpoints that serve it, and the workers between them, each with a picker of its own."""

    name: str
    endpoints: Mapping[str, Group] = field(metadata={"doc": "groups by name"})
    seconds_s: float = field(default=30.0, metadata={"key": "seconds", "doc": "requests arrive so long", "min": 0.1})
    rate: float = field(default=1000.0, metadata={"doc": "requests per second, all workers together", "min": 0.001})
    arrivals: Literal["poisson", "fixed"] = field(default="poisson", metadata={"doc": "when requests arrive"})
    workers: int = field(default=2, metadata={"doc": "as those of the proxy", "min": 1, "max": 1024})
    clients: int = field(default=1000, metadata={"doc": "that requests come from", "min": 1})
    hot: float = field(default=0.0, metadata={"doc": "the share of requests that come from one client", "max": 1})
    timeout_s: float = field(default=5.0, metadata={"doc": "a request fails after this", "min": 0.001})
    attempts: int = field(default=1, metadata={"doc": "endpoints a failing request is sent to", "min": 1, "max": 10})
    slow_start_s: float = field(default=0.0, metadata={"doc": "as a service's slow_start"})
    ejection: bool = field(default=False, metadata={"doc": "endpoints that fail are ejected, by the default rules"})
    max_load: float = field(default=1.25, metadata={"doc": "as hash.max_load of a service", "min": 1.05, "max": 100})
