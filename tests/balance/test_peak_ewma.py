"""What peak-ewma expects of an endpoint, and whom it takes because of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from modes import BOTH, Mode

from balance.picking import build, endpoints, picks

if TYPE_CHECKING:
    from fairlead.balance import Candidate

both = pytest.mark.parametrize("mode", BOTH)
SECOND = 1_000_000


def reply(mode: Mode, endpoint: Candidate, took_ms: float, at_s: float = 1.0) -> None:
    busy(endpoint, lambda: mode["balance.peak_ewma"].observe(endpoint, int(at_s * SECOND), int(took_ms * 1000)))


def failure(mode: Mode, endpoint: Candidate, took_ms: float, at_s: float = 1.0) -> None:
    busy(endpoint, lambda: mode["balance.peak_ewma"].observe_failure(endpoint, int(at_s * SECOND), int(took_ms * 1000)))


def busy(endpoint: Candidate, observe: Callable[[], None]) -> None:
    """It had something to answer until then, and has nothing more now."""
    endpoint.silent_since = 1
    observe()
    endpoint.silent_since = 0


def counts(mode: Mode, *given: Candidate, at_s: float = 1.0, count: int = 900) -> Counter[str]:
    picker = build(mode, "peak-ewma", given)
    picker.now = int(at_s * SECOND)
    return Counter(picks(picker, count))


@both
def test_the_faster_of_two_gets_all_until_it_is_as_slow_by_its_queue(mode: Mode) -> None:
    fast, slow = endpoints(mode, 1, 1)
    reply(mode, fast, 5)
    reply(mode, slow, 21)
    assert counts(mode, fast, slow) == {"e0": 900}
    fast.in_flight, fast.silent_since = 3, SECOND
    assert counts(mode, fast, slow) == {"e0": 900}  # 4 * 5 ms
    fast.in_flight = 4
    assert counts(mode, fast, slow) == {"e1": 900}


@both
def test_a_peak_is_believed_at_once_and_forgotten_slowly(mode: Mode) -> None:
    (endpoint,) = endpoints(mode, 1)
    for place in range(100):
        reply(mode, endpoint, 5, place * 0.01)
    assert endpoint.latency_us == pytest.approx(5000)
    reply(mode, endpoint, 100, 1.0)
    assert endpoint.latency_us == 100_000
    reply(mode, endpoint, 5, 1.01)
    assert 99_000 < endpoint.latency_us < 100_000
    for place in range(1000):
        reply(mode, endpoint, 5, 1.01 + place * 0.01)
    assert endpoint.latency_us == pytest.approx(5000 + 95_000 / 2.718, rel=0.01)


@both
def test_what_is_silent_and_idle_is_tried_again(mode: Mode) -> None:
    fast, slow = endpoints(mode, 1, 1)
    reply(mode, slow, 50)
    reply(mode, fast, 5, 7.5)
    assert counts(mode, fast, slow, at_s=7.5) == {"e0": 900}
    reply(mode, fast, 5, 8.5)
    assert counts(mode, fast, slow, at_s=8.5) == {"e1": 900}  # 50 ms / e**2.5


@both
def test_what_was_forgotten_while_idle_stays_forgotten(mode: Mode) -> None:
    """One good reply and an endpoint that was slow is back; one failure and it is out for longer than before."""
    slow, failing = endpoints(mode, 1, 1)
    for endpoint in (slow, failing):
        reply(mode, endpoint, 500)
        mode["balance.peak_ewma"].wake(endpoint, 16 * SECOND)
        assert endpoint.latency_us == pytest.approx(500_000 / 2.718**5, rel=0.01)
    reply(mode, slow, 5, 16.005)
    assert slow.latency_us < 8000
    failure(mode, failing, 5, 16.005)
    assert failing.latency_us > 3 * SECOND


@both
def test_one_that_hangs_is_noticed_without_a_reply(mode: Mode) -> None:
    steady, hung = endpoints(mode, 1, 1)
    reply(mode, steady, 20)
    reply(mode, hung, 4)
    steady.in_flight = hung.in_flight = 1
    steady.silent_since = hung.silent_since = SECOND
    assert counts(mode, steady, hung, at_s=1.01) == {"e1": 900}
    assert counts(mode, steady, hung, at_s=1.019) == {"e1": 900}
    steady.silent_since = int(1.02 * SECOND)  # it has answered one meanwhile
    assert counts(mode, steady, hung, at_s=1.025) == {"e0": 900}


@both
def test_failing_fast_is_not_being_fast(mode: Mode) -> None:
    """A tenth of a second of failures outweighs any queue of a healthy endpoint, at any rate."""
    for failures in (2, 10, 1000):
        healthy, failing = endpoints(mode, 1, 1)
        for place in range(failures + 1):
            at_s = 1.0 + 0.1 * place / failures
            reply(mode, healthy, 20, at_s)
            if place:
                failure(mode, failing, 0.2, at_s)
            else:
                reply(mode, failing, 20, at_s)
        assert counts(mode, healthy, failing, at_s=1.1) == {"e0": 900}
        assert 50_000 < failing.latency_us < 100_000


@both
def test_the_first_reply_of_all_may_be_a_failure(mode: Mode) -> None:
    healthy, failing = endpoints(mode, 1, 1)
    failure(mode, failing, 0.2)
    reply(mode, healthy, 900)
    assert counts(mode, healthy, failing) == {"e0": 900}


@both
def test_failing_now_and_then_costs_a_part_of_the_share(mode: Mode) -> None:
    healthy, flaky = endpoints(mode, 1, 1)
    for place in range(3000):
        at_s = 1.0 + place * 0.01
        reply(mode, healthy, 20, at_s)
        (failure if place % 100 == 50 else reply)(mode, flaky, 20, at_s)
    healthy.in_flight, healthy.silent_since = 6, 31 * SECOND
    assert counts(mode, healthy, flaky, at_s=31.0) == {"e1": 900}  # one in a hundred costs 50 ms and not 5 s


@both
def test_a_failure_that_took_long_counts_for_as_long(mode: Mode) -> None:
    (endpoint,) = endpoints(mode, 1)
    reply(mode, endpoint, 20)
    failure(mode, endpoint, 60_000, 1.0)
    assert endpoint.latency_us == 60 * SECOND


@both
@pytest.mark.parametrize("usual_ms", [0.05, 20, 900])
def test_an_unknown_endpoint_gets_its_share_at_once_and_no_flood(mode: Mode, usual_ms: float) -> None:
    """However fast the others are, and while it has not answered yet."""
    *known, new = endpoints(mode, 1, 1, 1, 1)
    for endpoint in known:
        reply(mode, endpoint, usual_ms)
        endpoint.in_flight, endpoint.silent_since = 4, SECOND
    picker = build(mode, "peak-ewma", [*known, new])
    picker.now = SECOND
    for _ in range(40):
        chosen = picker.pick(0, None)
        assert chosen is not None
        chosen.in_flight += 1
        chosen.silent_since = chosen.silent_since or SECOND
    assert 10 <= new.in_flight <= 15  # 52 in flight on four


@both
def test_an_unknown_endpoint_is_better_than_one_that_has_failed(mode: Mode) -> None:
    failing, unknown = endpoints(mode, 1, 1)
    failure(mode, failing, 0.2)
    assert counts(mode, failing, unknown) == {"e1": 900}


@both
def test_weights_say_how_much_a_request_in_flight_counts(mode: Mode) -> None:
    light, heavy = endpoints(mode, 1, 3)
    for endpoint in (light, heavy):
        reply(mode, endpoint, 10)
    light.in_flight, heavy.in_flight = 2, 5
    light.silent_since = heavy.silent_since = SECOND
    assert counts(mode, light, heavy) == {"e1": 900}
    heavy.in_flight = 7
    assert counts(mode, light, heavy) == {"e0": 900}
