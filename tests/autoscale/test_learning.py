"""From samples to slices, and what the metric says of what was learned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from autoscale.hpa import desired
from autoscale.samplings import A, B, Traffic
from fairlead.autoscale import quantity
from fairlead.autoscale.capacity import Certainty, Estimate
from fairlead.autoscale.figures import Figures, of_replicas
from fairlead.autoscale.learning import Capacities, Learning
from fairlead.autoscale.metrics import METRICS
from fairlead.autoscale.samples import Sample
from fairlead.autoscale.window import Window
from fairlead.model import AUTO

OBJECTIVE_S = 0.25
SATURATION = METRICS["fairlead_saturation"]


class Watched:
    """A service of two endpoints whose traffic is learned from, by one of so many replicas."""

    def __init__(self, objective_s: float = OBJECTIVE_S, replicas: int = 1) -> None:
        self.capacities = Capacities()
        self.window = Window(30.0)
        self.traffic = Traffic(self.window, also=self._add)
        self.view = Learning(self.window, self.capacities)
        self._objectives_s = {"shop": objective_s}
        self._replicas = replicas
        self.traffic.second()

    def _add(self, sample: Sample) -> None:
        self.capacities.add(sample, self._objectives_s, self._replicas)

    def seconds(self, count: int, each: int, latency_us: int, waiting: int = 0) -> None:
        """So many requests a second are served by each endpoint, and so many more wait each second."""
        for _ in range(count):
            for address in (A, B):
                self.traffic.serve(address, *[latency_us] * each)
            if waiting:
                self.traffic.in_flight[A] = self.traffic.in_flight.get(A, 0) + waiting
            self.traffic.second()

    def swamped(self) -> None:
        """Usually 50 ms at 40 a second for each; then 240 a second come for two that can do 100 each."""
        self.seconds(10, 40, 50_000)
        self.seconds(15, 100, 900_000, waiting=40)

    def estimate(self) -> Estimate:
        return self.capacities.estimate("shop")

    def figures(self) -> Figures:
        figures = self.view.current("shop", AUTO)
        assert figures is not None
        return figures

    def saturation(self) -> float:
        value = SATURATION.read(self.figures())
        assert value is not None
        return value


def test_what_is_learned_is_of_one_endpoint() -> None:
    watched = Watched()
    watched.swamped()
    estimate = watched.estimate()
    assert estimate.certainty is Certainty.LEARNED
    assert estimate.rate == pytest.approx(100, rel=0.05)
    assert estimate.concurrency == pytest.approx(100 * 0.05, rel=0.05)


def test_demand_is_what_arrives_and_not_what_is_served() -> None:
    watched = Watched()
    watched.swamped()
    assert watched.capacities.demand("shop") == pytest.approx(240, rel=0.02)
    assert watched.saturation() == pytest.approx(240 / 200, rel=0.05)


@pytest.mark.parametrize("target", ["700m", "600m", "1"])
def test_the_autoscaler_lands_in_one_step(target: str) -> None:
    """240 a second on endpoints that can do 100: 2.4 of them, at 70 % it is 4; then and from any count."""
    watched = Watched()
    watched.swamped()
    value = quantity.write(watched.saturation(), SATURATION.places)
    wanted = {"700m": 4, "600m": 4, "1": 3}[target]
    assert desired(2, {"type": "Value", "value": target}, [value]) == wanted


def test_while_nothing_was_late_steady_load_holds_the_count() -> None:
    watched = Watched()
    watched.seconds(40, 40, 50_000)
    assert watched.figures().is_guess
    assert watched.saturation() == pytest.approx(1 / 1.5, rel=0.01)
    value = quantity.write(watched.saturation(), SATURATION.places)
    assert desired(2, {"type": "Value", "value": "700m"}, [value]) == 2


def test_few_requests_make_longer_slices_and_very_few_none() -> None:
    watched = Watched()
    watched.seconds(25, 1, 50_000)
    assert watched.estimate().certainty is Certainty.ASSUMED
    assert watched.estimate().rate == pytest.approx(1.5)
    rare = Watched()
    for _ in range(40):
        rare.traffic.serve(A, 50_000)
        rare.traffic.second(4)
    assert rare.estimate().certainty is Certainty.NONE
    assert rare.saturation() == 0.0


def test_before_anything_is_learned_there_is_no_capacity() -> None:
    watched = Watched()
    watched.seconds(3, 40, 50_000)
    assert watched.figures().capacity == 0.0
    assert SATURATION.read(watched.figures()) is None


def test_endpoints_that_come_or_go_make_a_slice_tell_nothing() -> None:
    watched = Watched()
    watched.swamped()
    before = watched.estimate()
    watched.traffic.addresses = [A]
    watched.seconds(5, 10, 900_000)
    assert watched.estimate() == before


def test_a_new_endpoint_counts_from_the_next_sample() -> None:
    """An autoscaler multiplies by the pods that are ready now: a ratio to those of a slice ago would overshoot."""
    watched = Watched()
    watched.swamped()
    before = watched.saturation()
    watched.traffic.addresses = [A, B, "10.0.0.3:8080", "10.0.0.4:8080"]
    watched.traffic.second()
    assert watched.saturation() == pytest.approx(before / 2, rel=0.05)


def test_without_an_endpoint_the_ratio_is_the_count() -> None:
    watched = Watched()
    watched.swamped()
    watched.traffic.addresses = []
    watched.traffic.second(5)
    estimate = watched.estimate()
    assert watched.saturation() == pytest.approx(watched.capacities.demand("shop") / estimate.rate)


def test_errors_are_not_what_an_endpoint_can_do() -> None:
    watched = Watched()
    watched.seconds(10, 40, 50_000)
    for _ in range(10):
        watched.traffic.serve(A, *[900_000] * 40)
        watched.traffic.serve(A, *[900_000] * 160, code="503")
        watched.traffic.second()
    assert watched.estimate().rate < 60


def test_a_replica_sees_its_share_of_what_an_endpoint_does() -> None:
    alone, one_of_two = Watched(), Watched(replicas=2)
    for watched in (alone, one_of_two):
        watched.swamped()
    assert one_of_two.estimate().rate == pytest.approx(2 * alone.estimate().rate)
    both = of_replicas([one_of_two.figures(), one_of_two.figures()])
    assert SATURATION.read(both) == pytest.approx(alone.saturation())


def test_a_replica_that_knows_speaks_for_one_that_guesses() -> None:
    sure = Figures(at=1.0, window_s=30.0, busy=10.0, capacity=20.0)
    guess = replace(sure, capacity=60.0, is_guess=True)
    assert of_replicas([guess, sure]).capacity == 20.0
    assert not of_replicas([guess, sure]).is_guess
    assert of_replicas([guess, guess]).is_guess


def test_pods_share_the_demand_as_they_share_the_replies() -> None:
    watched = Watched()
    watched.swamped()
    found = watched.view.endpoints("shop", AUTO)
    values = [SATURATION.read(each) for each in found.values()]
    assert values == pytest.approx([watched.saturation()] * 2)


def test_a_number_in_the_file_is_measured_against_as_ever() -> None:
    watched = Watched()
    watched.swamped()
    for concurrency in (0.0, 8.0):
        assert watched.view.current("shop", concurrency) == watched.window.current("shop", concurrency)
        assert watched.view.endpoints("shop", concurrency) == watched.window.endpoints("shop", concurrency)
    assert watched.view.is_whole is watched.window.is_whole
    last = watched.view.with_traffic("shop", AUTO)
    assert last == watched.window.with_traffic("shop")


def test_a_service_without_objective_is_forgotten() -> None:
    watched = Watched()
    watched.swamped()
    watched._objectives_s.clear()
    watched.traffic.second(5)
    assert watched.estimate() == Estimate()
    assert not list(watched.capacities.estimates())
