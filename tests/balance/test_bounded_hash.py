"""Which endpoint a key belongs to, what moves when endpoints change, and what happens when one is full."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modes import BOTH, COMPILED, INTERPRETED, Mode

from balance.picking import build, endpoints

if TYPE_CHECKING:
    from fairlead.balance import Candidate, Picker

both = pytest.mark.parametrize("mode", BOTH)
thorough = settings(derandomize=True, deadline=None, max_examples=60)


def keys(mode: Mode, count: int) -> list[int]:
    return [mode["balance.bounded_hash"].key_of(b"client %d" % number) for number in range(count)]


def owners(mode: Mode, given: Sequence[Candidate], count: int, tried: Any = None) -> list[str]:  # noqa: ANN401
    picker = build(mode, "hash", given)
    chosen = [picker.pick(key, tried) for key in keys(mode, count)]
    return [endpoint.address for endpoint in chosen if endpoint is not None]


def test_the_mapping_is_the_same_in_every_process_and_version() -> None:
    """Written down, because proxies of two versions stand side by side during an update."""
    for mode in (COMPILED, INTERPRETED):
        assert mode["balance.bounded_hash"].key_of(b"") == 0xEFD01F60BA992926
        assert mode["balance.bounded_hash"].key_of(b"10.0.0.1") == 0xC879E56DDC6C5C88
        assert "".join(owners(mode, endpoints(mode, 1, 1, 2, 1), 24)).replace("e", "") == "222131210330112302122222"


@thorough
@given(st.lists(st.sampled_from([1, 1, 2, 100, 65535]), min_size=1, max_size=30))
def test_both_forms_agree_and_the_order_of_endpoints_does_not_matter(weights: list[int]) -> None:
    compiled = owners(COMPILED, endpoints(COMPILED, *weights), 60)
    assert compiled == owners(INTERPRETED, endpoints(INTERPRETED, *weights), 60)
    assert compiled == owners(COMPILED, endpoints(COMPILED, *weights)[::-1], 60)


@both
def test_a_key_stays_with_its_endpoint(mode: Mode) -> None:
    given = endpoints(mode, *[1] * 7)
    assert len({tuple(owners(mode, given, 50)) for _ in range(3)}) == 1


@both
@pytest.mark.parametrize("weights", [(1,) * 3, (1,) * 40, (1, 2, 3, 4, 5), (100, 100, 50)])
def test_each_gets_its_part_of_the_keys(mode: Mode, weights: tuple[int, ...]) -> None:
    given = endpoints(mode, *weights)
    total = 300 * len(weights)
    counts = Counter(owners(mode, given, total))
    for endpoint in given:
        share = total * endpoint.weight / sum(weights)
        assert abs(counts[endpoint.address] - share) < 0.25 * share + 4 * share**0.5


@both
@pytest.mark.parametrize("count", [2, 10, 100])
def test_only_the_keys_of_who_has_gone_or_come_move(mode: Mode, count: int) -> None:
    given = endpoints(mode, *[1] * count)
    gone = given[count // 2]
    whole = owners(mode, given, 1000)
    without = owners(mode, [endpoint for endpoint in given if endpoint is not gone], 1000)
    moved = [before for before, after in zip(whole, without, strict=True) if before != after]
    assert set(moved) == {gone.address}
    assert len(moved) == whole.count(gone.address)
    heirs = Counter(after for before, after in zip(whole, without, strict=True) if before != after)
    assert max(heirs.values()) <= 1 if count == 100 else len(heirs) == count - 1 or len(moved) < 3 * count


@both
def test_a_changed_weight_moves_about_what_it_must(mode: Mode) -> None:
    given = endpoints(mode, *[10] * 10)
    before = owners(mode, given, 2000)
    given[3].weight = 20
    after = owners(mode, given, 2000)
    moved = sum(one != other for one, other in zip(before, after, strict=True))
    assert after.count("e3") > 1.5 * before.count("e3")
    assert moved < 2 * (after.count("e3") - before.count("e3"))


@both
def test_a_retry_goes_where_the_key_would_be_without_the_endpoint(mode: Mode) -> None:
    given = endpoints(mode, *[1] * 5)
    assert owners(mode, given, 400, tried=[given[0]]) == owners(mode, given[1:], 400)
    assert owners(mode, given, 400, tried=given[1:4]) == owners(mode, [given[0], given[4]], 400)
    assert owners(mode, given, 50, tried=given) == []


def taken(picker: Picker, given: Sequence[Candidate], all_keys: Sequence[int], max_load: float) -> None:
    """Requests with these keys, none of which ends."""
    for place, key in enumerate(all_keys):
        picker.allowed = (place + 1) * max_load
        chosen = picker.pick(key, None)
        assert chosen is not None
        chosen.in_flight += 1


@both
@pytest.mark.parametrize("max_load", [1.1, 1.25, 2.0])
def test_no_endpoint_has_more_than_its_part_of_what_is_allowed(mode: Mode, max_load: float) -> None:
    given = endpoints(mode, *[1] * 6, 2, 2)
    taken(build(mode, "hash", given), given, keys(mode, 3) * 300, max_load)  # three clients, 900 requests
    for endpoint in given:
        assert endpoint.in_flight <= -(-900 * max_load * endpoint.weight // 10) + 1
    assert sum(endpoint.in_flight for endpoint in given) == 900


@both
def test_what_one_cannot_take_does_not_fall_on_its_neighbour(mode: Mode) -> None:
    given = endpoints(mode, *[1] * 20)
    picker = build(mode, "hash", given)
    hot = [key for key in keys(mode, 4000) if picker.pick(key, None) is given[0]]
    given[0].in_flight = 1000
    picker.allowed = 1001 * 1.25
    heirs = Counter(str(picker.pick(key, None)) for key in hot)
    assert len(hot) > 120
    assert len(heirs) == 19
    assert max(heirs.values()) < len(hot) / 4


@both
def test_a_few_requests_in_flight_are_no_load(mode: Mode) -> None:
    given = endpoints(mode, *[1] * 3)
    picker = build(mode, "hash", given)
    (key,) = keys(mode, 1)
    taken(picker, given, [key] * 4, 1.25)
    assert sorted(endpoint.in_flight for endpoint in given) == [0, 0, 4]
    taken(picker, given, [key], 1.25)
    assert sorted(endpoint.in_flight for endpoint in given) == [0, 1, 4]


@both
def test_where_all_are_full_the_least_busy_of_some_is_taken(mode: Mode) -> None:
    given = endpoints(mode, *[1] * 4)
    for place, endpoint in enumerate(given):
        endpoint.in_flight = 50 - place
    picker = build(mode, "hash", given)
    picker.allowed = 4.0
    assert {picker.pick(key, None) for key in keys(mode, 50)} == {given[3]}
