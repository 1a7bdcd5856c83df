"""What is compared with what, and when a bound is met."""

import pytest

from loadtests.compare.figures import (
    DIRECT,
    ENVOY,
    NATIVE,
    Bound,
    Figure,
    Samples,
    added,
    judge,
    medians,
    quantile,
    ratio,
    spread,
)

FIGURE = Figure(key="cpu", title="CPU", unit="µs", bounds=(Bound(0.9, NATIVE), Bound(0.3, ENVOY), Bound(50.0)))


@pytest.mark.parametrize(
    ("q", "expected"), [(0.0, 1.0), (0.01, 1.0), (0.5, 50.0), (0.501, 51.0), (0.99, 99.0), (1.0, 100.0)]
)
def test_a_quantile_is_a_value_of_the_sequence(q: float, expected: float) -> None:
    assert quantile([float(i) for i in range(1, 101)], q) == expected


def test_there_is_no_quantile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


def test_medians_leave_failed_rounds_out() -> None:
    samples: Samples = {"nginx": [{"cpu": 10.0}, {}, {"cpu": 30.0}], "envoy": [{}], "haproxy": []}
    assert medians(samples) == {"nginx": {"cpu": 20.0}, "envoy": {}, "haproxy": {}}


def test_added_is_the_difference_to_the_direct_connection() -> None:
    values = {DIRECT: {"p50": 30.0}, "nginx": {"p50": 65.0, "rate": 1.0}, "envoy": {}}
    found = added(values, ("p50", "p99"))
    assert found == {DIRECT: {"p50": 30.0}, "nginx": {"p50": 65.0, "rate": 1.0, "added_p50": 35.0}, "envoy": {}}


def test_nothing_is_added_to_a_direct_connection_that_failed() -> None:
    assert added({DIRECT: {}, "nginx": {"p50": 65.0}}, ("p50",)) == {DIRECT: {}, "nginx": {"p50": 65.0}}


def test_the_spread_is_the_lowest_and_the_highest_round() -> None:
    assert spread([{"cpu": 3.0}, {}, {"cpu": 1.0}, {"cpu": 2.0}], "cpu") == (1.0, 3.0)
    assert spread([{}], "cpu") is None


def test_each_bound_has_its_own_verdict() -> None:
    values = {"fairlead": 9.0, "nginx": 10.0, "haproxy": 11.0, "envoy": 29.0}
    assert [verdict.is_met for verdict in judge(FIGURE, values)] == [True, False, True]


def test_the_better_of_the_two_natives_is_the_reference() -> None:
    values = {"fairlead": 9.01, "nginx": 12.0, "haproxy": 10.0}
    assert [verdict.is_met for verdict in judge(FIGURE, values)] == [False, None, True]
    assert ratio(values, NATIVE) == pytest.approx(0.901)
    assert ratio(values, ENVOY) is None


def test_without_fairlead_nothing_is_judged() -> None:
    assert {verdict.is_met for verdict in judge(FIGURE, {"nginx": 1.0, "envoy": 1.0})} == {None}


def test_an_added_latency_below_zero_is_compared_as_a_number() -> None:
    figure = Figure(key="p50", title="added p50", unit="µs", bounds=(Bound(1.1, NATIVE),))
    assert judge(figure, {"fairlead": -5.0, "nginx": -3.0})[0].is_met is True
    assert judge(figure, {"fairlead": -2.0, "nginx": -3.0})[0].is_met is False
    assert ratio({"fairlead": -2.0, "nginx": -3.0}, NATIVE) is None


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (Bound(0.9, NATIVE), "≤ 0.9 x"),
        (Bound(0.3, ENVOY), "≤ 0.3 x Envoy"),
        (Bound(1.0, ("nginx",)), "≤ 1 x nginx"),
        (Bound(50.0), "≤ 50 ms"),
    ],
)
def test_a_bound_says_what_must_be(bound: Bound, text: str) -> None:
    assert bound.text("ms") == text
