"""What the metrics say of samples: each definition, and the promises that hold for all of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from autoscale.samplings import START, A, B, Traffic
from fairlead.autoscale.figures import Figures, growth, of_replicas, quantile_s, together
from fairlead.autoscale.metrics import METRICS
from fairlead.autoscale.samples import is_error
from fairlead.autoscale.window import Window
from fairlead.observe.histogram import Histogram
from hypothesis import given
from hypothesis import strategies as st


def value(name: str, figures: Figures | None) -> float:
    assert figures is not None
    found = METRICS[name].read(figures)
    assert found is not None
    return found


@pytest.fixture
def traffic() -> Traffic:
    """Ten seconds of one request a second to each of two endpoints, after which the window of 10 s is whole."""
    made = Traffic(Window(10.0))
    made.second()
    for _ in range(10):
        made.serve(A, 100_000)
        made.serve(B, 300_000)
        made.in_flight = {A: 1, B: 3}
        made.second()
    return made


def test_rate_of_the_window(traffic: Traffic) -> None:
    figures = traffic.window.current("shop")
    assert value("fairlead_requests_per_second", figures) == pytest.approx(2.0)
    assert figures is not None
    assert (figures.at, figures.window_s) == (START + 11, 10.0)


def test_what_was_before_the_window_is_forgotten(traffic: Traffic) -> None:
    traffic.second(5)
    assert value("fairlead_requests_per_second", traffic.window.current("shop")) == pytest.approx(12 / 11)
    traffic.second(7)
    assert value("fairlead_requests_per_second", traffic.window.current("shop")) == 0.0


def test_quantiles_of_the_window_within_a_bucket(traffic: Traffic) -> None:
    figures = traffic.window.current("shop")
    assert value("fairlead_latency_p50_seconds", figures) == pytest.approx(0.1, rel=0.0625)
    assert value("fairlead_latency_p99_seconds", figures) == pytest.approx(0.3, rel=0.0625)


def test_in_flight_is_the_mean_of_what_was_seen(traffic: Traffic) -> None:
    assert value("fairlead_requests_in_flight", traffic.window.current("shop")) == pytest.approx(4.0)


def test_errors_are_5xx_of_endpoints_and_of_fairlead(traffic: Traffic) -> None:
    traffic.serve(A, *[1000] * 4, code="503")
    traffic.serve("", *[1000] * 2, code="502")
    traffic.serve(A, *[1000] * 4, code="404")
    traffic.second(10)
    assert value("fairlead_error_ratio", traffic.window.current("shop")) == pytest.approx(0.6)
    assert [is_error(code) for code in ("200", "404", "499", "tcp", "500", "599", "5")] == [False] * 4 + [True] * 2 + [
        False
    ]


def test_saturation_is_little_s_law_against_what_the_endpoints_can_do(traffic: Traffic) -> None:
    figures = traffic.window.current("shop", 2.0)
    # 2 requests a second of 0.2 s on the mean are 0.4 in flight; two endpoints can do 4.
    assert value("fairlead_saturation", figures) == pytest.approx(0.4 / 4)
    without = traffic.window.current("shop")
    assert without is not None
    assert METRICS["fairlead_saturation"].read(without) is None


def test_saturation_of_long_requests_is_what_was_seen_in_flight() -> None:
    traffic = Traffic(Window(10.0))
    traffic.in_flight = {A: 3, B: 3}
    traffic.second(10)
    traffic.serve(A, 600_000_000)  # ten minutes that end now would be 60 in flight
    traffic.second()
    assert value("fairlead_saturation", traffic.window.current("shop", 10.0)) == pytest.approx(6 / 20)


def test_queued_is_the_mean_of_what_was_seen_waiting(traffic: Traffic) -> None:
    assert value("fairlead_queued_requests", traffic.window.current("shop")) == 0.0
    first = traffic.now
    traffic.queued = 3
    traffic.second(5)
    seen = value("fairlead_queued_requests", traffic.window.current("shop"))
    assert seen is not None
    assert 0 < seen <= 3
    traffic.second(60)
    assert value("fairlead_queued_requests", traffic.window.current("shop")) == 3.0
    traffic.queued = 0
    traffic.second(60)
    assert value("fairlead_queued_requests", traffic.window.current("shop")) == 0.0
    assert traffic.now == first + 125


def test_endpoints_have_their_own(traffic: Traffic) -> None:
    traffic.serve(A, 1000, code="500")
    traffic.second()
    found = traffic.window.endpoints("shop", 5.0)
    assert set(found) == {A, B}
    assert value("fairlead_requests_per_second", found[A]) == pytest.approx(1.0)
    assert value("fairlead_requests_in_flight", found[B]) == pytest.approx(3.0)
    assert value("fairlead_error_ratio", found[A]) == pytest.approx(1 / 11)
    assert value("fairlead_saturation", found[B]) == pytest.approx(0.6)


def test_an_endpoint_that_comes_has_figures_from_then_on(traffic: Traffic) -> None:
    traffic.addresses = [A, "10.0.0.3:8080"]
    traffic.second()
    assert set(traffic.window.endpoints("shop")) == {A}
    traffic.second(3)
    assert set(traffic.window.endpoints("shop")) == {A, "10.0.0.3:8080"}


def test_a_counter_that_has_become_less_has_begun_again() -> None:
    assert (growth(3, 10), growth(10, 10), growth(10, 3)) == (7, 0, 3)


ONE = Figures(
    at=5.0, window_s=10.0, requests=10, rate=1.0, in_flight=1.0, busy=1.5, counts={3: 1}, capacity=2.0, queued=0.5
)
TWO = Figures(at=3.0, window_s=5.0, requests=5, rate=1.0, errors=5, in_flight=2.0, counts={3: 2, 4: 1}, capacity=4.0)


def test_several_services_together_are_as_fresh_as_the_oldest() -> None:
    assert together([ONE, TWO]) == Figures(
        at=3.0,
        window_s=10.0,
        requests=15,
        errors=5,
        rate=2.0,
        in_flight=3.0,
        busy=1.5,
        queued=0.5,
        counts={3: 3, 4: 1},
        capacity=6.0,
    )
    assert together([ONE, replace(TWO, capacity=0.0)]).capacity == 0.0, "half of a capacity is none"


def test_replicas_share_the_traffic_and_have_the_same_endpoints() -> None:
    assert of_replicas([ONE, TWO]) == replace(together([ONE, TWO]), capacity=4.0)


@given(st.lists(st.integers(1, 60_000_000), min_size=1, max_size=60), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_quantiles_are_those_of_the_histogram(latencies: list[int], q: float) -> None:
    histogram = Histogram()
    for each in latencies:
        histogram.record(each)
    pairs = histogram.sparse()
    figures = Figures(at=0.0, window_s=1.0, counts=dict(zip(pairs[::2], pairs[1::2], strict=True)))
    assert quantile_s(figures, q) == pytest.approx(histogram.quantile_us(q) / 1e6)


seconds = st.lists(st.lists(st.integers(0, 90_000_000), max_size=5), min_size=2, max_size=12)


@given(seconds, st.just(0.0) | st.floats(0.01, 100.0))
def test_no_figure_is_ever_nan_or_negative(latencies: list[list[int]], concurrency: float) -> None:
    traffic = Traffic(Window(5.0))
    for each in latencies:
        traffic.serve(A, *each, code="500" if len(each) == 1 else "200")
        traffic.second()
    figures = traffic.window.current("shop", concurrency)
    assert figures is not None
    for metric in METRICS.values():
        found = metric.read(figures)
        assert found is None or (math.isfinite(found) and found >= 0)
        assert metric.needs_traffic or metric.needs_capacity or found is not None
