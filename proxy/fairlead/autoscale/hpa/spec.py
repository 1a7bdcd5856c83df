"""What a HorizontalPodAutoscaler is told: targets of metrics, bounds, and how fast it may scale.

Values only. Amounts are whole thousandths, as the controller counts them: that is where it rounds, and a copy that
rounds elsewhere decides otherwise at an edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, final

from fairlead.autoscale import quantity

SYNC_S: Final = 15.0
TOLERANCE: Final = 0.1

Kind = Literal["Object", "Pods", "External", "Resource"]
TargetKind = Literal["Value", "AverageValue", "Utilization"]


@final
@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of `spec.metrics`. `target` is in thousandths, but of Utilization in percent of what pods request."""

    kind: Kind
    name: str
    target_kind: TargetKind
    target: int


@final
@dataclass(frozen=True, slots=True)
class Policy:
    """At most so many pods, or percent of the pods, in a period."""

    kind: Literal["Pods", "Percent"]
    value: int
    period_s: float


@final
@dataclass(frozen=True, slots=True)
class Rules:
    """One direction of `spec.behavior`. `window_s` is stabilizationWindowSeconds."""

    policies: tuple[Policy, ...]
    window_s: float
    select: Literal["Max", "Min", "Disabled"] = "Max"
    tolerance: float = TOLERANCE


UP: Final = Rules((Policy("Pods", 4, 15.0), Policy("Percent", 100, 15.0)), window_s=0.0)
DOWN: Final = Rules((Policy("Percent", 100, 15.0),), window_s=300.0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """All of it. `least` may be 0: then no pod at all is a count like others."""

    metrics: tuple[Metric, ...]
    least: int = 1
    most: int
    up: Rules = UP
    down: Rules = DOWN


def milli(text: str) -> int:
    """A quantity in thousandths, rounded up. Raises ValueError when it is none."""
    return math.ceil(quantity.parse(text) * Decimal(1000))
