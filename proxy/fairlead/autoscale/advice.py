"""A manifest for an autoscaler of one service, with the figures that it rests on, and what it would do with them now.

Pure: what the admin server says of the service goes in, YAML comes out. The replay is honest about what it cannot know:
the pods were as many as they were, so each moment is judged by the count of then, and nothing is set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, final

from fairlead.autoscale import quantity
from fairlead.autoscale.hpa.controller import Controller, Decision
from fairlead.autoscale.hpa.formula import Failed, Reading, Whole, numbered
from fairlead.autoscale.hpa.spec import Metric, Spec, milli
from fairlead.autoscale.metrics import METRICS
from fairlead.errors import ConfigError
from fairlead.yaml_nodes import suggest

_SATURATION: Final = METRICS["fairlead_saturation"]
_SHOWN: Final = 8  # moments
_AUTO: Final = "auto"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for. A `most` of 0: three times the most that there was, and at least ten."""

    service: str
    target: str = "700m"
    least: int = 2
    most: int = 0
    deployment: str = ""  # that is scaled; the name of the Service, if none is given


def manifest(wanted: Wanted, services: Mapping[str, Mapping[str, Any]]) -> str:
    """The text. Raises ConfigError with what is missing for it."""
    known = _checked(wanted, services)
    namespace, _, name = known["object"].partition("/")
    history: Sequence[Mapping[str, Any]] = known["history"]
    most = wanted.most or max(10, 3 * max(moment["ready"] for moment in history))
    if wanted.least < 1:
        raise ConfigError([f"--min: is {wanted.least}, and must be at least 1"])
    if most < wanted.least:
        raise ConfigError([f"--max: is {most}, and must be at least --min, which is {wanted.least}"])
    spec = Spec(metrics=(Metric("Object", _SATURATION.name, "Value", _target(wanted)),), least=wanted.least, most=most)
    decisions = replay(spec, history)
    lines = [*_basis(wanted.service, known), *_told(history, decisions, spec)]
    comment = "".join(f"# {line}".rstrip() + "\n" for line in lines)
    return comment + _document(wanted, namespace, name, most)


def replay(spec: Spec, history: Sequence[Mapping[str, Any]]) -> list[Decision]:
    """What the autoscaler would have decided at each moment, with the pods that there were."""
    controller = Controller(spec)
    found = []
    for moment in history:
        ready, value = moment["ready"], moment["saturation"]
        reading: Reading = Failed(f"{_SATURATION.name} had no value")
        if value is not None:
            reading = Whole((milli(quantity.write(value, _SATURATION.places)),))
        found.append(controller.sync(moment["at"], ready, numbered(ready), [reading], is_set=False))
    return found


def _target(wanted: Wanted) -> int:
    try:
        target = milli(wanted.target)
    except ValueError as error:
        raise ConfigError([f"--target: {error}; write a share of what a pod can do, such as 0.7 or 700m"]) from error
    if target <= 0:
        raise ConfigError([f"--target: is {wanted.target}, and must be above 0"])
    return target


def _checked(wanted: Wanted, services: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    service = wanted.service
    if not services:
        raise ConfigError(["that Fairlead serves no metrics API, so no autoscaler could ask it; set metrics_api.bind"])
    if service not in services:
        raise ConfigError([f"{service}: there is no such service; {suggest(service, services)}"])
    known = services[service]
    problems = []
    if not known["object"]:
        problems.append(f"{service}: is no Service of Kubernetes; set metrics_api.services.{service}.object")
    if not known["concurrency"]:
        problems.append(
            f"{service}: what a pod can do is not known; set metrics_api.services.{service}.concurrency to auto"
            + ("" if known["objective_s"] else f", and services.{service}.objective")
        )
    if not problems and not any(moment["requests_per_second"] for moment in known["history"]):
        minutes = len(known["history"]) // 4
        seen = f"in the last {minutes} minutes" if minutes else "yet"
        problems.append(f"{service}: has had no traffic {seen}; a manifest would rest on nothing")
    if problems:
        raise ConfigError(problems)
    return known


def _basis(service: str, known: Mapping[str, Any]) -> list[str]:
    """What one pod can do, and how that is known."""
    learned, objective_s = known["learned"], known["objective_s"]
    if known["concurrency"] != _AUTO:
        return [f"{service}: one pod serves {known['concurrency']:g} requests at once, as the configuration says."]
    can = f"{learned['requests_per_second']:.1f} requests/s, {learned['concurrency']:.1f} at once"
    if learned["certainty"] == "learned":
        return [f"{service}: one pod can do {can}, within {objective_s:g} s: learned."]
    return [
        f"{service}: one pod is taken to do {can}, within {objective_s:g} s: that is half as much again as what",
        "went well. Nothing was late yet, so the true figure is not known; it is learned when something is.",
    ]


def _told(history: Sequence[Mapping[str, Any]], decisions: Sequence[Decision], spec: Spec) -> list[str]:
    lines = ["", f"{'UTC':8}  {'pods':>4}  {'requests/s':>10}  {'p95':>7}  {'saturation':>10}  {'would set':>9}"]
    for moment, decision in list(zip(history, decisions, strict=True))[-_SHOWN:]:
        lines.append(
            f"{datetime.fromtimestamp(moment['at'], UTC):%H:%M:%S}  {moment['ready']:4}  "
            f"{moment['requests_per_second']:10.1f}  {_or_none(moment['p95_s'], '6.3f', 's'):>7}  "
            f"{_or_none(moment['saturation'], '10.3f', ''):>10}  {decision.desired:9}"
        )
    last, now = history[-1], decisions[-1]
    verb = "leave" if now.desired == last["ready"] else "set"
    return [
        *lines,
        "",
        f"With these figures the HPA would now {verb} {now.desired} replicas of {last['ready']}, because",
        f"{now.reason}.",
        *_apart(now, spec),
        "",
    ]


def _apart(now: Decision, spec: Spec) -> list[str]:
    if now.wanted is None or now.wanted == now.desired:
        return []
    return [f"Without windows, policies and bounds ({spec.least} to {spec.most}) it would be {now.wanted}."]


def _or_none(value: float | None, form: str, unit: str) -> str:
    return "-" if value is None else f"{value:{form}}{unit}".strip()


def _document(wanted: Wanted, namespace: str, name: str, most: int) -> str:
    deployment = wanted.deployment or name
    return f"""\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {deployment}
  namespace: {namespace}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {deployment}}}
  minReplicas: {wanted.least}
  maxReplicas: {most}
  metrics:
    - type: Object
      object:
        describedObject: {{apiVersion: v1, kind: Service, name: {name}}}
        metric: {{name: {_SATURATION.name}}}
        target: {{type: Value, value: {quantity.write(_target(wanted) / 1000)}}}
"""
