"""The formula of the HPA controller for one metric, as it is documented and as its recorded decisions confirm."""

from __future__ import annotations

import math
from decimal import Decimal

from fairlead.autoscale.quantity import parse

TOLERANCE = Decimal("0.1")
LEAST, MOST = 1, 10


def desired(current: int, target: dict[str, str], values: list[str]) -> int:
    """The next count of replicas: the sum of the items against the target, bounded by the policy for one period."""
    total = sum((max(_milli(value), Decimal(0)) for value in values), Decimal(0))
    if target["type"] == "Value":
        wanted = current * total / _milli(target["value"])
        ratio = total / _milli(target["value"])
    else:
        wanted = total / _milli(target["averageValue"])
        ratio = wanted / current
    if abs(ratio - 1) <= TOLERANCE:
        return current
    return max(LEAST, min(math.ceil(wanted), max(2 * current, current + 4), MOST))


def _milli(text: str) -> Decimal:
    """The controller counts in thousandths, rounded up."""
    return Decimal(math.ceil(parse(text) * 1000))
