"""What a real controller decided on recorded answers, and what ours decides on the same."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from autoscale.recorded import FOLDER
from fairlead.autoscale.hpa.controller import Controller
from fairlead.autoscale.hpa.formula import Each, Failed, Reading, Whole, numbered
from fairlead.autoscale.hpa.manifest import read_metric
from fairlead.autoscale.hpa.spec import DOWN, Metric, Rules, Spec, milli

OUTCOMES: dict[str, dict[str, Any]] = json.loads(gzip.decompress((FOLDER / "hpa-outcomes.json.gz").read_bytes()))
SYNC_S = 5.0  # of the recorded controller
MOST = 10
NOT_A_SCALAR = {"ext-timestamp-unix", "ext-content-type-text"}  # refused for other reasons than their values


def spec_of(outcome: dict[str, Any]) -> Spec:
    metrics = tuple(map(read_metric, outcome["metrics"]))
    return Spec(metrics=metrics, least=outcome["min"], most=MOST, down=Rules(DOWN.policies, window_s=0.0))


def reading_of(answer: dict[str, Any]) -> Reading:
    """As the client of the controller reads an answer of an object or an external metric."""
    body = answer["body"]
    if answer["status"] != 200 or not isinstance(body, dict):
        return Failed("it was refused")
    try:
        return Whole(tuple(0 if item["value"] is None else milli(str(item["value"])) for item in body["items"] or ()))
    except ValueError as error:
        return Failed(str(error))


def played(outcome: dict[str, Any], readings: list[Reading]) -> list[int]:
    """The counts that are come to, each once, until nothing changes for as long as a period lasts."""
    controller = Controller(spec_of(outcome))
    current = outcome["start_replicas"]
    found: list[int] = []
    for sync in range(12):
        decision = controller.sync(sync * SYNC_S, current, numbered(current), readings)
        if decision.wanted is None:
            break
        if decision.desired not in found[-1:]:
            found.append(decision.desired)
        current = decision.desired
    return found


def recorded() -> dict[str, tuple[dict[str, Any], list[Reading]]]:
    """The cases of one answer that stayed the same, which the recording holds whole."""
    found = {}
    for name, outcome in OUTCOMES.items():
        metrics = tuple(map(read_metric, outcome["metrics"]))
        is_whole = all(metric.kind in ("Object", "External") for metric in metrics)
        if is_whole and len(outcome["requests"]) == len(metrics) and outcome["min"] and name not in NOT_A_SCALAR:
            found[name] = (outcome, [reading_of(request["answer"]) for request in outcome["requests"]])
    return found


WHOLE = {name: each for name, each in recorded().items() if each[0]["start_replicas"]}


@pytest.mark.parametrize("name", WHOLE)
def test_the_first_count_is_that_of_the_controller(name: str) -> None:
    outcome, readings = WHOLE[name]
    sequence, ours = outcome["desired_sequence"], played(outcome, readings)
    # Its pods were not all known to the recorded one in its first sync, or were new in its next: so what it decided in
    # between differs, and its first recorded count may be one that it took two syncs of a period for.
    assert bool(ours) is bool(sequence)
    if sequence:
        assert sequence[0] in ours[:2]
        assert sequence[-1] in ours


def test_the_cases_are_many_and_of_all_outcomes() -> None:
    assert len(WHOLE) > 50
    firsts = [each[0]["desired_sequence"][:1] for each in WHOLE.values()]
    assert {(), (1,), (3,), (4,), (6,), (7,)} == {tuple(first) for first in firsts}


def test_tolerance_creeps_by_one_until_the_period_is_used_up() -> None:
    """111 against 100: 3, 4, 5, 6 and 7, as recorded, and there 4 pods in 15 s are reached."""
    outcome, readings = WHOLE["ext-value-111"]
    sequence = outcome["desired_sequence"]
    assert sequence == [4, 5, 6, 7]
    assert played(outcome, readings)[: len(sequence)] == sequence


def pods_decide(name: str, values: list[str]) -> int:
    """Three ready pods, of which the first have values."""
    outcome = OUTCOMES[name]
    each = Each({f"pod-{number}": milli(value) for number, value in enumerate(values)})
    return Controller(spec_of(outcome)).sync(0.0, 3, numbered(3), [each]).desired


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("pods-200", ["200", "200", "200"]),
        ("pods-selector", ["200", "200", "200"]),
        ("pods-one-missing-up", ["200", "200"]),
        ("pods-one-missing-down", ["10", "10"]),
        ("pods-zero", ["0", "0", "0"]),
    ],
)
def test_pods_as_recorded(name: str, values: list[str]) -> None:
    assert pods_decide(name, values) == OUTCOMES[name]["desired_sequence"][0]


def test_pods_that_nobody_knows_count() -> None:
    outcome = OUTCOMES["pods-strangers"]
    known = {f"pod-{number}": milli("9000") for number in range(3)}
    strangers = {
        item["describedObject"]["name"]: milli(item["value"])
        for item in outcome["requests"][0]["answer"]["body"]["items"]
    }
    decision = Controller(spec_of(outcome)).sync(0.0, 3, numbered(3), [Each(known | strangers)])
    assert decision.desired == outcome["desired_sequence"][0]


@pytest.mark.parametrize(("name", "value"), [("zero", "25"), ("zero-object", "25")])
def test_to_zero_and_back(name: str, value: str) -> None:
    """0 for nobody who waits; 25 against 10 make 3 of nothing at once, whatever the tolerance."""
    outcome = OUTCOMES[name]
    controller = Controller(spec_of(outcome))
    counts = [outcome["start_replicas"]]
    for sync, said in enumerate(["0", "0", value]):
        decision = controller.sync(sync * SYNC_S, counts[-1], numbered(counts[-1]), [Whole((milli(said),))])
        counts.append(decision.desired)
    assert counts[1:] == [0, 0, 3]
    assert [count for count in (counts[1], counts[3]) if count in outcome["desired_sequence"]] == [0, 3]


def test_a_user_s_zero_is_left_alone() -> None:
    outcome = OUTCOMES["zero-by-user"]
    controller = Controller(spec_of(outcome))
    decision = controller.sync(0.0, 0, numbered(0), [Whole((milli("500"),))])
    assert (decision.desired, decision.wanted) == (0, None)
    assert outcome["replicas_at_end"] == 0
    least_zero = Controller(Spec(metrics=(Metric("External", "m", "Value", 1000),), least=0, most=MOST))
    assert least_zero.sync(0.0, 5, numbered(5), [Whole((0,))]).desired == 5  # its window holds it
    assert least_zero.sync(1.0, 0, numbered(0), [Whole((500_000,))]).desired == 0
