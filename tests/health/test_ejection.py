"""The decisions of ejection: what is allowed, for how long, and the way out and back."""

from __future__ import annotations

import pytest
from fairlead.health.ejection import (
    Decision,
    Ejections,
    What,
    allowed,
    found_by_worker,
    is_alone_silent,
    is_panic,
    silence_us,
    time_out_s,
)
from fairlead.model import Ejection, Endpoint, Reason, State, Trigger
from hypothesis import given
from hypothesis import strategies as st

RULES = Ejection()


def make(*addresses: str, rules: Ejection = RULES) -> Ejections:
    """With no jitter: the chance is always in the middle."""
    ejections = Ejections(rules, lambda: 0.5)
    assert ejections.update(addresses, addresses, 0.0) == []
    return ejections


def accuse(ejections: Ejections, address: str, now: float, reason: Reason = Reason.ERRORS) -> list[What]:
    return kinds(ejections.accuse(found_by_worker(address, reason, "500", 5), now))


def kinds(decisions: list[Decision]) -> list[What]:
    return [decision.what for decision in decisions]


@pytest.mark.parametrize(
    ("count", "share", "most"),
    [
        (0, 0.5, 0),
        (1, 0.5, 0),
        (1, 1.0, 0),
        (2, 0.5, 1),
        (3, 0.5, 1),
        (4, 0.5, 2),
        (5, 0.5, 2),
        (9, 0.1, 1),  # at least one
        (10, 0.3, 3),
        (100, 0.29, 29),  # and not 28, as 100 * 0.29 is 28.999...
        (2, 1.0, 1),  # never the last
        (7, 1.0, 6),
        (7, 0.0, 0),
    ],
)
def test_the_cap(count: int, share: float, most: int) -> None:
    assert allowed(count, share) == most


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_the_cap_never_leaves_nothing(count: int, share: float) -> None:
    most = allowed(count, share)
    assert 0 <= most <= max(count - 1, 0)
    assert most >= (count >= 2 and share > 0)


@pytest.mark.parametrize(("times", "seconds"), [(1, 10), (2, 20), (3, 40), (5, 160), (6, 300), (2000, 300)])
def test_the_time_out_doubles_up_to_a_maximum(times: int, seconds: float) -> None:
    assert time_out_s(RULES, times, 0.5) == pytest.approx(seconds)


@given(st.integers(1, 50), st.floats(0, 1))
def test_jitter_is_a_fifth_at_most(times: int, chance: float) -> None:
    seconds, middle = time_out_s(RULES, times, chance), time_out_s(RULES, times, 0.5)
    assert 0.8 * middle - 1e-6 <= seconds <= min(1.2 * middle, RULES.max_s) + 1e-6


def states(*given: State) -> list[Endpoint]:
    return [Endpoint(f"10.0.0.{number}:80", 1, state) for number, state in enumerate(given)]


@pytest.mark.parametrize(
    ("used", "share", "panics"),
    [
        ((State.READY, State.EJECTED), 0.5, False),  # half is enough: the threshold is strict
        ((State.READY, State.EJECTED, State.UNREADY), 0.5, True),
        ((State.EJECTED, State.UNREADY), 0.5, True),
        ((State.EJECTED, State.UNREADY), 0.0, False),
        ((State.READY, State.READY, State.EJECTED), 1.0, True),
        ((State.READY, State.READY), 1.0, False),
        ((), 0.5, False),
    ],
)
def test_panic(used: tuple[State, ...], share: float, panics: bool) -> None:
    assert is_panic(states(*[State.READY] * len(used)), states(*used), share) == panics


def test_the_way_out_and_back() -> None:
    ejections = make("a", "b", "c")
    (decision,) = ejections.accuse(found_by_worker("a", Reason.ERRORS, "503", 5), 100.0)
    assert (decision.what, decision.address, decision.reason) == (What.EJECTED, "a", Reason.ERRORS)
    assert decision.text == "5 replies in a row said that it has failed, the last with 503; the threshold is 5"
    assert decision.until.startswith("10.0 s have passed")
    assert dict(decision.details) == {"in_a_row": 5, "threshold": 5, "last": "503", "times": 1, "out_s": 10.0}
    assert ejections.out == ["a"]
    assert accuse(ejections, "a", 101.0) == []  # requests that were on their way
    assert ejections.sweep(109.9) == []
    assert kinds(ejections.sweep(110.0)) == [What.PROBING]
    assert (ejections.out, ejections.probing) == (["a"], ["a"])
    assert ejections.sweep(111.0) == []
    assert kinds(ejections.probed("a", "", 5000, 112.0)) == [What.RETURNED]
    assert ejections.out == []
    assert ejections.probed("a", "", 5000, 112.0) == []


def test_a_probe_that_fails_doubles_the_time_and_good_service_halves_it_again() -> None:
    ejections = make("a", "b", "c")
    accuse(ejections, "a", 0.0)
    ejections.sweep(10.0)
    (again,) = ejections.probed("a", "503", 100, 11.0)
    assert (again.what, again.details["out_s"], again.details["times"]) == (What.EJECTED, 20.0, 2)
    assert again.text.startswith("the probe failed: 503; before that 5 replies")
    assert kinds(ejections.sweep(30.9)) == []
    assert kinds(ejections.sweep(31.0)) == [What.PROBING]
    assert kinds(ejections.probed("a", "", 100, 32.0)) == [What.RETURNED]
    ejections.sweep(92.0)  # a minute later one of the two is forgiven
    (decision,) = ejections.accuse(found_by_worker("a", Reason.ERRORS, "500", 5), 93.0)
    assert decision.details["out_s"] == 20.0


def test_a_slow_endpoint_returns_only_when_its_probe_was_quick() -> None:
    ejections = make("a", "b", rules=RULES)
    for now in (1.0, 2.0):
        ejections.observe("a", 100, 0, 200_000)
        ejections.observe("b", 100, 0, 5_000)
        decisions = ejections.sweep(now)
    assert kinds(decisions) == [What.EJECTED]
    assert decisions[0].details["threshold_ms"] == 20.0
    ejections.sweep(12.0)
    assert kinds(ejections.probed("a", "", 150_000, 13.0)) == [What.EJECTED]
    ejections.sweep(33.0)
    assert kinds(ejections.probed("a", "", 6_000, 34.0)) == [What.RETURNED]


def test_what_is_capped_is_said_once_in_a_while() -> None:
    ejections = make("a", "b", "c")
    assert accuse(ejections, "a", 0.0) == [What.EJECTED]
    (capped,) = ejections.accuse(found_by_worker("b", Reason.ERRORS, "500", 5), 1.0)
    assert capped.what is What.CAPPED
    assert capped.text.startswith("not ejected, because 1 of 3 are out and no more than 1 may be")
    assert accuse(ejections, "b", 2.0) == []
    assert accuse(ejections, "b", 2.0, Reason.GATEWAY) == [What.CAPPED]
    assert accuse(ejections, "b", 11.5) == [What.CAPPED]
    assert ejections.out == ["a"]


@pytest.mark.parametrize(
    ("reason", "rules"),
    [
        (Reason.ERRORS, Ejection(errors=Trigger.DRY_RUN)),
        (Reason.GATEWAY, Ejection(gateway=Trigger.DRY_RUN)),
        (Reason.SILENCE, Ejection(latency=Trigger.DRY_RUN)),
    ],
)
def test_a_dry_run_only_says(reason: Reason, rules: Ejection) -> None:
    ejections = make("a", "b", rules=rules)
    decisions = ejections.accuse(found_by_worker("a", reason, "700", 5), 0.0)
    assert kinds(decisions) == [What.WOULD_EJECT]
    assert decisions[0].text.startswith("would be ejected: ")
    assert ejections.out == []
    off = Ejection(errors=Trigger.OFF, gateway=Trigger.OFF, latency=Trigger.OFF)
    assert accuse(make("a", "b", rules=off), "a", 0.0, reason) == []


def test_without_a_probe_it_returns_when_traffic_has_flowed_for_long() -> None:
    ejections = make("a", "b")
    accuse(ejections, "a", 0.0)
    ejections.sweep(10.0)
    assert ejections.sweep(41.0) == []  # there was no request at all
    ejections.observe("b", 10, 0, 1000)
    assert kinds(ejections.sweep(42.0)) == [What.RETURNED]


def test_when_others_go_the_one_that_was_out_the_longest_comes_back() -> None:
    ejections = make("a", "b", "c", "d")
    assert accuse(ejections, "a", 0.0) == accuse(ejections, "b", 1.0) == [What.EJECTED]
    (back,) = ejections.update(["a", "b", "c"], ["a", "b", "c"], 2.0)
    assert (back.what, back.address) == (What.RETURNED, "a")
    assert ejections.update(["b"], ["b"], 3.0)[0].address == "b"
    assert ejections.out == []


def test_what_has_gone_and_come_back_begins_anew() -> None:
    ejections = make("a", "b")
    accuse(ejections, "a", 0.0)
    ejections.update(["b"], ["b"], 1.0)
    ejections.update(["a", "b"], ["a", "b"], 2.0)
    assert ejections.out == []
    (decision,) = ejections.accuse(found_by_worker("a", Reason.ERRORS, "500", 5), 3.0)
    assert decision.details["times"] == 1


STEPS = st.lists(
    st.tuples(st.sampled_from(["accuse", "sweep", "probe", "fail", "ready"]), st.integers(0, 5), st.floats(0, 40)),
    max_size=60,
)


@given(STEPS, st.sampled_from([0.1, 0.5, 0.9, 1.0]))
def test_whatever_happens_the_cap_holds(steps: list[tuple[str, int, float]], share: float) -> None:
    addresses = [f"e{number}" for number in range(6)]
    ejections = make(*addresses, rules=Ejection(max_share=share))
    ready, now = addresses, 0.0
    for what, number, passed in steps:
        now += passed
        if what == "accuse":
            accuse(ejections, addresses[number], now)
        elif what == "sweep":
            ejections.sweep(now)
        elif what == "ready":
            ready = addresses[: number + 1]
            ejections.update(addresses, ready, now)
        else:
            ejections.probed(addresses[number], "" if what == "probe" else "500", 100, now)
        out = set(ejections.out) & set(ready)
        assert len(out) <= allowed(len(ready), share)
        assert len(out) < len(ready)
        assert set(ejections.probing) <= set(ejections.out)


def test_silence() -> None:
    assert silence_us(RULES, 3, []) == 500_000
    assert silence_us(RULES, 3, [1_000, 2_000, 900_000]) == 500_000
    assert silence_us(RULES, 3, [200_000, 100_000, 300_000]) == 4_000_000
    assert silence_us(RULES, 1, []) == silence_us(Ejection(latency=Trigger.OFF), 3, []) == 0
    assert is_alone_silent([(9, 900), (0, 10**9)], 500)
    assert is_alone_silent([(9, 900), (3, 100)], 500)
    assert not is_alone_silent([(9, 900), (3, 600)], 500)
    assert not is_alone_silent([], 500)
