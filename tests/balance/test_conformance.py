"""What every policy promises, and what those that take turns, weigh or compare promise besides."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modes import BOTH, COMPILED, INTERPRETED, Mode

from balance.picking import FILES, NAMES, build, chi_square, endpoints, furthest, picks

if TYPE_CHECKING:
    from fairlead.balance import Candidate, Picker

both = pytest.mark.parametrize("mode", BOTH)
every = pytest.mark.parametrize("name", NAMES + FILES)
turns = pytest.mark.parametrize("name", ["round-robin", "weighted", *FILES])
weighing = pytest.mark.parametrize("name", ["weighted", "least-request", "peak-ewma", "hash"])
DRAWING = ("random", "least-request", "peak-ewma", "hash")  # the others take turns
comparing = pytest.mark.parametrize("name", ["least-request", "peak-ewma", "hash", *FILES])
thorough = settings(derandomize=True, deadline=None, max_examples=150)


def test_the_list_here_is_the_registry() -> None:
    assert tuple(COMPILED["balance"].POLICIES) == NAMES


# Every policy.


@both
@every
def test_nothing_eligible_is_none(mode: Mode, name: str) -> None:
    picker = build(mode, name, [])
    (gone,) = endpoints(mode, 1)
    assert picker.pick(0, None) is None
    assert picker.pick(0, [gone]) is None
    assert build(mode, name, [], previous=picker).pick(0, None) is None


@both
@every
def test_one_endpoint_gets_everything(mode: Mode, name: str) -> None:
    (only,) = endpoints(mode, 7)
    picker = build(mode, name, [only])
    assert all(picker.pick(key, None) is only for key in range(20))
    assert picker.pick(0, [only]) is None
    assert picker.pick(0, None) is only


@both
@every
def test_ten_thousand_endpoints_all_get_some(mode: Mode, name: str) -> None:
    given = endpoints(mode, *[1] * 10_000)
    chosen = picks(build(mode, name, given), 300)
    assert len(set(chosen)) > 280


@thorough
@given(st.data())
@pytest.mark.parametrize("name", NAMES + FILES)
def test_an_endpoint_that_was_tried_is_not_picked(name: str, data: st.DataObject) -> None:
    for mode in (COMPILED, INTERPRETED):
        all_given = endpoints(mode, *data.draw(st.lists(st.sampled_from([1, 1, 2, 1000]), min_size=1, max_size=6)))
        picker = build(mode, name, all_given, seed=data.draw(st.integers(0, 9)))
        for _ in range(data.draw(st.integers(0, 8))):
            tried = data.draw(st.lists(st.sampled_from(all_given), unique=True))
            chosen = picker.pick(0, tried or None)
            assert chosen not in tried
            assert (chosen is None) == (len(tried) == len(all_given))
            assert chosen is None or chosen in all_given


@both
@every
def test_retries_end_when_all_were_tried(mode: Mode, name: str) -> None:
    all_given = endpoints(mode, 5, 1, 1, 3)
    picker = build(mode, name, all_given)
    tried: list[Candidate] = []
    while (chosen := picker.pick(0, tried)) is not None:
        tried.append(chosen)
    assert set(tried) == set(all_given)
    assert len(tried) == 4


@both
@every
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equal_endpoints_get_equal_parts(mode: Mode, name: str, seed: int) -> None:
    given = endpoints(mode, *[3] * 10)
    counts = Counter(picks(build(mode, name, given, seed=seed), 5000))
    assert chi_square(counts, given, by_weight=False) < 40  # 9 degrees of freedom: once in 130,000 by chance


@both
@every
def test_equal_endpoints_get_equal_parts_of_retries(mode: Mode, name: str) -> None:
    """The neighbour of a dead endpoint must not get all of its requests."""
    dead, *alive = endpoints(mode, *[1] * 6)
    picker = build(mode, name, [dead, *alive])
    counts: Counter[str] = Counter()
    for _ in range(3000):
        chosen = picker.pick(0, None)
        if chosen is dead:
            chosen = picker.pick(0, [dead])
        assert chosen is not None
        counts[chosen.address] += 1
    assert dead.address not in counts
    spread = max(counts.values()) / min(counts.values())
    assert spread < (1.3 if name in DRAWING else 2.1)  # those that take turns go on to the next


@both
@every
def test_a_change_before_every_pick_favours_nobody(mode: Mode, name: str) -> None:
    given = endpoints(mode, *[1] * 8)
    counts: Counter[str] = Counter()
    picker: Picker | None = None
    for seed in range(2000):
        picker = build(mode, name, given, picker, seed)
        counts.update(picks(picker, 1))
    assert chi_square(counts, given, by_weight=False) < 36  # 7 degrees of freedom: once in 140,000 by chance


@both
@every
def test_only_the_latest_endpoints_are_picked(mode: Mode, name: str) -> None:
    old = endpoints(mode, *[1] * 6)
    picker = build(mode, name, old)
    picks(picker, 4)
    new = [*old[2:4], *endpoints(mode, *[2] * 9)[4:]]  # two stay, two are new objects for the same address, three new
    picker = build(mode, name, new, picker)
    chosen = {picker.pick(0, None) for _ in range(300)}
    assert chosen == set(new)


@both
@every
def test_endpoints_may_vanish_and_come_back(mode: Mode, name: str) -> None:
    given = endpoints(mode, *[1] * 4)
    picker = build(mode, name, given)
    picks(picker, 3)
    picker = build(mode, name, [], picker)
    assert picker.pick(0, None) is None
    picker = build(mode, name, given, picker)
    assert set(picks(picker, 200)) == {"e0", "e1", "e2", "e3"}


@both
@every
def test_a_picker_of_another_policy_before_it_does_no_harm(mode: Mode, name: str) -> None:
    given = endpoints(mode, 1, 2)
    for other in NAMES:
        previous = build(mode, other, given) if other != name else None
        assert set(picks(build(mode, name, given, previous), 50)) == {"e0", "e1"}


# Those that take turns.


@both
@turns
@pytest.mark.parametrize("count", [2, 3, 7])
def test_nobody_is_picked_twice_while_equals_wait(mode: Mode, name: str, count: int) -> None:
    chosen = picks(build(mode, name, endpoints(mode, *[4] * count)), 5 * count)
    for i in range(0, len(chosen), count):
        assert len(set(chosen[i : i + count])) == count


@thorough
@given(st.integers(1, 12), st.integers(0, 99))
def test_round_robin_is_never_a_turn_from_the_share(count: int, seed: int) -> None:
    for mode in (COMPILED, INTERPRETED):
        given = endpoints(mode, *range(1, count + 1))
        chosen = picks(build(mode, "round-robin", given, seed=seed), 3 * count)
        assert furthest(chosen, given, by_weight=False) < 1


@thorough
@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.integers(0, 99))
def test_weighted_is_never_a_turn_from_the_share(weights: list[int], seed: int) -> None:
    for mode in (COMPILED, INTERPRETED):
        given = endpoints(mode, *weights)
        chosen = picks(build(mode, "weighted", given, seed=seed), 2 * sum(weights))
        assert furthest(chosen, given, by_weight=True) < 1
        assert Counter(chosen) == {endpoint.address: 2 * endpoint.weight for endpoint in given}


@both
def test_weighted_holds_the_largest_weights_exactly(mode: Mode) -> None:
    given = endpoints(mode, 65535, 65534, 1)
    counts = Counter(picks(build(mode, "weighted", given), 131_070))
    assert counts == {"e0": 65535, "e1": 65534, "e2": 1}


@both
def test_weighted_spreads_the_heavy_among_the_light(mode: Mode) -> None:
    chosen = picks(build(mode, "weighted", endpoints(mode, 10, *[1] * 10)), 200)
    assert not any(a == b for a, b in pairwise(chosen))


@both
@pytest.mark.parametrize("name", ["round-robin", "weighted"])
def test_turns_begin_anywhere(mode: Mode, name: str) -> None:
    given = endpoints(mode, *[1] * 8)
    first = {picks(build(mode, name, given, seed=seed), 1)[0] for seed in range(40)}
    assert len(first) > 4
    assert len({picks(build(mode, name, given, seed=None), 1)[0] for _ in range(40)}) > 2


@both
@pytest.mark.parametrize("name", ["round-robin", "weighted"])
def test_turns_go_on_when_endpoints_come_and_go(mode: Mode, name: str) -> None:
    """Nobody is served twice in a row while another waits, in whatever order the endpoints are given."""
    chance = random.Random(11)
    pool = endpoints(mode, *[2] * 6)
    present = pool[:3]
    picker = build(mode, name, present)
    last = None
    for _ in range(3000):
        change = chance.choice(pool)
        present = [e for e in present if e is not change] if change in present else [*present, change]
        present = present or [pool[0]]
        last = last if last in present else None  # who left is forgotten
        chance.shuffle(present)
        picker = build(mode, name, present, picker)
        for _ in range(chance.choice([0, 1, 1, 2])):
            chosen = picker.pick(0, None)
            assert chosen in present
            assert chosen is not last or len(present) == 1
            last = chosen


@both
@pytest.mark.parametrize("name", ["round-robin", "weighted"])
def test_newcomers_get_their_turn_and_no_burst(mode: Mode, name: str) -> None:
    given = endpoints(mode, *[1] * 10)
    picker = build(mode, name, given[:5])
    before = picks(picker, 12)
    chosen = picks(build(mode, name, given, picker), 20)
    assert Counter(chosen[:10]) == Counter(chosen[10:]) == {endpoint.address: 1 for endpoint in given}
    assert chosen[0] == before[-5]  # whose turn it would have been


@both
def test_weighted_keeps_the_share_over_changes(mode: Mode) -> None:
    """A picker that is built anew after every few picks still gives everybody the share."""
    given = endpoints(mode, 5, 3, 1, 1)
    picker: Picker | None = None
    chosen: list[str] = []
    for seed in range(300):
        picker = build(mode, "weighted", given, picker, seed)
        chosen += picks(picker, 1 + seed % 3)
    assert furthest(chosen, given, by_weight=True) < 2


@both
def test_weighted_follows_a_changed_weight_at_once(mode: Mode) -> None:
    first, second = endpoints(mode, 1, 1)
    picker = build(mode, "weighted", [first, second])
    picks(picker, 101)
    first.weight = 9
    counts = Counter(picks(build(mode, "weighted", [first, second], picker), 100))
    assert abs(counts["e0"] - 90) <= 1
    first.weight, second.weight = 1, 1
    counts = Counter(picks(build(mode, "weighted", [first, second], picker), 100))
    assert abs(counts["e0"] - 50) <= 1


@both
def test_retries_cost_the_others_no_turn(mode: Mode) -> None:
    """The weights still hold when every other pick is a retry."""
    given = endpoints(mode, 6, 3, 1)
    picker = build(mode, "weighted", given)
    counts: Counter[str] = Counter()
    for _ in range(500):
        first = picker.pick(0, None)
        assert first is not None
        again = picker.pick(0, [first])
        assert again is not None
        counts.update([first.address, again.address])
    assert counts["e0"] <= 510  # at most one of each pair
    assert counts["e1"] > counts["e2"] > 50


# Those that weigh.


@both
@weighing
@pytest.mark.parametrize("weights", [(1, 2, 3, 4, 5), (1, 1, 1, 50), (65535, 30000)])
def test_idle_endpoints_get_what_their_weights_say(mode: Mode, name: str, weights: tuple[int, ...]) -> None:
    given = endpoints(mode, *weights)
    counts = Counter(picks(build(mode, name, given, seed=5), 10_000))
    assert chi_square(counts, given, by_weight=True) < 28  # at most 4 degrees of freedom: once in 80,000 by chance


@both
@pytest.mark.parametrize("name", ["round-robin", "random"])
def test_the_others_do_not_look_at_weights(mode: Mode, name: str) -> None:
    given = endpoints(mode, 1, 1000)
    counts = Counter(picks(build(mode, name, given, seed=5), 4000))
    assert chi_square(counts, given, by_weight=False) < 20


# Those that compare.


@both
@comparing
def test_the_busier_of_two_gets_nothing(mode: Mode, name: str) -> None:
    idle, busy = endpoints(mode, 1, 1)
    busy.in_flight = 1
    assert set(picks(build(mode, name, [idle, busy]), 500)) == {"e0"}  # also: two draws are never the same endpoint
    idle.in_flight = 2
    assert set(picks(build(mode, name, [idle, busy]), 500)) == {"e1"}


@both
@comparing
def test_busy_is_what_is_in_flight_for_the_weight(mode: Mode, name: str) -> None:
    light, heavy = endpoints(mode, 1, 10)
    light.in_flight, heavy.in_flight = 1, 9
    assert set(picks(build(mode, name, [light, heavy]), 500)) == {"e1"}
    heavy.in_flight = 11
    assert set(picks(build(mode, name, [light, heavy]), 500)) == {"e0"}


@both
@pytest.mark.parametrize("name", ["least-request", "peak-ewma", "hash"])
def test_two_of_many_are_compared(mode: Mode, name: str) -> None:
    """The busiest of all gets nothing, the idlest twice its share and not everything."""
    given = endpoints(mode, *[1] * 10)
    for place, endpoint in enumerate(given):
        endpoint.in_flight = place
    counts = Counter(picks(build(mode, name, given, seed=3), 9000))
    pairs_won = {f"e{place}": 9 - place for place in range(10)}  # of 45 pairs
    assert counts["e9"] == 0
    for address, won in pairs_won.items():
        assert abs(counts[address] - won * 200) < 5 * (won * 200) ** 0.5 + 1


@both
@pytest.mark.parametrize("name", ["least-request", "peak-ewma", "hash"])
def test_the_untried_are_compared(mode: Mode, name: str) -> None:
    dead, idle, busy = endpoints(mode, 1, 1, 1)
    busy.in_flight = 3
    picker = build(mode, name, [dead, idle, busy])
    assert {picker.pick(0, [dead]) for _ in range(200)} == {idle}


@both
@pytest.mark.parametrize("levelling", ["least-request", "peak-ewma", "hash"])
def test_queues_are_levelled_that_random_does_not_level(mode: Mode, levelling: str) -> None:
    def longest(name: str) -> int:
        given = endpoints(mode, *[1] * 50)
        picker = build(mode, name, given, seed=9)
        for _ in range(500):
            chosen = picker.pick(0, None)
            assert chosen is not None
            chosen.in_flight += 1
        return max(endpoint.in_flight for endpoint in given)

    assert longest(levelling) <= 13 < longest("random")


# Cost.


class Watched(list[Any]):
    """What was tried, counting how often it is asked."""

    asked = 0

    def __contains__(self, endpoint: object) -> bool:
        self.asked += 1
        return super().__contains__(endpoint)


@both
@pytest.mark.parametrize("name", NAMES)
def test_a_retry_does_not_look_at_all_endpoints(mode: Mode, name: str) -> None:
    given = endpoints(mode, *[1 + i % 5 for i in range(10_000)])
    picker = build(mode, name, given)
    for _ in range(100):
        tried = Watched(given[:3])
        assert picker.pick(0, tried) is not None
        assert tried.asked <= 20


def operations(picker: Picker, keys: Sequence[int] = (0,) * 300) -> Iterator[int]:
    """The bytecode instructions of the picks for these keys, interpreted."""
    executed = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:  # noqa: ANN401  what a trace function returns
        nonlocal executed
        frame.f_trace_opcodes = True
        executed += event == "opcode"
        return trace

    for key in keys:
        executed = 0
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            picker.pick(key, None)
        finally:
            sys.settrace(before)
        yield executed


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spread", [1, 5, 10_000])
def test_the_cost_of_a_pick_does_not_grow_with_the_endpoints(name: str, spread: int) -> None:
    """Besides, `weighted` and `least-request` call heapq and bisect, whose cost is logarithmic."""
    given = endpoints(INTERPRETED, *[1 + i % spread for i in range(10_000)])
    few = sum(operations(build(INTERPRETED, name, given[:10])))
    many = list(operations(build(INTERPRETED, name, given)))
    assert sum(many) <= 3 * few
    assert max(many) <= 2000


def test_nor_does_that_of_a_pick_by_key() -> None:
    keys = [INTERPRETED["balance.bounded_hash"].key_of(b"client %d" % number) for number in range(100)]
    given = endpoints(INTERPRETED, *[1] * 10_000)
    few = sum(operations(build(INTERPRETED, "hash", given[:10]), keys))
    many = list(operations(build(INTERPRETED, "hash", given), keys))
    assert sum(many) <= 1.5 * few
    assert max(many) <= 2500
