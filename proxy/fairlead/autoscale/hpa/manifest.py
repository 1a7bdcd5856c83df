"""A HorizontalPodAutoscaler (autoscaling/v2) as Kubernetes writes it, to what it says here.

Pure. Reads what decides about the count, with the defaults that the API server would fill in. Raises ValueError for
what it cannot play: ContainerResource, and targets that the API server would refuse as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from fairlead.autoscale.hpa.spec import DOWN, UP, Kind, Metric, Policy, Rules, Spec, TargetKind, milli

_KINDS: Final[Mapping[str, Kind]] = {"Object": "Object", "Pods": "Pods", "External": "External", "Resource": "Resource"}
_TARGETS: Final[Mapping[TargetKind, str]] = {
    "Value": "value",
    "AverageValue": "averageValue",
    "Utilization": "averageUtilization",
}
_SELECTS: Final = ("Max", "Min", "Disabled")


def read(document: Mapping[str, Any]) -> Spec:
    """The spec of a manifest."""
    spec = document["spec"]
    behaviour = spec.get("behavior") or {}
    return Spec(
        metrics=tuple(read_metric(metric) for metric in spec["metrics"]),
        least=spec.get("minReplicas", 1),
        most=spec["maxReplicas"],
        up=_rules(behaviour.get("scaleUp"), UP),
        down=_rules(behaviour.get("scaleDown"), DOWN),
    )


def read_metric(metric: Mapping[str, Any]) -> Metric:
    """One of `spec.metrics`."""
    kind = _KINDS.get(metric["type"])
    if kind is None:
        raise ValueError(f"metrics of the type {metric['type']!r} are not known here")
    body = metric[kind.lower()]
    name = body["name"] if kind == "Resource" else body["metric"]["name"]
    target = body["target"]
    target_kind = cast(TargetKind, target["type"])
    if target_kind not in _TARGETS:
        raise ValueError(f"{name}: a target of the type {target_kind!r} is not known")
    amount = target[_TARGETS[target_kind]]
    return Metric(kind, name, target_kind, amount if target_kind == "Utilization" else milli(str(amount)))


def _rules(raw: Mapping[str, Any] | None, default: Rules) -> Rules:
    if raw is None:
        return default
    policies = tuple(Policy(each["type"], each["value"], each["periodSeconds"]) for each in raw.get("policies") or ())
    window_s, select = raw.get("stabilizationWindowSeconds"), raw.get("selectPolicy") or default.select
    if select not in _SELECTS:
        raise ValueError(f"selectPolicy is {select!r}, and must be one of {', '.join(_SELECTS)}")
    return Rules(
        policies or default.policies,
        default.window_s if window_s is None else window_s,
        select,
        float(raw["tolerance"]) if raw.get("tolerance") is not None else default.tolerance,
    )
