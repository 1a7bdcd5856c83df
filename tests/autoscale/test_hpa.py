"""The algorithm as its documentation tells it: a row for each sentence."""

from __future__ import annotations

from typing import Any

import pytest
from fairlead.autoscale.hpa import manifest
from fairlead.autoscale.hpa.controller import Controller, Decision
from fairlead.autoscale.hpa.formula import (
    Each,
    Failed,
    Invalid,
    Pods,
    Reading,
    Whole,
    is_cpu_unready,
    numbered,
    propose,
)
from fairlead.autoscale.hpa.spec import DOWN, UP, Kind, Metric, Policy, Rules, Spec, TargetKind, milli
from hypothesis import given
from hypothesis import strategies as st

AT_ONCE = Rules(DOWN.policies, window_s=0.0)


def spec(target: str, target_kind: TargetKind = "Value", kind: Kind = "Object", **given: Any) -> Spec:  # noqa: ANN401
    amount = int(target) if target_kind == "Utilization" else milli(target)
    fields: dict[str, Any] = {"most": 100, "down": AT_ONCE} | given
    return Spec(metrics=(Metric(kind, "m", target_kind, amount),), **fields)


def whole(*values: str) -> Whole:
    return Whole(tuple(map(milli, values)))


def each(*values: str) -> Each:
    return Each({f"pod-{number}": milli(value) for number, value in enumerate(values)})


def count(asked: Spec, current: int, reading: Reading, pods: Pods | None = None) -> int:
    return propose(asked.metrics[0], reading, current, pods or numbered(current), asked)


@pytest.mark.parametrize(
    ("current", "value", "target", "wanted"),
    [
        (4, "200m", "100m", 8),  # twice the target, twice the pods
        (4, "50m", "100m", 2),
        (3, "500m", "400m", 4),  # ceil(3 x 1.25)
        (4, "110m", "100m", 4),  # the tolerance of a tenth, its edge with it
        (4, "111m", "100m", 5),
        (4, "90m", "100m", 4),
        (4, "89m", "100m", 4),  # ceil(3.56)
        (10, "89m", "100m", 9),
        (0, "5m", "100m", 1),  # from none the ratio itself counts, and there is no tolerance
        (0, "105m", "100m", 2),
    ],
)
def test_a_value_is_a_ratio_for_all_pods(current: int, value: str, target: str, wanted: int) -> None:
    assert count(spec(target), current, whole(value)) == wanted


def test_a_value_counts_ready_pods_only() -> None:
    """Two of four are ready and twice too busy: four are right, and four there are."""
    assert count(spec("1"), 4, whole("2"), numbered(2, 2)) == 4


@pytest.mark.parametrize(
    ("current", "total", "wanted"),
    [(3, "800", 8), (3, "330", 3), (3, "331", 4), (8, "100", 1), (0, "1", 1), (5, "0", 0)],
)
def test_an_average_value_is_a_sum_to_be_shared(current: int, total: str, wanted: int) -> None:
    assert count(spec("100", "AverageValue"), current, whole(total)) == wanted


def test_external_items_are_added_up_and_an_object_has_one() -> None:
    assert count(spec("100", kind="External"), 3, whole("150", "150")) == 9
    for reading in (whole("1", "1"), whole()):
        with pytest.raises(Invalid, match="there must be one"):
            count(spec("100"), 3, reading)


@pytest.mark.parametrize(
    ("values", "pods", "wanted"),
    [
        (("200", "200", "200"), numbered(3), 6),
        (("200", "200"), numbered(3), 4),  # one is missing: idle on the way up
        (("10", "10"), numbered(3), 2),  # one is missing: full on the way down
        (("90", "90"), numbered(3), 3),  # (90 + 90 + 100) / 3 is close enough
        (("150", "150"), numbered(2, 2), 4),  # two are not ready: idle on the way up, and then it is down
        (("400", "400"), numbered(2, 2), 8),
        (("50", "50"), numbered(2, 2), 1),  # on the way down they do not count
        (("50", "50", "100", "100"), numbered(2, 2), 1),  # nor does what they say
    ],
)
def test_pods_without_values_hold_the_count_back(values: tuple[str, ...], pods: Pods, wanted: int) -> None:
    current = len(pods.ready) + len(pods.unready)
    assert count(spec("100", "AverageValue", "Pods"), current, each(*values), pods) == wanted


def test_pods_of_which_none_has_a_value_tell_nothing() -> None:
    with pytest.raises(Invalid, match="of any pod"):
        count(spec("100", "AverageValue", "Pods"), 3, each())


@pytest.mark.parametrize(
    ("values", "requested", "ready", "wanted"),
    [
        (("400m", "400m"), ("500m", "500m"), 2, 4),  # 80 % against 40 %
        (("400m",), ("500m", "500m"), 2, 2),  # a missing one is idle: 40 %
        (("100m",), ("500m", "500m"), 2, 2),  # and has all that it requests on the way down: 60 %, which is up
        (("100m", "100m"), ("500m", "500m"), 2, 1),
        (("200m", "600m"), ("500m", "1500m"), 2, 2),  # of all that is requested
    ],
)
def test_utilization_is_percent_of_what_is_requested(
    values: tuple[str, ...], requested: tuple[str, ...], ready: int, wanted: int
) -> None:
    reading = Each(each(*values).values, each(*requested).values)
    assert count(spec("40", "Utilization", "Resource"), ready, reading, numbered(ready)) == wanted


def test_utilization_needs_requests_of_every_pod() -> None:
    with pytest.raises(Invalid, match="pod-1 requests none"):
        count(spec("40", "Utilization", "Resource"), 2, Each(each("1", "1").values, each("1").values))


@pytest.mark.parametrize(
    ("age_s", "is_ready", "in_that_state_s", "unready"),
    [(60.0, True, 45.0, False), (60.0, True, 20.0, True), (60.0, False, 60.0, True), (600.0, True, 5.0, False),
     (600.0, False, 5.0, False), (600.0, False, 590.0, True)],
)  # fmt: skip
def test_the_cpu_of_a_pod_that_starts_tells_nothing(
    age_s: float, is_ready: bool, in_that_state_s: float, unready: bool
) -> None:
    assert is_cpu_unready(age_s, is_ready, in_that_state_s, measured_ago_s=10.0, window_s=30.0) is unready


def run(asked: Spec, start: int, *steps: tuple[float, str]) -> list[int]:
    """The counts after each step: at a time a value against the target."""
    controller = Controller(asked)
    found = [start]
    for now, value in steps:
        found.append(controller.sync(now, found[-1], numbered(found[-1]), [whole(value)]).desired)
    return found[1:]


def test_up_by_four_pods_or_by_all_in_a_period_whichever_is_more() -> None:
    steps = [(0.0, "9"), (5.0, "9"), (15.0, "9"), (20.0, "9"), (30.0, "9")]
    assert run(spec("1"), 2, *steps) == [6, 6, 12, 12, 24]
    assert run(spec("1", most=20), 2, *steps) == [6, 6, 12, 12, 20]


def test_down_at_once_but_only_to_the_most_that_was_wanted_in_five_minutes() -> None:
    asked = spec("1", "AverageValue", down=DOWN)
    steps = [(0.0, "8"), (15.0, "8"), (60.0, "3"), (120.0, "5"), (314.0, "3"), (316.0, "3"), (421.0, "3")]
    assert run(asked, 8, *steps) == [8, 8, 8, 8, 8, 5, 3]


def test_what_was_there_at_the_start_was_wanted() -> None:
    assert run(spec("1", "AverageValue", down=DOWN), 8, (0.0, "3"), (299.0, "3"), (301.0, "3")) == [8, 8, 3]


def test_a_window_for_up_takes_the_least() -> None:
    up = Rules(UP.policies, window_s=60.0)
    asked = spec("1", "AverageValue", up=up)
    assert run(asked, 4, (0.0, "6"), (30.0, "8"), (61.0, "7"), (95.0, "7")) == [4, 4, 7, 7]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Rules((Policy("Pods", 1, 60.0),), 0.0), [9, 9, 9, 9, 8]),
        (Rules((Policy("Percent", 50, 60.0),), 0.0), [5, 5, 5, 5, 2]),
        (Rules((Policy("Pods", 1, 60.0), Policy("Percent", 50, 60.0)), 0.0, "Min"), [9, 9, 9, 9, 8]),
        (Rules((Policy("Pods", 1, 60.0), Policy("Percent", 50, 60.0)), 0.0, "Max"), [5, 5, 5, 5, 2]),
        (Rules((Policy("Pods", 1, 60.0),), 0.0, "Disabled"), [10, 10, 10, 10, 10]),
    ],
)
def test_policies_for_down(rules: Rules, expected: list[int]) -> None:
    steps = [(0.0, "0"), (15.0, "0"), (30.0, "0"), (45.0, "0"), (60.0, "0")]
    assert run(spec("1", "AverageValue", down=rules), 10, *steps) == expected


def sync(asked: Spec, current: int, *readings: Reading) -> Decision:
    return Controller(asked).sync(0.0, current, numbered(current), readings)


def two(one: str = "1", other: str = "1") -> Spec:
    metrics = (*spec(one).metrics, *spec(other).metrics)
    return Spec(metrics=metrics, most=100, down=AT_ONCE)


def test_the_largest_of_several_metrics_wins() -> None:
    assert sync(two(), 4, whole("500m"), whole("1500m")).desired == 6
    assert sync(two(), 4, whole("500m"), whole("250m")).desired == 2


def test_a_metric_that_failed_blocks_down_and_not_up() -> None:
    failed = Failed("m: broken")
    assert sync(two(), 4, whole("1500m"), failed).desired == 6
    assert sync(two(), 4, whole("500m"), failed) == Decision(4, None, "no change: m: broken")
    assert sync(two(), 4, failed, failed).desired == 4


def test_bounds_come_before_metrics() -> None:
    assert sync(spec("1", least=3, most=5), 2, Failed("m: broken")) == Decision(3, None, "2 is below the minimum of 3")
    assert sync(spec("1", least=3, most=5), 9, whole("9")) == Decision(5, None, "9 is above the maximum of 5")
    assert sync(spec("1", least=3, most=5), 4, whole("100m")).desired == 3


def test_the_reason_has_the_numbers() -> None:
    assert sync(spec("700m"), 4, whole("1.2")).reason == "m is 1.2 against 0.7: 7"
    assert sync(spec("700m", most=5), 4, whole("1.2")).reason == "m is 1.2 against 0.7: 7; limited to 5 by the maximum"
    assert sync(spec("1"), 2, whole("9")).reason == "m is 9 against 1: 18; limited to 6 by the policy"
    steadied = sync(spec("8", "AverageValue", down=DOWN), 4, whole("8")).reason
    assert steadied == "m is 8 against 8 for each: 1; steadied to 4 by the last 300 s"
    assert sync(spec("8", "AverageValue", "Pods"), 2, each("20", "12")).reason == "m is 16 on average against 8: 4"
    assert sync(spec("1", least=3), 4, whole("0")).reason == "m is 0 against 1: 0; limited to 3 by the minimum"


CPU = {"type": "Utilization", "averageUtilization": 70}
MANIFEST = {
    "spec": {
        "minReplicas": 2,
        "maxReplicas": 9,
        "metrics": [
            {"type": "Resource", "resource": {"name": "cpu", "target": CPU}},
            {"type": "Object", "object": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "700m"}}},
        ],
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 30, "tolerance": "0.05"},
            "scaleDown": {"selectPolicy": "Min", "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]},
        },
    }
}


def test_a_manifest_is_read_with_the_defaults_of_the_api() -> None:
    assert manifest.read(MANIFEST) == Spec(
        metrics=(Metric("Resource", "cpu", "Utilization", 70), Metric("Object", "m", "Value", 700)),
        least=2,
        most=9,
        up=Rules(UP.policies, 30, "Max", 0.05),
        down=Rules((Policy("Pods", 1, 60),), 300.0, "Min"),
    )
    bare = manifest.read({"spec": {"maxReplicas": 9, "metrics": [], "behavior": {}}})
    assert bare == Spec(metrics=(), least=1, most=9)
    with pytest.raises(ValueError, match="'ContainerResource' are not known"):
        manifest.read_metric({"type": "ContainerResource"})


values = st.integers(0, 10**7)


@given(st.lists(st.tuples(st.floats(0.0, 120.0), values), min_size=1, max_size=30), st.integers(1, 50))
def test_the_count_stays_within_its_bounds_and_changes_no_faster_than_allowed(
    steps: list[tuple[float, int]], start: int
) -> None:
    controller = Controller(spec("1", least=2, most=40))
    now, counts = 0.0, [(-1000.0, start)]
    for after, value in steps:
        now += after
        current = counts[-1][1]
        desired = controller.sync(now, current, numbered(current), [Whole((value,))]).desired
        assert 2 <= desired <= 40
        begun = next(count for at, count in reversed(counts) if at <= now - 15.0)
        if 2 <= current <= 40:
            assert desired <= max(current, 2 * begun, begun + 4)
        counts.append((now, desired))
