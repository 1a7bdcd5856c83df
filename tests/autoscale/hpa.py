"""What an autoscaler would make of a value in its first sync, for the tests of values."""

from __future__ import annotations

from fairlead.autoscale.hpa.controller import Controller
from fairlead.autoscale.hpa.formula import Whole, numbered
from fairlead.autoscale.hpa.manifest import read_metric
from fairlead.autoscale.hpa.spec import DOWN, Rules, Spec, milli

LEAST, MOST = 1, 10
AT_ONCE = Rules(DOWN.policies, window_s=0.0)


def desired(current: int, target: dict[str, str], values: list[str]) -> int:
    """The next count of replicas, by an external metric with those items."""
    metric = read_metric({"type": "External", "external": {"metric": {"name": "m"}, "target": target}})
    controller = Controller(Spec(metrics=(metric,), least=LEAST, most=MOST, down=AT_ONCE))
    return controller.sync(0.0, current, numbered(current), [Whole(tuple(map(milli, values)))]).desired
