"""The budget, the waits and the time for an attempt, in made-up time."""

import pytest
from fairlead.balance.random_choice import RandomChoice
from fairlead.dataplane.endpoint import LiveEndpoint
from fairlead.dataplane.retries import RetryBudget, Retrying, Trail, served_by
from fairlead.dataplane.service import LiveService
from fairlead.model import AUTO, Endpoint, Retries, Service, ServiceTimeouts
from hypothesis import given
from hypothesis import strategies as st

SECOND = 1_000_000
START = 77 * SECOND

steps = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=3 * SECOND),
        st.integers(min_value=0, max_value=500),
        st.integers(min_value=0, max_value=60),
    ),
    max_size=60,
)


@given(steps, st.floats(min_value=0, max_value=1), st.floats(min_value=0, max_value=50))
def test_retries_are_never_more_than_was_put_in(
    steps: list[tuple[int, int, int]], ratio: float, minimum: float
) -> None:
    """Over any time: ten seconds of the least rate and of the requests before it, and the shares of both in it."""
    budget = RetryBudget(ratio, minimum)
    now, requests = START, 0
    history = []
    for passed, fresh, wanted in steps:
        now += passed
        requests += fresh
        budget.refill(now, requests)
        given = sum([budget.take() for _ in range(wanted)])
        history.append((now, requests, given))
    for first in range(len(history)):
        began, before, _ = history[first]
        earlier = max([0, *(requests for at, requests, _ in history if at <= began - 10 * SECOND)])
        given = 0
        for at, requests, taken in history[first:]:
            given += taken
            most = ratio * (requests - earlier) + minimum * (10 + (at - began) / SECOND)
            assert given <= most + 1e-6, (first, before)


@given(st.integers(min_value=0, max_value=10_000), st.integers(min_value=1, max_value=40))
def test_a_steady_share_is_granted(rate: int, seconds: int) -> None:
    """As many as the share of the requests, for as long as it goes on."""
    budget = RetryBudget(0.2, 10.0)
    for second in range(seconds):
        budget.refill(START + second * SECOND, rate * second)
        assert all([budget.take() for _ in range(rate // 5)][: rate // 5 if second else 0])


def test_a_long_silence_saves_no_more_than_ten_seconds_of_the_least_rate() -> None:
    budget = RetryBudget(0.2, 10.0)
    budget.refill(START, 0)
    budget.refill(START + SECOND, 10_000)
    budget.refill(START + 3600 * SECOND, 10_000)
    assert sum([budget.take() for _ in range(3000)]) == 100
    assert budget.spent == 2900


def test_nothing_is_granted_without_a_budget() -> None:
    budget = RetryBudget(0.0, 0.0)
    budget.refill(START, 1000)
    budget.refill(START + SECOND, 2000)
    assert not budget.take()


@pytest.mark.parametrize(
    ("retry", "took_us", "most_us"),
    [(1, 0, 0), (1, 99_999, 0), (1, 100_000, 25_000), (2, 0, 75_000), (3, 0, 175_000), (4, 0, 250_000)],
)
def test_the_waits(retry: int, took_us: int, most_us: int) -> None:
    retrying = Retrying(seed=7)
    waits = [retrying.delay_us(retry, took_us) for _ in range(2000)]
    assert min(waits) >= 0 and max(waits) <= max(most_us - 1, 0)
    assert max(waits) >= most_us * 0.98 and min(waits) <= most_us * 0.02


def configured(reply_s: float = 60.0, **retries: float) -> LiveService:
    """A service of two endpoints."""
    service = LiveService("app", lambda service, endpoint: None)
    spec = Service(
        name="app",
        balance="random",
        endpoints=(Endpoint("10.0.0.1:80"), Endpoint("10.0.0.2:80")),
        timeouts=ServiceTimeouts(reply_s=reply_s),
        retries=Retries(**retries),  # type: ignore[arg-type]
    )
    service.apply(spec, START)
    assert isinstance(service.picker, RandomChoice)
    return service


def served(service: LiveService, now: int, *took_us: int) -> None:
    for took in took_us:
        service.duration.record(took)
        if took > service.retrying.slow_us:
            service.retrying.learn(took)
    service.retrying.review(now, service.duration.total)


def test_nothing_is_said_of_an_attempt_before_enough_was_seen() -> None:
    service = configured()
    served(service, START, *[1000] * 99)
    assert (service.retrying.try_us, service.retrying.first_us) == (0, 60 * SECOND)
    served(service, START, 1000)
    assert (service.retrying.try_us, service.retrying.first_us) == (SECOND, SECOND)


def test_the_time_for_an_attempt_follows_what_slow_replies_take() -> None:
    service = configured()
    now = START
    for _ in range(200):  # one in twenty takes 400 ms
        now += SECOND // 4
        served(service, now, *[10_000] * 19, 400_000)
    assert 3.9 * SECOND < service.retrying.try_us < 4.5 * SECOND
    for _ in range(400):
        now += SECOND // 4
        served(service, now, *[10_000] * 20)
    assert service.retrying.try_us == SECOND


def test_one_reply_in_a_thousand_does_not_move_it_far() -> None:
    service = configured()
    now = START
    for _ in range(200):
        now += SECOND // 4
        served(service, now, *[10_000] * 999, 30 * SECOND)
    assert service.retrying.try_us == SECOND


@pytest.mark.parametrize(
    ("reply_s", "try_timeout_s", "first_us"),
    [(60, 2.0, 2 * SECOND), (1, 2.0, SECOND), (0, 2.0, 2 * SECOND), (60, 0.0, 60 * SECOND), (0, AUTO, 0)],
)
def test_how_long_a_reply_is_waited_for_at_first(reply_s: float, try_timeout_s: float, first_us: int) -> None:
    assert configured(reply_s=reply_s, try_timeout_s=try_timeout_s).retrying.first_us == first_us


def test_what_is_merely_slow_is_waited_for_and_what_hangs_is_not() -> None:
    service = configured()
    served(service, START, *[1000] * 200)
    hung, well = service.endpoints.values()
    asked, now = START, START + SECOND
    hung.waiting = 2
    assert not service.is_overdue(hung, asked, now)  # nobody has answered
    well.observe_ttfb(1000, asked + 1)
    assert service.is_overdue(hung, asked, now)
    hung.observe_ttfb(1000, asked + SECOND // 2)
    assert not service.is_overdue(hung, asked, now)  # it answers others
    assert not service.is_overdue(hung, asked, now + SECOND)  # and nobody else has since
    well.observe_ttfb(1000, now)
    assert service.is_overdue(hung, asked, now + SECOND)
    hung.waiting = 1
    assert not service.is_overdue(hung, asked, now + SECOND)  # one request says nothing
    hung.given_up_at = now
    assert service.is_overdue(hung, asked, now + SECOND)  # but where one was given up, it does
    hung.observe_ttfb(1000, now + 1)
    assert not service.is_overdue(hung, now + 1, now + 1 + SECOND)


def test_a_duration_that_is_given_holds_for_every_endpoint() -> None:
    service = configured(try_timeout_s=1.0)
    alone, _ = service.endpoints.values()
    assert service.is_overdue(alone, START, START + SECOND)
    assert not configured(try_timeout_s=0.0).is_overdue(alone, START, START + SECOND)


def test_the_field_that_says_who_served_is_one_line_whatever_a_path_holds() -> None:
    trail = Trail()
    trail.add(LiveEndpoint("unix:/run/a\r\nX: \u00e9"), None, "status-503", 5)
    assert served_by(LiveEndpoint("10.0.0.1:80"), 2, trail) == (
        b"Fairlead-Served-By: 10.0.0.1:80; attempts=2; tried=unix:/run/a\\r\\nX: \\xe9=status-503\r\n"
    )
    assert served_by(LiveEndpoint(""), 0, None) == b"Fairlead-Served-By: none; attempts=0\r\n"
