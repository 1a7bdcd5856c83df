"""How many replicas one metric asks for.

Pure, and in the controller's own arithmetic: floats, and the ceiling at the end. Two shapes. Object and External are
one number for all: its ratio to the target times the ready pods, or (AverageValue) its sum by the target. Pods and
Resource are a number for each pod, and there what is not known is assumed so that it holds the count back: a pod
without a value is full when the others say down and idle when they say up, one that is not ready yet is idle when they
say up, and when that turns the direction round, nothing is done.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, final

from fairlead.autoscale.hpa.spec import Metric, Spec

_CPU_INITIAL_S: Final = 300.0  # of a pod's life, in which its CPU is believed only when it has been ready for a window
_INITIAL_DELAY_S: Final = 30.0  # a pod that was last ready before this age has never been ready


class Invalid(Exception):
    """The metric has no value that could be used, and why."""


@final
@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of the target by name: those that are ready and those that are not yet. None that is ending."""

    ready: frozenset[str]
    unready: frozenset[str] = frozenset()


@final
@dataclass(frozen=True, slots=True)
class Whole:
    """An answer about an object, or the items of an external metric; in thousandths."""

    items: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class Each:
    """An answer about pods, in thousandths by name. `requested` is what they request of a resource, for Utilization."""

    values: Mapping[str, int]
    requested: Mapping[str, int] | None = None


@final
@dataclass(frozen=True, slots=True)
class Failed:
    """No answer, or one that could not be read."""

    why: str


Reading = Whole | Each | Failed


def numbered(ready: int, unready: int = 0) -> Pods:
    """So many pods whose names do not matter."""
    return Pods(
        frozenset(f"pod-{number}" for number in range(ready)),
        frozenset(f"pod-{number}" for number in range(ready, ready + unready)),
    )


def propose(metric: Metric, reading: Reading, current: int, pods: Pods, spec: Spec) -> int:
    """The count that this metric asks for, before any bound. Raises Invalid."""
    if isinstance(reading, Failed):
        raise Invalid(reading.why)
    if isinstance(reading, Whole):
        return _of_whole(metric, reading, current, len(pods.ready), spec)
    return _of_each(metric, reading, current, pods, spec)


def is_close(ratio: float, spec: Spec) -> bool:
    """Whether it is not worth a change. The edge itself is close: 110 against 100 does nothing."""
    return 1.0 - spec.down.tolerance <= ratio <= 1.0 + spec.up.tolerance


def _of_whole(metric: Metric, reading: Whole, current: int, ready: int, spec: Spec) -> int:
    if not reading.items or (metric.kind == "Object" and len(reading.items) != 1):
        raise Invalid(f"{metric.name}: {len(reading.items)} values, and there must be one")
    total = sum(reading.items)
    if metric.target_kind == "AverageValue":
        return _shared(total, metric.target, current, spec)
    ratio = total / metric.target
    if not current:
        return math.ceil(ratio)
    return current if is_close(ratio, spec) else math.ceil(ratio * ready)


def _shared(total: int, target: int, current: int, spec: Spec) -> int:
    """What each replica has of it should be the target; whether they are ready does not count here."""
    if current and is_close(total / (target * current), spec):
        return current
    return math.ceil(total / target)


def _of_each(metric: Metric, reading: Each, current: int, pods: Pods, spec: Spec) -> int:
    """Items for pods that nobody knows count like those of ready ones: the controller does not look at the names."""
    measured = {name: value for name, value in reading.values.items() if name not in pods.unready}
    if not measured:
        raise Invalid(f"{metric.name}: no value of any pod that is ready")
    missing = pods.ready - measured.keys()
    ratio_of, full = _ratio(metric, reading, pods)
    ratio = ratio_of(measured)
    is_up_with_unready = bool(pods.unready) and ratio > 1.0
    if not is_up_with_unready and not missing:
        return current if is_close(ratio, spec) else math.ceil(ratio * len(pods.ready))
    assumed = dict(measured)
    assumed |= {name: full(name) if ratio < 1.0 else 0 for name in missing}
    if is_up_with_unready:
        assumed |= dict.fromkeys(pods.unready, 0)
    return _held_back(ratio, ratio_of(assumed), len(assumed), current, spec)


def _held_back(ratio: float, assumed: float, count: int, current: int, spec: Spec) -> int:
    """The count by what is assumed, unless that points the other way than what is known."""
    if is_close(assumed, spec) or (ratio < 1.0 < assumed) or (assumed < 1.0 < ratio):
        return current
    found = math.ceil(assumed * count)
    if (assumed < 1.0 and found > current) or (assumed > 1.0 and found < current):
        return current
    return found


def _ratio(
    metric: Metric, reading: Each, pods: Pods
) -> tuple[Callable[[Mapping[str, int]], float], Callable[[str], int]]:
    """How values are compared with the target, and what a pod that is full has."""
    if metric.target_kind != "Utilization":
        return lambda values: sum(values.values()) / len(values) / metric.target, lambda _: metric.target
    requested = reading.requested or {}
    _check_requests(metric, requested, pods.ready | pods.unready)

    def ratio(values: Mapping[str, int]) -> float:
        total = sum(requested[name] for name in values if name in requested)
        if not total:
            raise Invalid(f"{metric.name}: no pod that has a value requests any")
        percent = sum(value for name, value in values.items() if name in requested) * 100 // total
        return percent / metric.target

    return ratio, lambda name: requested[name] * max(100, metric.target) // 100


def _check_requests(metric: Metric, requested: Mapping[str, int], names: Collection[str]) -> None:
    without = next((name for name in sorted(names) if not requested.get(name)), None)
    if without is not None:
        raise Invalid(f"{metric.name}: the pod {without} requests none, so there is no utilization")


def is_cpu_unready(
    age_s: float, is_ready: bool, in_that_state_s: float, measured_ago_s: float, window_s: float
) -> bool:
    """Whether the CPU of a pod tells nothing yet: it is starting, or was when its window began. All in seconds ago."""
    if age_s < _CPU_INITIAL_S:
        return not is_ready or measured_ago_s > in_that_state_s - window_s
    return not is_ready and age_s - in_that_state_s < _INITIAL_DELAY_S
