"""Names as endpoints, in a world without time: each pause is a step of the test."""

import asyncio
import itertools
from collections.abc import Iterable

from fairlead.discovery.dns import MAX_TTL_S, MIN_TTL_S, DnsSource, retry_pauses
from fairlead.discovery.resolver import Answer, Unresolved
from fairlead.model import Endpoint

from discovery.watching import addresses, step

Outcome = Answer | Unresolved


class World:
    """A resolver that answers from a script, and a clock that only counts. At the script's end it stands still."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self._outcomes = iter(outcomes)
        self.asked: list[str] = []
        self.pauses: list[float] = []

    async def resolve(self, name: str) -> Answer:
        self.asked.append(name)
        outcome = next(self._outcomes, None)
        if outcome is None:
            await asyncio.Event().wait()
        if isinstance(outcome, Answer):
            return outcome
        assert outcome is not None
        raise outcome

    async def sleep(self, pause: float) -> None:
        self.pauses.append(pause)

    def source(self, weight: int = 1) -> DnsSource:
        return DnsSource("shop", 80, weight, self.resolve, self.sleep)


def answer(*found: str, ttl_s: float = 30, problem: str = "") -> Answer:
    return Answer(found, ttl_s, problem)


async def test_each_address_becomes_an_endpoint_with_the_port_and_the_weight() -> None:
    watch = World([answer("10.0.0.1", "2001:db8::1")]).source(weight=3).watch()
    assert (await step(watch)).endpoints == (Endpoint("10.0.0.1:80", 3), Endpoint("[2001:db8::1]:80", 3))
    await watch.aclose()


async def test_the_time_to_live_says_when_to_ask_again_within_bounds() -> None:
    times = [0, 0.5, 1, 30, 300, 86400]
    world = World([*(answer(f"10.0.0.{i}", ttl_s=ttl_s) for i, ttl_s in enumerate(times)), answer("10.0.1.1")])
    watch = world.source().watch()
    for _ in range(len(times) + 1):
        await step(watch)
    assert world.pauses == [MIN_TTL_S, MIN_TTL_S, 1, 30, MAX_TTL_S, MAX_TTL_S]
    assert set(world.asked) == {"shop"}
    await watch.aclose()


async def test_an_unchanged_answer_is_not_found_again() -> None:
    watch = World([answer("10.0.0.1"), answer("10.0.0.1"), answer("10.0.0.2")]).source().watch()
    assert addresses(await step(watch)) == ["10.0.0.1:80"]
    assert addresses(await step(watch)) == ["10.0.0.2:80"]
    await watch.aclose()


async def test_failures_keep_the_last_good_endpoints_and_are_told_once() -> None:
    down = Unresolved("SERVFAIL")
    watch = World([answer("10.0.0.1"), down, down, answer("10.0.0.1")]).source().watch()
    assert addresses(await step(watch)) == ["10.0.0.1:80"]
    failed = await step(watch)
    assert (addresses(failed), failed.problem) == (["10.0.0.1:80"], "shop: SERVFAIL")
    recovered = await step(watch)
    assert (addresses(recovered), recovered.problem) == (["10.0.0.1:80"], "")
    await watch.aclose()


async def test_a_family_that_failed_is_a_problem_but_the_other_is_used() -> None:
    watch = World([answer("10.0.0.1"), answer("10.0.0.2", problem="AAAA: SERVFAIL")]).source().watch()
    await step(watch)
    found = await step(watch)
    assert (addresses(found), found.problem) == (["10.0.0.2:80"], "shop: AAAA: SERVFAIL")
    await watch.aclose()


async def test_after_failures_it_asks_ever_less_often_and_after_a_success_at_once_again() -> None:
    failures = [Unresolved(str(n)) for n in range(8)]
    world = World([*failures, answer("10.0.0.1"), Unresolved("again"), answer("10.0.0.2")])
    watch = world.source().watch()
    for _ in range(11):
        await step(watch)
    for pause, longest in zip(world.pauses, [1, 2, 4, 8, 16, 30, 30, 30], strict=False):
        assert longest / 2 <= pause <= longest
    assert world.pauses[8] == 30  # the time to live
    assert world.pauses[9] <= 1
    await watch.aclose()


def test_pauses_differ_from_proxy_to_proxy() -> None:
    assert len({tuple(itertools.islice(retry_pauses(), 5)) for _ in range(20)}) == 20


def test_how_it_meets_the_world_is_no_part_of_what_it_is() -> None:
    assert World([]).source() == DnsSource("shop", 80)
    assert hash(World([]).source()) == hash(DnsSource("shop", 80))
