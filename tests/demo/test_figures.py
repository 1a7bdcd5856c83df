"""The numbers of the demo."""

from __future__ import annotations

import math
from typing import Any

import pytest
from fairlead.demo.figures import (
    HISTORY,
    SPAN_S,
    Latency,
    Outcome,
    Reading,
    Rows,
    Tally,
    growth,
    latency,
    rates_between,
)
from fairlead.demo.figures import read as read_services
from hypothesis import given
from hypothesis import strategies as st


def endpoint(address: str, state: str = "ready", **requests: int) -> dict[str, Any]:
    counts = {code.removeprefix("c"): count for code, count in requests.items()}
    return {"address": address, "state": state, "requests": counts, "in_flight": 2, "ttfb_ms": 1.5}


def service(*endpoints: dict[str, Any], **rest: Any) -> dict[str, Any]:  # noqa: ANN401, what JSON holds
    return {"name": "shop", "endpoints": list(endpoints), "retries": {}, "own_replies": {}, **rest}


def read(*services: dict[str, Any], at: float = 0.0) -> Reading:
    return read_services({"services": list(services)}, at)


def test_a_reading_sums_codes_and_counts_as_errors_what_the_server_side_got_wrong() -> None:
    reading = read(service(endpoint("10.0.0.1:80", c200=5, c404=1, c499=1, c502=2, c503=1, tcp=4)))
    assert (reading.endpoints[0].requests, reading.endpoints[0].errors) == (14, 3)


def test_a_reading_goes_over_all_services() -> None:
    reading = read(
        service(endpoint("10.0.0.1:80"), retries={"connect-failed": 2}, own_replies={"503": 1, "502": 2}),
        service(endpoint("10.0.0.2:80", "ejected"), retries={"connect-failed": 1, "stale-connection": 1}),
    )
    assert [(e.address, e.state) for e in reading.endpoints] == [("10.0.0.1:80", "ready"), ("10.0.0.2:80", "ejected")]
    assert reading.retries == {"connect-failed": 3, "stale-connection": 1}
    assert reading.own_replies == 3


def test_a_reply_that_is_something_else_is_no_reading() -> None:
    with pytest.raises(KeyError):
        read_services({"error": "internal error"}, 0.0)


def test_a_rate_is_the_difference_of_two_readings() -> None:
    before = read(service(endpoint("10.0.0.1:80", c200=100)), at=10.0)
    after = read(service(endpoint("10.0.0.1:80", c200=150), endpoint("10.0.0.2:80", c200=10)), at=10.5)
    assert rates_between(before, after) == {"10.0.0.1:80": 100.0, "10.0.0.2:80": 20.0}


def test_there_is_no_rate_without_two_moments() -> None:
    reading = read(service(endpoint("10.0.0.1:80", c200=100)), at=10.0)
    assert rates_between(None, reading) == {}
    assert rates_between(reading, reading) == {}


def test_a_count_that_shrank_is_no_negative_rate() -> None:
    before = read(service(endpoint("10.0.0.1:80", c200=100)), at=1.0)
    after = read(service(endpoint("10.0.0.1:80", c200=1)), at=2.0)
    assert rates_between(before, after) == {"10.0.0.1:80": 0.0}


def test_rows_join_what_the_proxy_and_the_client_say() -> None:
    rows = Rows()
    names = {"10.0.0.1:80": "a"}
    outcomes = [Outcome(at=1.0, took_s=0.002, name="a"), Outcome(at=1.0, took_s=0.5, name="b")]
    rows.take(read(service(endpoint("10.0.0.1:80"), endpoint("10.0.0.9:80")), at=1.0), names, outcomes)
    grown = read(service(endpoint("10.0.0.1:80", c200=30), endpoint("10.0.0.9:80", c200=5)), at=2.0)
    known, unknown = rows.take(grown, names, outcomes)
    assert (known.name, known.rate, known.history, known.latency) == ("a", 30.0, (0.0, 30.0), Latency(2.0, 2.0))
    assert (unknown.name, unknown.rate, unknown.latency) == ("", 5.0, Latency())


def test_a_history_is_bounded() -> None:
    rows = Rows()
    for at in range(HISTORY + 5):
        (row,) = rows.take(read(service(endpoint("10.0.0.1:80", c200=at * at)), at=float(at)), {}, [])
    assert len(row.history) == HISTORY
    assert row.history[-1] == 2 * (HISTORY + 4) - 1


def test_growth_names_what_has_grown() -> None:
    assert growth({"a": 1, "b": 2}, {"a": 1, "b": 5, "c": 1}) == {"b": 3, "c": 1}


def test_a_tally_counts_each_problem_and_no_latency_for_it() -> None:
    tally = Tally()
    tally.add(Outcome(at=1.0, took_s=0.004, name="a"))
    tally.add(Outcome(at=1.0, took_s=5.0, problem="no reply within 5 s"))
    tally.add(Outcome(at=1.0, took_s=0.001, problem="502 connect-failed"))
    assert (tally.ok, tally.failed) == (1, 2)
    assert tally.problems == {"no reply within 5 s": 1, "502 connect-failed": 1}
    p50, p99 = tally.overall().p50_ms, tally.overall().p99_ms
    assert p50 is not None and p99 is not None
    assert 3.7 < p50 <= p99 < 4.3  # the histogram's buckets are 6 % wide
    assert latency(tally.lately(1.0)) == Latency(4.0, 4.0)


def test_lately_forgets_and_the_sum_does_not() -> None:
    tally = Tally()
    tally.add(Outcome(at=1.0, took_s=0.1, name="a"))
    tally.add(Outcome(at=3.0, took_s=0.2, name="a"))
    assert [outcome.at for outcome in tally.lately(1.0 + SPAN_S)] == [3.0]
    assert tally.ok == 2


def test_nothing_has_no_latency() -> None:
    assert latency([]) == Latency() == Tally().overall()


@given(st.lists(st.floats(0.0001, 10.0), min_size=1, max_size=300))
def test_quantiles_are_by_nearest_rank(took: list[float]) -> None:
    found = latency(Outcome(at=0.0, took_s=value, name="a") for value in took)
    for quantile, q in ((found.p50_ms, 0.5), (found.p99_ms, 0.99)):
        assert quantile is not None
        assert quantile == sorted(took)[math.ceil(q * len(took)) - 1] * 1000
