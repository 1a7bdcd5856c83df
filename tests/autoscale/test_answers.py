"""What is answered about services, pods and external metrics: exactly one item, the last good value, or an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from autoscale.samplings import START, A, B, Traffic
from fairlead.autoscale.answers import Answers
from fairlead.autoscale.documents import Value
from fairlead.autoscale.failures import Failure
from fairlead.autoscale.learning import Capacities, Learning
from fairlead.autoscale.objects import Objects, objects
from fairlead.autoscale.pods import ConfiguredPods, by_address
from fairlead.autoscale.quantity import parse
from fairlead.autoscale.replicas import Alone
from fairlead.autoscale.requests import Values
from fairlead.autoscale.samples import sample
from fairlead.autoscale.settings import Described, ObjectName
from fairlead.autoscale.window import Window
from fairlead.model import AUTO, Snapshot
from fairlead.observe.totals import Totals

RATE, P95, ERRORS = "fairlead_requests_per_second", "fairlead_latency_p95_seconds", "fairlead_error_ratio"
SHOP = Described(
    name="shop",
    object=ObjectName("default", "my-app"),
    pods={"my-app-0": "10.0.0.1", "my-app-1": B, "my-app-2": "10.0.0.3"},
    labels={"app": "my-app"},
)


def external(metric: str, selector: str = "service=my-app", namespace: str = "default") -> Values:
    return Values(
        group="external.metrics.k8s.io", version="v1beta1", namespace=namespace, metric=metric, selector=selector
    )


def custom(metric: str, name: str = "my-app", resource: str = "services", selector: str = "") -> Values:
    return Values(
        group="custom.metrics.k8s.io",
        version="v1beta2",
        namespace="default",
        metric=metric,
        resource=resource,
        name=name,
        selector=selector,
    )


class Staged:
    def __init__(self, *described: Described) -> None:
        self.window = Window(10.0)
        self.traffic = Traffic(self.window)
        known = objects({each.name: () for each in described}, {each.name: each for each in described})
        self.answers = Answers(Alone(self.window), known, ConfiguredPods(known), hold_s=60.0)

    async def find(self, asked: Values, later: float = 0.0) -> list[Value]:
        return await self.answers.find(asked, START + self.traffic.now + later)

    async def value(self, asked: Values) -> tuple[str, float]:
        (found,) = await self.find(asked)
        return found.value, found.at - START

    async def refused(self, asked: Values, later: float = 0.0) -> tuple[int, str]:
        with pytest.raises(Failure) as failure:
            await self.find(asked, later)
        return failure.value.status.value, failure.value.message


@pytest.fixture
def stage() -> Staged:
    staged = Staged(SHOP)
    staged.traffic.second()
    return staged


@pytest.mark.parametrize("asked", [custom(RATE), external(RATE), external(RATE, "")])
async def test_a_service_has_exactly_one_value(stage: Staged, asked: Values) -> None:
    for _ in range(10):
        stage.traffic.serve(A, *[1000] * 25)
        stage.traffic.second()
    assert await stage.value(asked) == ("25", 11.0)


async def test_quantities_are_written_as_small_as_latencies_are(stage: Staged) -> None:
    stage.traffic.serve(A, *[400] * 100)
    stage.traffic.second()
    value, _ = await stage.value(custom("fairlead_latency_p50_seconds"))
    assert value.endswith("u")


@pytest.mark.parametrize("metric", [P95, ERRORS])
async def test_without_traffic_the_last_value_stands_with_its_time(stage: Staged, metric: str) -> None:
    stage.traffic.serve(A, *[250_000] * 9)
    stage.traffic.serve(A, 250_000, code="500")
    stage.traffic.second()
    before = await stage.value(custom(metric))
    assert before[1] == 2.0
    stage.traffic.second(50)
    assert await stage.value(custom(metric)) == before
    assert await stage.value(custom(RATE)) == ("0", 52.0)


async def test_after_a_while_without_traffic_nobody_waits(stage: Staged) -> None:
    stage.traffic.serve(A, 250_000)
    stage.traffic.second(62)
    assert await stage.value(custom(P95)) == ("0", 63.0)


async def test_before_the_first_request_there_is_no_value_until_a_whole_window_was_seen(stage: Staged) -> None:
    stage.traffic.second()
    status, message = await stage.refused(custom(P95))
    assert status == 503
    assert "no request has been seen" in message
    assert await stage.value(custom(RATE)) == ("0", 2.0)
    stage.traffic.second(10)
    assert await stage.value(custom(P95)) == ("0", 12.0)


async def test_without_two_reports_there_are_no_figures(stage: Staged) -> None:
    assert (await stage.refused(custom(RATE)))[0] == 503


async def test_without_fresh_reports_the_last_value_stands_for_a_while(stage: Staged) -> None:
    stage.traffic.serve(A, *[1000] * 10)
    stage.traffic.second()
    (found,) = await stage.find(custom(RATE), later=59.0)
    assert found.at == START + 2
    status, message = await stage.refused(custom(RATE), later=61.0)
    assert status == 503
    assert "do not report" in message


async def test_the_pods_that_the_selector_means_each_have_a_value(stage: Staged) -> None:
    stage.traffic.serve(A, *[1000] * 10)
    stage.traffic.serve(B, *[1000] * 30)
    stage.traffic.second()
    found = await stage.find(custom(RATE, "*", "pods", "app=my-app"))
    assert {(each.name, each.value) for each in found} == {("my-app-0", "10"), ("my-app-1", "30")}
    assert await stage.find(custom(RATE, "*", "pods", "app=other")) == []
    assert [each.value for each in await stage.find(custom(RATE, "my-app-1", "pods"))] == ["30"]


async def test_an_idle_pod_has_no_errors(stage: Staged) -> None:
    stage.traffic.second()
    assert [each.value for each in await stage.find(custom(ERRORS, "*", "pods"))] == ["0", "0"]


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        (custom("latency"), 404, "could not find the metric latency"),
        (custom(RATE, "other"), 404, "no service of this proxy is default/other; there are my-app"),
        (custom(RATE, "*"), 404, "services are asked for by name"),
        (custom(RATE, "a", "deployments.apps"), 404, "only services and pods"),
        (custom(P95, "*", "pods"), 404, "it is measured for services only"),
        (custom(RATE, "nobody", "pods"), 404, "no endpoint of this proxy is that pod"),
        (custom("fairlead_saturation"), 404, "set metrics_api.services.NAME.concurrency"),
        (custom("fairlead_saturation", "*", "pods"), 404, "set metrics_api.services.NAME.concurrency"),
        (custom(RATE, "*", "pods", "a===b"), 400, "found '=', expected: identifier"),
        (external(RATE, "service=other"), 404, "no service matches 'service=other' in the namespace default"),
        (external(RATE, "", "other"), 404, "this proxy serves none of that namespace"),
        (external(RATE, "!"), 400, "unable to parse requirement"),
    ],
)
async def test_what_is_not_there_is_an_error_that_says_why(
    stage: Staged, asked: Values, status: int, words: str
) -> None:
    stage.traffic.second()
    code, message = await stage.refused(asked)
    assert (code, words in message) == (status, True), message


def two_ports() -> Sequence[Described]:
    """Two services of the configuration that are two ports of one Service, and a Service beside it."""
    mine, other = ObjectName("default", "my-app"), ObjectName("default", "other")
    return (
        Described(name="shop", object=mine, concurrency=5.0),
        Described(name="grpc", object=mine, concurrency=5.0),
        Described(name="other", object=other),
    )


async def test_services_of_one_object_and_of_one_selector_are_one_value() -> None:
    staged = Staged(*two_ports())
    others = [Traffic(staged.window, name) for name in ("grpc", "other")]
    for _ in range(3):
        staged.traffic.serve(A, *[100_000] * 90)
        others[0].serve(A, *[900_000] * 10)
        others[1].serve(A, *[1_000] * 900)
        together(staged.traffic, *others)
    assert (await staged.value(custom(RATE)))[0] == "100"
    assert (await staged.value(external(RATE, "service in (my-app,other)")))[0] == "1k"
    (p95,) = await staged.find(external(P95, "service notin (other)"))
    assert p95.labels == {"service": "my-app"}
    (both,) = await staged.find(external(P95, ""))
    assert both.labels == {}
    assert float(parse(p95.value)) == pytest.approx(0.9, rel=0.0625), "a tenth of the requests of both ports"
    assert float(parse(both.value)) == pytest.approx(0.1, rel=0.0625), "a hundredth of those of both Services"


def together(*traffics: Traffic) -> None:
    """One second of several services in one sample."""
    first = traffics[0]
    first.now += 1
    totals = Totals(services={each.name: each.totals() for each in traffics})
    snapshot = Snapshot(services={each.name: each.service() for each in traffics})
    first.looks.look(totals)
    first.window.add(sample(totals, snapshot, first.looks, START + first.now, float(first.now)))


async def test_a_learned_saturation_is_served_in_both_apis_once_there_is_something_to_go_by() -> None:
    """100 a second each of two endpoints goes well: half as much again is assumed, until 50 of 150 a second wait."""
    capacities, shop = Capacities(), replace(SHOP, concurrency=float(AUTO))
    staged = Staged(shop)
    view = Learning(staged.window, capacities)
    known = objects({"shop": ()}, {"shop": shop})
    staged.answers = Answers(Alone(view), known, ConfiguredPods(known), hold_s=60.0)
    staged.traffic.also = lambda each: capacities.add(each, {"shop": 0.25})
    saturation = "fairlead_saturation"
    staged.traffic.second(3)
    pods = custom(saturation, "*", "pods")
    for asked in (custom(saturation), external(saturation), pods):
        status, message = await staged.refused(asked)
        assert (status, "nothing is known yet of what an endpoint can do" in message) == (503, True)
    for late_us, waiting in ((50_000, 0), (900_000, 50)):
        for _ in range(25):
            for address in (A, B):
                staged.traffic.serve(address, *[late_us] * 100)
                staged.traffic.in_flight[address] = staged.traffic.in_flight.get(address, 0) + waiting
            staged.traffic.second()
        expected = 150 / 100 if waiting else 1 / 1.5
        for asked in (custom(saturation), external(saturation), pods):
            for item in await staged.find(asked, 0.0):
                assert float(parse(item.value)) == pytest.approx(expected, rel=0.05)


def test_objects_are_named_by_their_sources_and_by_the_file_first() -> None:
    sources = {
        "a": ("k8s://default/my-app:http",),
        "b": ("10.0.0.1:80", "k8s://default/my-app:grpc"),
        "c": ("dns://cache:6379",),
        "d": ("k8s://default/my-app",),
    }
    described = {"d": Described(name="d", object=ObjectName("x", "y"), concurrency=2.0)}
    known: Objects = objects(sources, described)
    assert known.services == {ObjectName("default", "my-app"): ("a", "b"), ObjectName("x", "y"): ("d",)}
    assert (known.concurrency("d"), known.concurrency("a")) == (2.0, 0.0)


def test_endpoints_are_found_by_address_and_by_ip() -> None:
    found = by_address(["10.0.0.1:80", "10.0.0.1:81", "[2001:db8::1]:80", "unix:/run/app.sock"])
    assert found["10.0.0.1"] == ["10.0.0.1:80", "10.0.0.1:81"]
    assert found["10.0.0.1:81"] == ["10.0.0.1:81"]
    assert found["2001:db8::1"] == ["[2001:db8::1]:80"]
    assert found["unix:/run/app.sock"] == ["unix:/run/app.sock"]
    assert "" not in found
