"""What is tried: a load over time and the app that serves it, as frozen groups with a sentence for each field.

Nothing here runs anything. A field's key in a file is its name without `_s`, as in the configuration.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, final

from fairlead.errors import ConfigError
from fairlead.fields import build, read_group
from fairlead.yaml_nodes import Document, Value, read_text, suggest

_BUILT_IN: Final = Path(__file__).parent / "scenarios"
_SUFFIXES: Final = (".yaml", ".yml", ".json")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A moment, between which and the next everything changes evenly."""

    at_s: float = field(metadata={"doc": "since the start"})
    rate: float = field(metadata={"doc": "requests per second then"})
    slower: float = field(default=1.0, metadata={"doc": "the app takes so many times as long then", "min": 0.001})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A load, an app, and the bounds of its autoscaler."""

    name: str
    load: tuple[Point, ...] = field(metadata={"doc": "moments in order of time; the last is the end"})
    target: float = field(default=0.7, metadata={"doc": "of what pods can do: how full they should be", "min": 0.01})
    objective_s: float = field(default=0.4, metadata={"doc": "of the 95th percentile", "min": 0.001})
    time_s: float = field(default=0.1, metadata={"doc": "to serve a request, on average", "min": 0.0001})
    spread: Literal["lognormal", "exponential", "fixed"] = field(
        default="lognormal", metadata={"doc": "of the times (lognormal with sigma 0.5)"}
    )
    concurrency: int = field(default=4, metadata={"doc": "requests that a pod serves at once; others queue", "min": 1})
    cpu: float = field(default=1.0, metadata={"doc": "CPU of a full pod, of what it requests", "min": 0.01})
    start_s: float = field(default=20.0, metadata={"doc": "from a wanted pod to a ready one"})
    cold: float = field(default=2.0, metadata={"doc": "so many times slower when it has just become ready", "min": 1})
    warm_after_s: float = field(default=15.0, metadata={"doc": "as long as that lasts, which wears off evenly"})
    timeout_s: float = field(default=10.0, metadata={"doc": "a request fails after this", "min": 0.1})
    replicas: int = field(default=2, metadata={"doc": "at the start", "min": 1})
    least: int = field(default=2, metadata={"key": "min", "doc": "of the autoscaler", "min": 1})
    most: int = field(default=30, metadata={"key": "max", "doc": "of the autoscaler", "min": 1, "max": 1000})

    @property
    def seconds_s(self) -> float:
        return self.load[-1].at_s

    def rate(self, at_s: float) -> float:
        """Requests per second at a moment."""
        left, right, part = self._around(at_s)
        return left.rate + (right.rate - left.rate) * part

    def slower(self, at_s: float) -> float:
        left, right, part = self._around(at_s)
        return left.slower + (right.slower - left.slower) * part

    def needed(self, at_s: float) -> int:
        """Pods that are as full as they should be, whatever it takes to have them."""
        in_flight = self.rate(at_s) * self.time_s * self.slower(at_s)
        return min(max(math.ceil(in_flight / (self.target * self.concurrency)), self.least), self.most)

    def _around(self, at_s: float) -> tuple[Point, Point, float]:
        place = bisect_right(self.load, at_s, key=lambda point: point.at_s)
        left, right = self.load[max(place - 1, 0)], self.load[min(place, len(self.load) - 1)]
        length_s = right.at_s - left.at_s
        return left, right, (at_s - left.at_s) / length_s if length_s > 0 else 0.0


def names() -> list[str]:
    """The scenarios that come with Fairlead."""
    return sorted(path.stem for path in _BUILT_IN.glob("*.yaml"))


def load(spec: str) -> Scenario:
    """The scenario of that name, or in that file. Raises ConfigError with every problem."""
    if spec in names():
        path = _BUILT_IN / f"{spec}.yaml"
    elif spec.endswith(_SUFFIXES):
        path = Path(spec)
    else:
        raise ConfigError([f"{spec}: is no scenario; {suggest(spec, names())}; or give a file, NAME.yaml"])
    return parse(read_text(path), str(path), path.stem)


def parse(text: str, file: str, name: str) -> Scenario:
    """The scenario in a text. Raises ConfigError with every problem."""
    document = Document(file, "scenario")
    root = document.root(text)
    scenario = build(Scenario, read_group(root, Scenario, {"load": _points}), name=name)
    document.check()
    assert scenario is not None  # whoever gives None has complained
    if len(scenario.load) < 2:
        root.complain("has a load of fewer than two moments; add its end")
    if scenario.most < scenario.least:
        root.complain(f"has max {scenario.most} below min {scenario.least}")
    document.check()
    return scenario


def _points(value: Value) -> tuple[Point, ...]:
    points: list[Point] = []
    for item in value.items():
        point = build(Point, read_group(item, Point))
        if point and points and point.at_s <= points[-1].at_s:
            item.complain(f"is at {point.at_s:g} s, and must be after the one before it")
        if point:
            points.append(point)
    return tuple(points)
