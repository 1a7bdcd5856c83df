"""Whose turn it is: in order, and spread over the interval whatever the addresses look like."""

from __future__ import annotations

import pytest
from fairlead.health.checks.schedule import Schedule, place, spread
from hypothesis import given
from hypothesis import strategies as st

SALT = b"a salt"


@given(entries=st.lists(st.integers(0, 100)), now=st.integers(-1, 101))
def test_those_whose_time_has_come_are_taken_in_order(entries: list[int], now: int) -> None:
    schedule: Schedule[tuple[int, int]] = Schedule()
    for number, due in enumerate(entries):
        schedule.add(due, (due, number))
    taken = []
    while (who := schedule.take(now)) is not None:
        taken.append(who)
    assert taken == sorted((due, number) for number, due in enumerate(entries) if due <= now)
    left = [due for due in entries if due > now]
    assert (len(schedule), schedule.next_us()) == (len(left), min(left, default=None))


def test_who_is_not_kept_is_forgotten_and_the_order_stands() -> None:
    schedule: Schedule[int] = Schedule()
    for number in (5, 3, 8, 1, 9, 2):
        schedule.add(number, number)
    schedule.keep(lambda number: number % 2 == 1)
    assert [schedule.take(100) for _ in range(4)] == [1, 3, 5, 9]
    assert schedule.take(100) is None


def test_those_that_cannot_be_compared_may_be_due_together() -> None:
    schedule: Schedule[object] = Schedule()
    one, two = object(), object()
    schedule.add(1, one)
    schedule.add(1, two)
    assert [schedule.take(1), schedule.take(1)] == [one, two]


@pytest.mark.parametrize("form", ["10.0.{0}.{1}:80", "127.0.0.1:{2}", "unix:/run/{2}.sock", "[2001:db8::{0}:{1}]:80"])
def test_addresses_that_are_alike_are_spread_over_the_whole_interval(form: str) -> None:
    tenths = [0] * 10
    for number in range(2000):
        tenths[int(10 * place(form.format(number // 250, number % 250, 1024 + number), SALT))] += 1
    assert min(tenths) > 140  # of 200 each; by chance less than this once in 100,000 times


def test_the_place_is_the_same_for_the_same_salt_and_another_for_another() -> None:
    assert place("10.0.0.1:80", SALT) == place("10.0.0.1:80", SALT)
    assert place("10.0.0.1:80", SALT) != place("10.0.0.1:80", b"another")


@given(st.text(max_size=50))
def test_every_place_is_within_the_interval(name: str) -> None:
    assert 0 <= place(name, SALT) < 1


@given(delay=st.integers(0, 10**9), jitter=st.floats(0, 0.5), chance=st.floats(0, 1))
def test_jitter_is_within_its_share(delay: int, jitter: float, chance: float) -> None:
    assert abs(spread(delay, jitter, lambda: chance) - delay) <= delay * jitter + 1


def test_jitter_goes_both_ways() -> None:
    chances = iter((0.0, 0.5, 1.0))
    assert [spread(1000, 0.1, lambda: next(chances)) for _ in range(3)] == [900, 1000, 1100]
    assert spread(1000, 0.0, lambda: 0.9) == 1000
