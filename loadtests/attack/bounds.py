"""What is held against what: the figures of an attack, their bounds, and where each bound comes from. Pure.

Memory is the worker's own: what it has allocated. What the kernel keeps in socket buffers is shown beside it. The
bounds per connection are the least that another proxy needs for the same, or what one connection may buffer:

- a half-sent head: 5.5 KB, HAProxy's. Here it is the connection's object and the bytes that have come.
- an endless body: 16 KB. It is two connections and an exchange; of its trickle only what may have to be sent again is
  kept, and that is little as long as little comes.
- a stalled reader: 128 KB. One read of 64 KB waits for it, which is the most that a blocked peer makes the engine keep;
  as much again is for objects and for what the allocator cannot use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from loadtests.attack.attackers import State
from loadtests.compare.figures import FAIRLEAD, Bound, Figure, Sample, judge
from loadtests.compare.report import number

LIMIT_KB: Final[Mapping[str, float]] = {"heads": 5.5, "bodies": 16.0, "readers": 128.0}
TITLES: Final[Mapping[str, str]] = {
    "heads": "half-sent heads",
    "bodies": "endless bodies",
    "readers": "stalled readers of 8 MB",
}
HEAD_S: Final = 5.0
BODY_S: Final = 5.0
_SLACK_S: Final = 1.5  # the engine looks at deadlines every 100 ms; the rest is for a generator that is late itself
_LEFT_MB: Final = 8.0  # what an allocator may keep for the next time
_GROWN_MB: Final = 2.0  # by a second attack: what grew with each would be a leak
_MISSING_PERCENT: Final = 10.0  # of a kind while others take the place of those that were ended
COLUMNS: Final = ("of what", "figure", "value", "must be", "met")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many of each kind attack, for how long the client measures, and how fast it asks."""

    heads: int = 5000
    bodies: int = 1000
    readers: int = 1000
    seconds: float = 15.0
    rate: int = 1000

    def counts(self) -> Mapping[str, int]:
        return {"heads": self.heads, "bodies": self.bodies, "readers": self.readers}


def deadline_s(kind: str) -> float:
    """When the proxy ends an attacker of this kind, at the latest."""
    return HEAD_S if kind == "heads" else BODY_S


def figures(plan: Plan) -> list[tuple[str, Figure]]:
    """All figures in the order in which they are shown, each with what it is of."""
    return [*_of_client(), *_of_memory(plan), *_of_ends(plan), *_of_afterwards()]


def _figure(key: str, title: str, unit: str = "", limit: float | None = None) -> Figure:
    return Figure(key=key, title=title, unit=unit, bounds=() if limit is None else (Bound(limit),))


def _of_client() -> list[tuple[str, Figure]]:
    figures = (
        _figure("p50_calm", "p50 calm", "µs"),
        _figure("p50", "p50 under attack", "µs"),
        _figure("p50_ratio", "p50 under attack / calm", "x", 2.0),
        _figure("p99_calm", "p99 calm", "µs"),
        _figure("p99", "p99 under attack", "µs"),
        _figure("p99_ratio", "p99 under attack / calm", "x", 2.0),
        _figure("errors", "requests not answered rightly", "", 0.0),
        _figure("lag_p99_calm", "p99 of the generator's own lag, calm", "µs"),
        _figure("lag_p99", "the same under attack", "µs"),
        _figure("cpu", "the proxy's core busy under attack", "%"),
    )
    return [("the well-behaved client", figure) for figure in figures]


def _of_memory(plan: Plan) -> list[tuple[str, Figure]]:
    counts = plan.counts()
    total_mb = sum(counts[kind] * limit for kind, limit in LIMIT_KB.items()) / 1024 + _LEFT_MB
    each = {kind: _figure(f"{kind}_kb", "memory of each", "KB", limit) for kind, limit in LIMIT_KB.items()}
    return [
        *((_name(kind, counts[kind]), figure) for kind, figure in each.items()),
        ("all attackers", _figure("peak_mb", "memory at its peak", "MB", round(total_mb, 1))),
        ("all attackers", _figure("kernel_mb", "socket buffers of all sides in the kernel", "MB")),
    ]


def _of_ends(plan: Plan) -> list[tuple[str, Figure]]:
    found: list[tuple[str, Figure]] = []
    for kind, count in plan.counts().items():
        figures = (
            _figure(f"{kind}_missing", "missing at the worst moment", "%", _MISSING_PERCENT),
            _figure(f"{kind}_ended", "ended by the proxy in all"),
            _figure(f"{kind}_longest_s", "the longest that one was held", "s", deadline_s(kind) + _SLACK_S),
            _figure(f"{kind}_left", "not ended", "", 0.0),
            _figure(f"{kind}_late_ms", "the attackers' own lag, at most", "ms"),
        )
        found += [(_name(kind, count), figure) for figure in figures]
    return found


def _of_afterwards() -> list[tuple[str, Figure]]:
    figures = (
        _figure("active_left", "connections still active", "", 0.0),
        _figure("descriptors_left", "descriptors still open", "", 0.0),
        _figure("left_mb", "memory not given back", "MB", _LEFT_MB),
        _figure("grown_mb", "memory that a second attack adds to that", "MB", _GROWN_MB),
        _figure("deaths", "workers that died", "", 0.0),
    )
    return [("afterwards", figure) for figure in figures]


def _name(kind: str, count: int) -> str:
    return f"{count:,} {TITLES[kind]}"


def of_states(kind: str, count: int, states: Sequence[State], since: float, until: float) -> Sample:
    """What an attack's states say; `since` and `until` frame the time in which the client measured."""
    last = states[-1]
    least = min((state.held for state in states if since <= state.at <= until), default=0)
    return {
        f"{kind}_missing": 100.0 * max(count - least, 0) / count,
        f"{kind}_ended": sum(last.ends.values()),
        f"{kind}_longest_s": last.longest_s,
        f"{kind}_late_ms": max((state.late_s for state in states if since <= state.at <= until), default=0.0) * 1000,
        f"{kind}_left": last.held,
    }


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A figure, ready to be shown. `is_met` is None where nothing is asked."""

    cells: tuple[str, ...]
    is_met: bool | None


def rows(plan: Plan, sample: Sample) -> list[Row]:
    """Every figure that was measured, and those that were not but have a bound: these are missed."""
    found: list[Row] = []
    of_last = ""
    for of, figure in figures(plan):
        is_known = figure.key in sample
        if not is_known and not figure.bounds:
            continue
        verdicts = [
            bool(verdict.is_met) for verdict in judge(figure, {FAIRLEAD: sample[figure.key]} if is_known else {})
        ]
        is_met = all(verdicts) if verdicts else None
        value = f"{number(sample[figure.key])} {figure.unit}".rstrip() if is_known else "not measured"
        must = ", ".join(bound.text(figure.unit).rstrip() for bound in figure.bounds)
        mark = {True: "yes", False: "**NO**", None: "-"}[is_met]
        found.append(Row(("" if of == of_last else of, figure.title, value, must, mark), is_met))
        of_last = of
    return found
