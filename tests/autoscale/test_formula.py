"""What the controller makes of values: as it was recorded, and of those that Fairlead gives."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from autoscale.hpa import desired
from autoscale.recorded import FOLDER
from autoscale.samplings import A, B, Traffic
from fairlead.autoscale import quantity
from fairlead.autoscale.metrics import METRICS
from fairlead.autoscale.window import Window

OUTCOMES: dict[str, dict[str, Any]] = json.loads(gzip.decompress((FOLDER / "hpa-outcomes.json.gz").read_bytes()))


def single(outcome: dict[str, Any]) -> tuple[dict[str, str], list[str]] | None:
    """The target and the values of a case with one External or Object metric whose answer was acted on."""
    if len(outcome["metrics"]) != 1 or not outcome["requests"] or not outcome["desired_sequence"]:
        return None
    (metric,) = outcome["metrics"]
    body = outcome["requests"][0]["answer"]["body"]
    values = [item["value"] for item in body["items"]] if isinstance(body, dict) else []
    if not values or not all(isinstance(value, str) for value in values) or metric["type"] == "Pods":
        return None
    return metric[metric["type"].lower()]["target"], values


DECIDED = {name: found for name, outcome in OUTCOMES.items() if outcome["min"] == 1 and (found := single(outcome))}


@pytest.mark.parametrize("name", DECIDED)
def test_the_formula_is_the_one_of_the_controller(name: str) -> None:
    target, values = DECIDED[name]
    outcome = OUTCOMES[name]
    if outcome["start_replicas"] == 3:
        assert desired(3, target, values) == outcome["desired_sequence"][0]


def test_the_recorded_decisions_cover_both_kinds_of_target_and_odd_quantities() -> None:
    assert {target["type"] for target, _ in DECIDED.values()} == {"Value", "AverageValue"}
    assert {
        "ext-value-ki",
        "ext-value-exp",
        "ext-value-milli",
        "ext-value-negative",
        "ext-several-items",
    } <= DECIDED.keys()


def app() -> Traffic:
    """400 requests a second of 50 ms each: 20 in flight."""
    traffic = Traffic(Window(10.0))
    traffic.second()
    for _ in range(10):
        traffic.serve(A, *[50_000] * 200)
        traffic.serve(B, *[50_000] * 200)
        traffic.in_flight = {A: 10, B: 10}
        traffic.second()
    return traffic


@pytest.mark.parametrize("pods", [2, 3, 6, 10])
def test_requests_in_flight_land_in_one_step_and_stay(pods: int) -> None:
    """As docs/autoscaling.md works it through: 20 in flight at 8 for each pod are 3 pods, from wherever it starts."""
    figures = app().window.current("shop")
    assert figures is not None
    value = METRICS["fairlead_requests_in_flight"].read(figures)
    assert value is not None
    target = {"type": "AverageValue", "averageValue": "8"}
    assert desired(pods, target, [quantity.write(value)]) == 3


@pytest.mark.parametrize("pods", [2, 4, 6])
def test_saturation_lands_where_the_pods_are_as_full_as_they_should_be(pods: int) -> None:
    """20 in flight on pods that can do 8, to be 70 % full: 20 / 5.6 are 3.6, so 4."""
    traffic = app()
    traffic.addresses = [f"10.0.1.{number}:8080" for number in range(pods)]
    traffic.second()
    figures = traffic.window.current("shop", 8.0)
    assert figures is not None
    value = METRICS["fairlead_saturation"].read(figures)
    assert value is not None
    assert (
        desired(
            pods, {"type": "Value", "value": "700m"}, [quantity.write(value, METRICS["fairlead_saturation"].places)]
        )
        == 4
    )
