"""The demo's numbers: what the client saw, what the proxy says of itself, and the rows that are made of both.

Pure: clocks are arguments. Counts of the proxy are cumulative; a rate is the difference of two readings of them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final, final

from fairlead.observe.histogram import Histogram

SPAN_S: Final = 5.0  # "lately" for what the client saw
HISTORY: Final = 20  # rates that a sparkline shows


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One request as the client saw it: who answered it, or what went wrong."""

    at: float  # when it ended
    took_s: float  # from its intended start
    name: str = ""
    problem: str = ""


@final
@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles in milliseconds; None when there was nothing."""

    p50_ms: float | None = None
    p99_ms: float | None = None


@final
class Tally:
    """All outcomes in sum, and those of the last SPAN_S seconds one by one."""

    def __init__(self) -> None:
        self.ok = 0
        self.problems: Counter[str] = Counter()
        self._all = Histogram()
        self._lately: deque[Outcome] = deque()

    @property
    def failed(self) -> int:
        return self.problems.total()

    def add(self, outcome: Outcome) -> None:
        self._lately.append(outcome)
        if outcome.problem:
            self.problems[outcome.problem] += 1
        else:
            self.ok += 1
            self._all.record(round(outcome.took_s * 1e6))

    def lately(self, now: float) -> list[Outcome]:
        while self._lately and self._lately[0].at <= now - SPAN_S:
            self._lately.popleft()
        return list(self._lately)

    def overall(self) -> Latency:
        if not self._all.total:
            return Latency()
        return Latency(self._all.quantile_us(0.5) / 1000, self._all.quantile_us(0.99) / 1000)


def latency(outcomes: Iterable[Outcome]) -> Latency:
    """Of those that were answered: a failure has no latency, it is counted as what it is."""
    took = sorted(outcome.took_s for outcome in outcomes if not outcome.problem)
    if not took:
        return Latency()
    return Latency(_quantile(took, 0.5) * 1000, _quantile(took, 0.99) * 1000)


def _quantile(ordered: Sequence[float], q: float) -> float:
    """The smallest value that at least a fraction q does not exceed."""
    return ordered[max(0, ceil(q * len(ordered)) - 1)]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointReading:
    """One endpoint as the proxy counts it."""

    address: str
    state: str
    requests: int
    errors: int  # replies of 500 and above
    in_flight: int
    ttfb_ms: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What `/api/v1/services` said at one moment."""

    at: float
    endpoints: tuple[EndpointReading, ...] = ()
    retries: Mapping[str, int] = field(default_factory=dict)  # by reason
    own_replies: int = 0  # without an endpoint


def read(said: Mapping[str, Any], at: float) -> Reading:
    """Over all services, as somebody may have changed the configuration meanwhile. Raises KeyError."""
    services = said["services"]
    retries: Counter[str] = Counter()
    for service in services:
        retries.update(service["retries"])
    return Reading(
        at=at,
        endpoints=tuple(_endpoint(endpoint) for service in services for endpoint in service["endpoints"]),
        retries=retries,
        own_replies=sum(sum(service["own_replies"].values()) for service in services),
    )


def _endpoint(said: Mapping[str, Any]) -> EndpointReading:
    counts: Mapping[str, int] = said["requests"]
    return EndpointReading(
        address=said["address"],
        state=said["state"],
        requests=sum(counts.values()),
        errors=sum(count for code, count in counts.items() if code.startswith("5")),
        in_flight=said["in_flight"],
        ttfb_ms=said["ttfb_ms"],
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One endpoint as it is shown."""

    name: str
    reading: EndpointReading
    rate: float
    history: tuple[float, ...]
    latency: Latency


@final
class Rows:
    """Makes rows of readings, each beside the one before."""

    def __init__(self) -> None:
        self._last: Reading | None = None
        self._histories: dict[str, deque[float]] = {}

    def take(self, reading: Reading, names: Mapping[str, str], outcomes: Sequence[Outcome]) -> list[Row]:
        """`names` is address -> backend; `outcomes` are the latest ones."""
        rates = rates_between(self._last, reading)
        self._last = reading
        by_name: dict[str, list[Outcome]] = {}
        for outcome in outcomes:
            by_name.setdefault(outcome.name, []).append(outcome)
        rows = []
        for endpoint in reading.endpoints:
            name = names.get(endpoint.address, "")
            rate = rates.get(endpoint.address, 0.0)
            history = self._histories.setdefault(endpoint.address, deque(maxlen=HISTORY))
            history.append(rate)
            lately = latency(by_name.get(name, ()) if name else ())
            rows.append(Row(name=name, reading=endpoint, rate=rate, history=tuple(history), latency=lately))
        return rows


def rates_between(before: Reading | None, after: Reading) -> dict[str, float]:
    """Requests a second of each endpoint; none without a reading before or without time between the two."""
    if before is None or after.at <= before.at:
        return {}
    was = {endpoint.address: endpoint.requests for endpoint in before.endpoints}
    elapsed_s = after.at - before.at
    return {e.address: max(0, e.requests - was.get(e.address, 0)) / elapsed_s for e in after.endpoints}


def growth(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What has grown, and by how much."""
    return {key: count - before.get(key, 0) for key, count in after.items() if count > before.get(key, 0)}
