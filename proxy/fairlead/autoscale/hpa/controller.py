"""One autoscaler over time: at each sync what it reads becomes a count of replicas, and a sentence that says why.

Owns the order of things: bounds before metrics, the largest of all metrics, an invalid one blocks scaling down but not
up, then the windows and the policies (limits.py). Never waits and never asks: whoever calls `sync` has read the metrics
and sets the count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from fairlead.autoscale.hpa.formula import Each, Failed, Invalid, Pods, Reading, Whole, propose
from fairlead.autoscale.hpa.limits import Memory
from fairlead.autoscale.hpa.spec import Metric, Spec


@final
@dataclass(frozen=True, slots=True)
class Decision:
    """What one sync came to. `wanted` is what the metrics ask for before windows and limits, None if nothing."""

    desired: int
    wanted: int | None
    reason: str


@final
class Controller:
    """Of one target. `now` is in seconds and never goes back."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._memory = Memory(spec)
        self._is_paused_at_zero = True  # a 0 that it did not make itself is a user's, who wants no pod at all

    def sync(
        self, now: float, current: int, pods: Pods, readings: Sequence[Reading], *, is_set: bool = True
    ) -> Decision:
        """Decide. The readings are in the order of the metrics. The count is then set, as a rule."""
        decision = self._decide(now, current, pods, readings)
        if is_set and decision.desired != current:
            self._memory.changed(now, decision.desired - current)
        if current:
            self._is_paused_at_zero = decision.desired != 0
        return decision

    def _decide(self, now: float, current: int, pods: Pods, readings: Sequence[Reading]) -> Decision:
        spec = self._spec
        if not current and (spec.least or self._is_paused_at_zero):
            return Decision(0, None, "scaling is disabled: the target has 0 replicas, set by somebody else")
        if current > spec.most:
            return Decision(spec.most, None, f"{current} is above the maximum of {spec.most}")
        if current < spec.least:
            return Decision(spec.least, None, f"{current} is below the minimum of {spec.least}")
        try:
            wanted, reason = self._wanted(current, pods, readings)
        except Invalid as error:
            return Decision(current, None, f"no change: {error}")
        steadied = self._memory.steadied(now, current, wanted)
        desired, limit = self._memory.limited(now, current, steadied)
        notes = [reason]
        if steadied != wanted:
            window_s = spec.down.window_s if steadied > wanted else spec.up.window_s
            notes.append(f"steadied to {steadied} by the last {window_s:g} s")
        if limit:
            notes.append(f"limited to {desired} by the {limit}")
        return Decision(desired, wanted, "; ".join(notes))

    def _wanted(self, current: int, pods: Pods, readings: Sequence[Reading]) -> tuple[int, str]:
        """The largest, and which metric it is of."""
        found: list[tuple[int, str]] = []
        problems: list[str] = []
        for metric, reading in zip(self._spec.metrics, readings, strict=True):
            try:
                count = propose(metric, reading, current, pods, self._spec)
            except Invalid as error:
                problems.append(str(error))
                continue
            found.append((count, _told(metric, reading, count)))
        best = max(found, key=lambda each: each[0], default=None)
        if best is None or (problems and best[0] < current):
            raise Invalid(problems[0])
        return best


def _told(metric: Metric, reading: Reading, count: int) -> str:
    """One metric in words, as numbers of the manifest."""
    assert not isinstance(reading, Failed)
    if metric.target_kind == "Utilization":
        return f"{metric.name} against {metric.target} %: {count}"
    target = metric.target / 1000
    if isinstance(reading, Whole):
        each = " for each" if metric.target_kind == "AverageValue" else ""
        return f"{metric.name} is {sum(reading.items) / 1000:g} against {target:g}{each}: {count}"
    assert isinstance(reading, Each)
    mean = sum(reading.values.values()) / max(len(reading.values), 1) / 1000
    return f"{metric.name} is {mean:g} on average against {target:g}: {count}"
