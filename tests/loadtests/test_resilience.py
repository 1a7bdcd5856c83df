"""One bad endpoint among three: what is counted as a failure, and what the figures are made of."""

import asyncio

import pytest

from loadtests.compare.processes import free_ports
from loadtests.resilience.clients import OK, Outcome, Users
from loadtests.resilience.endpoints import Endpoint, Fault
from loadtests.resilience.figures import figures, rows, rows_of_both

FAULT_S = 5.0


def outcome(due_s: float, took_s: float = 0.01, what: str = OK) -> Outcome:
    return Outcome(due_s, took_s, what)


def calm(seconds: float = 20.0) -> list[Outcome]:
    return [outcome(tenth / 10) for tenth in range(int(seconds * 10))]


def test_failures_are_shares_of_what_was_due_in_their_part() -> None:
    failed = [outcome(FAULT_S + 1, 5.0, "gave up"), outcome(FAULT_S + 11, 0.01, "500")]
    found = figures([*calm(), *failed], FAULT_S)
    assert found.failed_first == pytest.approx(1 / 101)
    assert found.failed_after == pytest.approx(1 / 51)
    assert (found.slowest_s, found.kinds) == (5.0, {"gave up": 1, "500": 1})


def test_the_p99_is_that_of_the_second_five_seconds() -> None:
    early = [outcome(FAULT_S + 1, 3.0)] * 50
    assert figures([*calm(), *early], FAULT_S).back == 1.0
    late = [outcome(FAULT_S + 6, 3.0)] * 50
    assert figures([*calm(), *late], FAULT_S).back == pytest.approx(300)


def test_ours_must_be_within_the_bound_and_the_best() -> None:
    good = figures(calm(), FAULT_S)
    bad = figures([*calm(), outcome(FAULT_S + 1, 5.0, "500")], FAULT_S)
    assert [row.is_met for row in rows("a", {"fairlead": good, "envoy": bad})] == [True, True, True, None]
    assert next(row.is_met for row in rows("a", {"fairlead": bad, "envoy": good})) is False
    assert [row.is_met for row in rows("a", {"envoy": good})] == [None] * 4


def test_where_all_fail_only_the_app_may_say_so() -> None:
    app = figures([*calm(), outcome(FAULT_S + 1, 0.01, "500")], FAULT_S)
    proxy = figures([*calm(), outcome(FAULT_S + 1, 0.01, "503 no-endpoint")], FAULT_S)
    assert rows_of_both("a", {"fairlead": app})[0].is_met is True
    assert rows_of_both("a", {"fairlead": proxy})[0].is_met is False


@pytest.mark.parametrize(
    ("fault", "what"), [(Fault.NONE, OK), (Fault.ERRORS, "500"), (Fault.RESET, "closed"), (Fault.SLOW, OK)]
)
async def test_users_tell_what_an_endpoint_did(fault: Fault, what: str) -> None:
    (port,) = free_ports(1)
    endpoint = Endpoint(port, 1)
    await endpoint.open()
    endpoint.fault = fault
    users = Users(port, 200)
    try:
        async with asyncio.timeout(20):
            await users.run(0.1)
    finally:
        users.close()
        endpoint.close()
    assert {each.what for each in users.outcomes} == {what}
    assert (len(users.outcomes), endpoint.served) == (20, 20)
    if fault is Fault.SLOW:
        assert min(each.took_s for each in users.outcomes) > 0.08


async def test_a_user_who_waits_too_long_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadtests.resilience.clients.PATIENCE_S", 0.05)
    (port,) = free_ports(1)
    endpoint = Endpoint(port, 1)
    await endpoint.open()
    endpoint.fault = Fault.HANG
    users = Users(port, 200)
    try:
        async with asyncio.timeout(20):
            await users.run(0.02)
    finally:
        users.close()
        endpoint.close()
    assert [each.what for each in users.outcomes] == ["gave up"] * 4
