"""What is remembered for `fairlead hpa`: a moment per period of an autoscaler, for ten minutes."""

from __future__ import annotations

import json

import pytest
from autoscale.samplings import START, A, Traffic
from fairlead.autoscale.history import History, Moment, described
from fairlead.autoscale.learning import Capacities, Learning
from fairlead.autoscale.objects import objects
from fairlead.autoscale.samples import Sample
from fairlead.autoscale.settings import Described, ObjectName
from fairlead.autoscale.window import Window
from fairlead.model import AUTO

SHOP = Described(name="shop", object=ObjectName("default", "my-app"), concurrency=float(AUTO))
OBJECTS = objects({"shop": ()}, {"shop": SHOP})


class Remembering:
    def __init__(self) -> None:
        self.history = History()
        self.capacities = Capacities()
        self.window = Window(30.0)
        self.view = Learning(self.window, self.capacities)
        self.traffic = Traffic(self.window, also=self._add)

    def _add(self, sample: Sample) -> None:
        self.capacities.add(sample, {"shop": 0.25})
        self.history.add(sample, self.view, OBJECTS)

    def seconds(self, count: int, each: int) -> None:
        for _ in range(count):
            self.traffic.serve(A, *[50_000] * each)
            self.traffic.second()


def test_a_moment_every_fifteen_seconds() -> None:
    made = Remembering()
    made.seconds(61, 40)
    moments = made.history.of("shop")
    assert [moment.at - START for moment in moments] == [15.0, 30.0, 45.0, 60.0]
    last = moments[-1]
    assert last.ready == 2
    assert last.requests_per_second == pytest.approx(40, rel=0.02)
    assert last.saturation == pytest.approx(1 / 1.5, rel=0.02)
    assert last.p95_s == pytest.approx(0.05, rel=0.0625)


def test_ten_minutes_are_kept() -> None:
    made = Remembering()
    made.seconds(1200, 1)
    assert len(made.history.of("shop")) == 40
    assert made.history.of("shop")[-1].at - START > 1185


def test_without_traffic_it_is_said_that_nothing_waits() -> None:
    made = Remembering()
    made.seconds(50, 0)
    assert made.history.of("shop")[0] == Moment(at=START + 15, ready=2)
    assert made.history.of("shop")[-1] == Moment(at=START + 45, ready=2, saturation=0.0)


def test_a_service_that_is_gone_is_forgotten() -> None:
    made = Remembering()
    made.seconds(40, 5)
    made.history.add(Sample(START + 90, 90.0, 90, {}), made.view, OBJECTS)
    assert made.history.of("shop") == []


def test_it_is_described_as_json_can_carry_it() -> None:
    made = Remembering()
    made.seconds(40, 40)
    found = described(made.history, OBJECTS, dict(made.capacities.estimates()), {"shop": 0.25, "other": 0.0})
    shop = json.loads(json.dumps(found, allow_nan=False))["shop"]
    assert (shop["object"], shop["objective_s"], shop["concurrency"]) == ("default/my-app", 0.25, "auto")
    assert shop["learned"]["certainty"] == "assumed"
    assert shop["history"][-1]["requests_per_second"] == pytest.approx(40, rel=0.02)
    assert (found["other"]["object"], found["other"]["concurrency"], found["other"]["history"]) == ("", 0.0, [])
