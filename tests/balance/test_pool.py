"""Slow start under every policy, and what a pool counts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from modes import BOTH, Mode

from balance.picking import FILES, NAMES, build, endpoints

if TYPE_CHECKING:
    from fairlead.balance import Candidate
    from fairlead.balance.pool import Pool

both = pytest.mark.parametrize("mode", BOTH)
every = pytest.mark.parametrize("name", NAMES + FILES)
SECOND = 1_000_000
WINDOW = 30 * SECOND
START = 1000 * SECOND


def make(mode: Mode, name: str, old: list[Candidate], new: list[Candidate], window: int = WINDOW) -> Pool:
    """A pool of endpoints that have served for an hour, to which others came at START."""
    pool: Pool = mode["balance.pool"].Pool(5)
    first = build(mode, name, old)
    pool.swap(first, old, START - 3600 * SECOND, window)
    pool.swap(build(mode, name, [*old, *new], first), [*old, *new], START, window)
    return pool


def counts(pool: Pool, count: int, served_s: float, keys: list[int] | None = None) -> Counter[str]:
    chosen = [pool.pick(keys[i] if keys else 0, None, START + int(served_s * SECOND)) for i in range(count)]
    return Counter(endpoint.address for endpoint in chosen if endpoint is not None)


@both
@every
@pytest.mark.parametrize(("served_s", "part"), [(0, 0.1), (3, 0.1), (9, 0.3), (15, 0.5), (30, 1), (999, 1)])
def test_a_new_endpoint_is_given_a_part_that_grows(mode: Mode, name: str, served_s: float, part: float) -> None:
    given = endpoints(mode, *[1] * 5)
    found = counts(make(mode, name, given[:4], given[4:]), 4000, served_s)
    expected = 4000 * part / (4 + part)
    assert abs(found["e4"] - expected) < 5 * expected**0.5
    assert max(found[f"e{i}"] for i in range(4)) < 1.25 * min(found[f"e{i}"] for i in range(4))


@both
@every
def test_a_whole_pool_of_new_endpoints_is_not_slowed(mode: Mode, name: str) -> None:
    found = counts(make(mode, name, [], endpoints(mode, *[1] * 4)), 2000, 1)
    assert all(abs(count - 500) < 110 for count in found.values())
    assert len(found) == 4


@both
@every
def test_when_the_old_have_gone_the_new_are_not_slowed(mode: Mode, name: str) -> None:
    given = endpoints(mode, *[1] * 3)
    pool = make(mode, name, given[:1], given[1:])
    pool.swap(build(mode, name, given[1:], pool.picker), given[1:], START + SECOND, WINDOW)
    found = counts(pool, 1000, 1)
    assert abs(found["e1"] - 500) < 80


@both
@every
def test_without_a_window_nobody_is_slowed(mode: Mode, name: str) -> None:
    given = endpoints(mode, *[1] * 5)
    found = counts(make(mode, name, given[:4], given[4:], window=0), 2000, 0)
    assert abs(found["e4"] - 400) < 100


@both
@every
def test_one_that_was_away_begins_anew_and_one_that_stayed_does_not(mode: Mode, name: str) -> None:
    given = endpoints(mode, *[1] * 5)
    pool = make(mode, name, given[:4], given[4:])
    later = START + 2 * WINDOW
    for present in (given[1:], given):  # e0 goes, and comes back
        pool.swap(build(mode, name, present, pool.picker), present, later, WINDOW)
    found = counts(pool, 2000, 2 * WINDOW / SECOND)
    assert found["e0"] < 90
    assert found["e4"] > 400


@both
@every
def test_a_scale_out_by_a_factor_of_ten_is_borne_by_the_new_as_far_as_they_are_warm(mode: Mode, name: str) -> None:
    given = endpoints(mode, *[1] * 20)
    pool = make(mode, name, given[:2], given[2:])
    found = counts(pool, 4000, 0)
    old = found["e0"] + found["e1"]
    assert abs(old - 4000 * 2 / (2 + 18 * 0.1)) < 300
    assert len(found) == 20


@both
@pytest.mark.parametrize("name", ["weighted", "least-request", "peak-ewma", "hash"])
def test_weights_hold_besides(mode: Mode, name: str) -> None:
    given = endpoints(mode, 3, 1, 4)
    found = counts(make(mode, name, given[:2], given[2:]), 4000, 15)
    assert abs(found["e2"] - 4000 * 2 / 6) < 180
    assert abs(found["e0"] - 4000 * 3 / 6) < 230


@both
@pytest.mark.parametrize("name", ["round-robin", "weighted"])
def test_the_others_turns_stay_as_even(mode: Mode, name: str) -> None:
    """Who comes after the new endpoint does not get what that is not given."""
    given = endpoints(mode, *[1] * 4)
    pool = make(mode, name, given[:3], given[3:])
    chosen = [pool.pick(0, None, START) for _ in range(300)]
    old = [endpoint.address for endpoint in chosen if endpoint is not None and endpoint is not given[3]]
    for i in range(0, len(old) - 3, 3):
        assert len(set(old[i : i + 3])) == 3


@both
def test_the_keys_of_a_new_endpoint_come_to_it_one_after_the_other(mode: Mode) -> None:
    keys = [mode["balance.bounded_hash"].key_of(b"client %d" % number) for number in range(1500)]
    given = endpoints(mode, *[1] * 5)
    before = make(mode, "hash", given[:4], [])
    home = {key: before.pick(key, None, START) for key in keys}
    pool = make(mode, "hash", given[:4], given[4:])
    moved: set[int] = set()
    sizes = []
    for served_s in (0, 5, 10, 15, 20, 25, 30):
        places = {key: pool.pick(key, None, START + served_s * SECOND) for key in keys}
        here = {key for key, place in places.items() if place is given[4]}
        assert moved <= here  # none goes back
        assert all(places[key] is home[key] for key in keys if key not in here)
        moved = here
        sizes.append(len(here))
    assert sizes == sorted(sizes)
    assert 10 < sizes[0] < 60
    assert 220 < sizes[-1] < 380
    assert abs(sizes[3] - sizes[-1] / 2) < 50


@both
@every
def test_an_endpoint_that_was_tried_is_not_given_again(mode: Mode, name: str) -> None:
    given = endpoints(mode, *[1] * 3)
    pool = make(mode, name, given[:1], given[1:])
    for key in (0, 7, 8, 9):
        assert pool.pick(key, given[:1], START) in given[1:]
        assert pool.pick(key, given[:2], START) is given[2]
        assert pool.pick(key, list(given), START) is None


@both
def test_nothing_eligible_is_none(mode: Mode) -> None:
    pool = make(mode, "round-robin", [], [])
    assert pool.pick(0, None, START) is None


@both
def test_requests_are_counted_for_the_endpoint_and_for_all(mode: Mode) -> None:
    one, other = endpoints(mode, 1, 1)
    pool = make(mode, "peak-ewma", [one, other], [])
    pool.begin(one, START)
    pool.begin(one, START + 5)
    pool.begin(other, START + 7)
    assert (one.in_flight, other.in_flight, pool.in_flight) == (2, 1, 3)
    assert (one.silent_since, other.silent_since) == (START, START + 7)
    pool.answered(one, START + 9, 9, 200)
    pool.end(one, True)
    assert (one.in_flight, pool.in_flight, one.silent_since, one.latency_us) == (1, 2, START + 9, 9)
    pool.answered(other, START + 9, 2, 500)
    assert other.latency_us > SECOND


@both
@pytest.mark.parametrize("policy", ["round-robin", "random", "weighted", "least-request", "hash"])
def test_nothing_is_measured_for_a_policy_that_ignores_it(mode: Mode, policy: str) -> None:
    (one,) = endpoints(mode, 1)
    pool = make(mode, policy, [one], [])
    pool.begin(one, START)
    pool.answered(one, START + 9, 9, 200)
    pool.end(one, True)
    pool.begin(one, START + 10)
    pool.failed(one, START + 19, 9, "connect-failed")
    pool.end(one, False)
    assert (one.in_flight, one.waiting, one.silent_since, one.latency_us) == (0, 0, 0, 0)


@both
def test_a_reply_that_goes_on_for_long_is_no_silence(mode: Mode) -> None:
    """A stream, a tunnel or a TCP session is in flight, but nothing is waited for."""
    one, other = endpoints(mode, 1, 1)
    pool = make(mode, "peak-ewma", [one, other], [])
    for endpoint in (one, other):
        pool.begin(endpoint, START)
        pool.answered(endpoint, START + 5, 5, 200)
    assert (one.in_flight, one.waiting, one.silent_since) == (1, 0, 0)
    pool.begin(one, START + 3600 * SECOND)
    assert one.silent_since == START + 3600 * SECOND
    pool.failed(one, START + 3600 * SECOND, 100, "connect-failed")
    pool.end(one, False)
    pool.end(one, True)
    assert (one.in_flight, one.waiting, one.silent_since) == (0, 0, 0)
    assert {endpoint.waiting for endpoint in (one, other)} == {0}


@both
def test_a_client_that_gives_up_moves_the_estimate_up_and_never_down(mode: Mode) -> None:
    (one,) = endpoints(mode, 1)
    pool = make(mode, "peak-ewma", [one], [])
    for waited_us, expected in ((700, 700), (300, 700)):
        pool.begin(one, START)
        pool.given_up(one, START, waited_us)
        pool.end(one, False)
        assert one.latency_us == expected


@both
def test_the_bound_follows_what_is_in_flight(mode: Mode) -> None:
    given = endpoints(mode, *[1] * 2)
    pool = make(mode, "hash", given, [])
    pool.max_load = 1.25
    for _ in range(100):
        chosen = pool.pick(77, None, START)
        assert chosen is not None
        pool.begin(chosen, START)
    assert sorted(endpoint.in_flight for endpoint in given) in ([37, 63], [38, 62])
