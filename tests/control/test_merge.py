"""Reports of workers that come and go, merged: counters only grow, gauges are of the living, memory is bounded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from fairlead.control.merge import Merger
from fairlead.model import Endpoint, Service
from fairlead.observe.samples import GONE_LIMIT
from fairlead.observe.totals import Durations, ListenerTotals, ServiceTotals
from hypothesis import given
from hypothesis import strategies as st

ENDPOINTS = ("10.0.0.1:80", "10.0.0.2:80", "")


def histogram(*pairs: int, sum_us: int = 0) -> dict[str, Any]:
    return {"sparse": list(pairs), "sum_us": sum_us, "total": sum(pairs[1::2])}


def service(requests: Mapping[str, int] | None = None, **more: object) -> dict[str, Any]:
    return {
        "requests": [["web", endpoint, "200", count] for endpoint, count in (requests or {}).items()],
        "in_flight": {},
        "ttfb": {},
        "duration": histogram(),
        "connect": histogram(),
        "retries": {},
        "retries_exhausted": 0,
        "queued": 0,
        "limit": 0,
        "refused": {},
        **more,
    }


def listener(connections: int = 0, active: int = 0, received: int = 0, sent: int = 0, **errors: int) -> dict[str, Any]:
    return {"connections": connections, "active": active, "received": received, "sent": sent, "errors": errors}


def report(version: int = 1, dropped: int = 0, **parts: dict[str, Any]) -> dict[str, Any]:
    """A report, as it arrives. `parts`: services and listeners."""
    whole = {"version": version, "access_log_dropped": dropped, "listeners": {}, "services": {}, **parts}
    parsed: dict[str, Any] = json.loads(json.dumps(whole))
    return parsed


def requests(merger: Merger, name: str = "shop") -> dict[str, int]:
    """By endpoint."""
    return {endpoint: n for (_, endpoint, _), n in merger.totals().services[name].requests.items()}


class Simulated:
    """A worker that counts as real ones do: from nothing, whatever its predecessor counted."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.counts: Counter[str] = Counter()
        self.times: Counter[int] = Counter()

    def report(self) -> dict[str, Any]:
        sparse = [number for pair in sorted(self.times.items()) for number in pair]
        duration = histogram(*sparse, sum_us=100 * sum(self.times.values()))
        retries = {"connect-failed": sum(self.counts.values())}
        return report(
            services={"shop": service(self.counts, duration=duration, retries=retries)},
            listeners={"web": listener(connections=sum(self.counts.values()))},
            dropped=sum(self.counts.values()),
        )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["count", "die", "forget"]),
        st.integers(0, 2),
        st.sampled_from(ENDPOINTS),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(STEPS)
def test_a_total_is_all_growth_that_was_reported(steps: list[tuple[str, int, str, int]]) -> None:
    merger = Merger()
    workers = [Simulated(number) for number in range(3)]
    expected: Counter[str] = Counter()
    seen = 0
    for what, number, endpoint, growth in steps:
        worker = workers[number]
        if what == "die":
            merger.bury(number)
            workers[number] = worker = Simulated(number)
        elif what == "forget":  # an endpoint that went and was used up, and may come again
            del worker.counts[endpoint]
        else:
            worker.counts[endpoint] += growth
            worker.times[growth] += growth
            expected[endpoint] += growth
        merger.take(number, worker.report())
        assert requests(merger) == +expected
        totals = merger.totals().services["shop"]
        assert sum(totals.duration.counts.values()) == sum(expected.values())
        assert totals.duration.sum_us == 100 * sum(expected.values())
        retries = totals.retries.get("connect-failed", 0)
        assert retries >= seen
        seen = retries


def test_listeners_retries_and_dropped_lines_grow_too() -> None:
    merger = Merger()
    retries = {"shop": service(retries={"connect-failed": 2})}
    listeners = {"web": listener(5, 3, 100, 200, overloaded=4)}
    merger.take(0, report(dropped=1, services=retries, listeners=listeners))
    merger.take(1, report(dropped=2, services=retries, listeners=listeners))
    merger.bury(1)
    merger.take(1, report(dropped=2, services=retries, listeners=listeners))
    totals = merger.totals()
    assert totals.access_log_dropped == 5
    assert totals.services["shop"].retries == {"connect-failed": 6}
    assert totals.listeners["web"] == ListenerTotals(
        connections=15, active=6, received=300, sent=600, errors={"overloaded": 12}
    )


def test_histograms_add_up() -> None:
    merger = Merger()
    merger.take(0, report(services={"shop": service(duration=histogram(3, 1, 7, 2, sum_us=50))}))
    merger.take(1, report(services={"shop": service(duration=histogram(7, 5, sum_us=70), connect=histogram(1, 1))}))
    totals = merger.totals().services["shop"]
    assert totals.duration == Durations(counts={3: 1, 7: 7}, sum_us=120)
    assert totals.connect == Durations(counts={1: 1}, sum_us=0)


def test_gauges_are_of_live_workers() -> None:
    merger = Merger()
    doing = service(in_flight={"a": 2, "b": 1}, ttfb={"a": 100})
    merger.take(0, report(version=4, services={"shop": doing}, listeners={"web": listener(active=7)}))
    doing = service(in_flight={"a": 3}, ttfb={"a": 301, "b": 50})
    merger.take(1, report(version=5, services={"shop": doing}, listeners={"web": listener(active=1)}))
    totals = merger.totals()
    assert totals.services["shop"].in_flight == {"a": 5, "b": 1}
    assert totals.services["shop"].ttfb_us == {"a": 200, "b": 50}
    assert totals.listeners["web"].active == 8
    assert totals.versions == {0: 4, 1: 5}
    merger.bury(0)
    totals = merger.totals()
    assert totals.services["shop"].in_flight == {"a": 3}
    assert totals.services["shop"].ttfb_us == {"a": 301, "b": 50}
    assert totals.listeners["web"].active == 1
    assert totals.versions == {1: 5}
    assert (merger.version(0), merger.version(1)) == (0, 5)


def test_a_service_that_a_report_leaves_out_has_not_changed() -> None:
    merger = Merger()
    merger.take(0, report(services={"shop": service({"a": 3}, in_flight={"a": 1})}))
    merger.take(0, report())
    assert requests(merger) == {"a": 3}
    assert merger.totals().services["shop"].in_flight == {"a": 1}


def test_totals_do_not_change_afterwards() -> None:
    merger = Merger()
    merger.take(0, report(services={"shop": service({"a": 1}, retries={"x": 1}, duration=histogram(1, 1))}))
    before = merger.totals()
    was = repr(before)
    grown = service({"a": 9, "b": 1}, retries={"x": 2}, duration=histogram(1, 5), in_flight={"a": 1})
    merger.take(0, report(version=2, services={"shop": grown}))
    assert repr(before) == was


GOOD: dict[str, Any] = report(services={"shop": service({"a": 1})}, listeners={"web": listener(1)})


def changed(*path: str | int, to: object) -> dict[str, Any]:
    """GOOD, but for one value."""
    copy: dict[str, Any] = json.loads(json.dumps(GOOD))
    inner: Any = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return copy


BAD = {
    "nothing": {},
    "no services": {"version": 1, "listeners": {}},
    "no version": {"services": {}, "listeners": {}},
    "a version that is none": changed("version", to="1"),
    "services that are none": changed("services", to=[1]),
    "a count that is none": changed("services", "shop", "requests", 0, 3, to="1"),
    "a count below zero": changed("services", "shop", "requests", 0, 3, to=-1),
    "a fraction": changed("services", "shop", "in_flight", to={"a": 0.5}),
    "an endpoint that is none": changed("services", "shop", "requests", 0, 1, to=["a"]),
    "a row that is short": changed("services", "shop", "requests", 0, to=["web", "a"]),
    "half a pair": changed("services", "shop", "duration", "sparse", to=[1]),
    "a bucket that is none": changed("services", "shop", "connect", "sparse", to=["1", 1]),
    "no sum": changed("services", "shop", "duration", to={"sparse": []}),
    "a listener that counts nothing": changed("listeners", "web", to={}),
    "retries that are none": changed("services", "shop", "retries", to=None),
    "dropped lines that are none": changed("access_log_dropped", to=None),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_report_is_refused_whole(bad: dict[str, Any]) -> None:
    merger = Merger()
    merger.take(0, report(services={"other": service({"a": 1})}, listeners={"web": listener(1)}))
    before = merger.totals()
    with pytest.raises((KeyError, TypeError, ValueError)):
        merger.take(0, bad)
    assert merger.totals() == before
    merger.take(0, GOOD)
    assert requests(merger) == {"a": 1}


def services(*addresses: str) -> dict[str, Service]:
    return {"shop": Service(name="shop", endpoints=tuple(map(Endpoint, addresses)))}


def test_endpoints_that_are_gone_are_forgotten_but_for_the_latest() -> None:
    merger = Merger()
    many = {f"10.0.0.{n}:80": n + 1 for n in range(GONE_LIMIT + 50)}
    merger.take(0, report(services={"shop": service({"": 4, "stays": 1, **many})}))
    merger.prune(services("stays"))
    kept = requests(merger)
    assert list(kept)[:2] == ["", "stays"]
    assert list(kept)[2:] == list(many)[-GONE_LIMIT:]
    assert merger.totals().services["shop"].forgotten == {"200": sum(range(1, 51))}
    merger.prune(services("stays"))
    assert requests(merger) == kept
    assert merger.totals().services["shop"].forgotten == {"200": sum(range(1, 51))}


def test_endpoints_that_are_there_are_never_forgotten() -> None:
    merger = Merger()
    many = {f"10.0.{n >> 8}.{n & 255}:80": 1 for n in range(1000)}
    merger.take(0, report(services={"shop": service(many)}))
    merger.prune(services(*many))
    assert requests(merger) == many


def test_a_forgotten_endpoint_that_returns_counts_what_is_new() -> None:
    merger = Merger()
    many = {f"10.0.0.{n}:80": 5 for n in range(GONE_LIMIT + 1)}
    merger.take(0, report(services={"shop": service(many)}))
    merger.prune(services())
    assert "10.0.0.0:80" not in requests(merger)
    merger.take(0, report(services={"shop": service({**many, "10.0.0.0:80": 7})}))
    assert requests(merger)["10.0.0.0:80"] == 2


def test_memory_is_bounded_while_endpoints_come_and_go() -> None:
    merger = Merger()
    for n in range(0, 5000, 100):
        here = [f"10.1.{m >> 8}.{m & 255}:80" for m in range(n, n + 100)]
        merger.take(0, report(services={"shop": service(dict.fromkeys(here, 1))}))
        merger.prune(services(*here))
        assert len(requests(merger)) <= GONE_LIMIT + 100
    totals: ServiceTotals = merger.totals().services["shop"]
    assert sum(totals.requests.values()) + sum(totals.forgotten.values()) == 5000


def test_a_service_that_is_gone_keeps_its_latest_endpoints() -> None:
    merger = Merger()
    merger.take(0, report(services={"shop": service({f"e{n}": 1 for n in range(GONE_LIMIT + 9)})}))
    merger.prune({})
    assert len(requests(merger)) == GONE_LIMIT
