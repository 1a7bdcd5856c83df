"""All checks of all services, against real endpoints: verdicts, what is told, what is kept and what is forgotten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Literal

import pytest
from control.helpers import descriptors, until
from fairlead.health.checks import run as module
from fairlead.health.checks.results import Result
from fairlead.health.checks.run import Checks
from fairlead.health.checks.settings import CheckSettings
from fairlead.health.checks.standing import Standing
from fairlead.health.checks.watched import Turn
from fairlead.health.verdicts import Judge, Verdict, Verdicts
from fairlead.model import Endpoint, State

from health.checks.asking import Serve, closed_port, hang, serving

QUICK = CheckSettings(interval_s=0.1, fast_interval_s=0.1, down_interval_s=0.1, timeout_s=5, fall=2, rise=2)
TCP = replace(QUICK, kind="tcp")
READY, UNREADY, DRAINING = State.READY, State.UNREADY, State.DRAINING


class Health:
    """An endpoint that answers as it is told, and counts how often it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.asked = 0
        self.at_once = 0
        self.most_at_once = 0
        self.address = ""
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.may_answer.wait()
        self.at_once -= 1
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % self.status)

    async def until_asked(self, times: int) -> None:
        """So often from now on."""
        whole = self.asked + times
        await until(lambda: self.asked >= whole, f"{times} checks")


class Checked:
    """Checks that run, the verdicts that they gave, and what they told."""

    def __init__(self) -> None:
        self.changes: list[str] = []
        self.turns: list[Turn] = []
        self.totals: list[tuple[str, bool, bool]] = []
        self.faults: list[BaseException] = []
        self.verdicts = Verdicts(self.changes.append)
        self.checks = Checks(self.verdicts, self)

    def turned(self, turn: Turn) -> None:
        self.turns.append(turn)

    def all_failed(self, service: str, have_all: bool, is_ignored: bool) -> None:
        self.totals.append((service, have_all, is_ignored))

    def fault(self, what: str, error: BaseException) -> None:
        self.faults.append(error)

    def follow(self, *addresses: str, state: State = READY, service: str = "shop") -> None:
        self.checks.follow(service, tuple(Endpoint(address, 1, state) for address in addresses))

    def verdict(self, address: str, service: str = "shop") -> Verdict | None:
        return next(iter(self.verdicts.of(service).get(address, ())), None)

    def state(self, address: str) -> State | None:
        verdict = self.verdict(address)
        return verdict and verdict.state

    def standing(self, address: str, service: str = "shop") -> Standing | None:
        last = self.checks.figures()[service].last.get(address)
        return last and last.standing

    async def until_standing(self, standing: Standing, *addresses: str) -> None:
        await until(lambda: all(self.standing(each) is standing for each in addresses), f"{addresses} are {standing}")

    async def until_state(self, state: State | None, *addresses: str) -> None:
        await until(lambda: all(self.state(each) is state for each in addresses), f"{addresses} are {state}")


def sockets() -> set[int]:
    """The sockets and epoll sets that are open; libuv keeps a descriptor of /dev/null once it has listened."""
    return {fd for fd, link in descriptors().items() if link.startswith(("socket:", "anon_inode:"))}


@asynccontextmanager
async def checking(settings: CheckSettings | None = QUICK, **more: CheckSettings) -> AsyncIterator[Checked]:
    """Checks of a service shop that run; afterwards nothing is left of them."""
    open_before, tasks_before = sockets(), asyncio.all_tasks()
    checked = Checked()
    checked.checks.configure({"shop": settings, **more})
    async with asyncio.TaskGroup() as group:
        task = group.create_task(checked.checks.run())
        await asyncio.sleep(0)
        try:
            yield checked
        finally:
            task.cancel()
    # The endpoints are in this process, and see the ends of their connections only now.
    await until(lambda: asyncio.all_tasks() <= tasks_before, "no task is left")
    await until(lambda: sockets() <= open_before, "no descriptor is left")
    assert checked.faults == []


@asynccontextmanager
async def endpoints(count: int = 1) -> AsyncIterator[list[Health]]:
    """Real endpoints, the descriptors of which are not those of the checks."""
    healths = [Health() for _ in range(count)]
    servers = [await asyncio.start_server(_closing(each), "127.0.0.1", 0) for each in healths]
    for health, server in zip(healths, servers, strict=True):
        health.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield healths
    finally:
        for health, server in zip(healths, servers, strict=True):
            health.may_answer.set()
            server.close()
        await until(lambda: not any(health.at_once for health in healths), "nobody is being answered")


def _closing(health: Health) -> Serve:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await health.serve(reader, writer)
            await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return accept


async def test_an_endpoint_that_fails_is_out_until_it_passes_again() -> None:
    async with checking() as checked, endpoints(2) as (a, b):
        checked.follow(a.address, b.address)
        await checked.until_standing(Standing.UP, a.address, b.address)
        assert (checked.turns, checked.changes) == ([], [])  # that all is well is no news
        a.status = 503
        before = time.time()
        await checked.until_state(UNREADY, a.address)
        verdict = checked.verdict(a.address)
        assert verdict is not None
        assert (verdict.judge, verdict.reason) == (Judge.CHECK, "2 of 2 checks failed: status 503")
        assert verdict.until == "2 checks in a row pass"
        assert before - 1 < verdict.since < time.time() + 1
        assert verdict.details["result"] == "wrong-reply"
        await a.until_asked(3)
        assert checked.verdict(a.address) == verdict  # that it still fails is no news
        assert checked.verdict(b.address) is None
        a.status = 200
        await checked.until_state(None, a.address)
        assert [(turn.address, turn.is_up, turn.reason) for turn in checked.turns] == [
            (a.address, False, "2 of 2 checks failed: status 503"),
            (a.address, True, "2 of 2 checks passed"),
        ]
        assert checked.changes == ["shop", "shop"]


async def test_a_single_failure_changes_nothing() -> None:
    async with checking(replace(QUICK, fall=3)) as checked, endpoints() as (a,):
        checked.follow(a.address)
        await checked.until_standing(Standing.UP, a.address)
        a.status = 500
        await until(lambda: checked.checks.figures()["shop"].counts[Result.WRONG_REPLY] > 0, "a failure")
        a.status = 200
        await a.until_asked(3)
        assert (checked.turns, checked.changes) == ([], [])


async def test_results_and_durations_are_counted_from_the_first_on() -> None:
    async with checking() as checked, endpoints() as (a,):
        assert checked.checks.figures()["shop"].counts == dict.fromkeys(Result, 0)
        refused = closed_port()
        checked.follow(a.address, refused)
        await checked.until_standing(Standing.DOWN, refused)
        await checked.until_standing(Standing.UP, a.address)
        figures = checked.checks.figures()["shop"]
        assert figures.counts[Result.PASSED] >= 2
        assert figures.counts[Result.CONNECT_FAILED] >= 2
        assert sum(figures.duration.counts.values()) == sum(figures.counts.values())
        last = figures.last[refused]
        assert (last.outcome.detail, last.in_a_row >= 2) == ("connection refused", True)


async def test_an_endpoint_that_is_to_begin_down_is_not_used_before_it_has_passed() -> None:
    async with checking(replace(QUICK, initial="down")) as checked, endpoints() as (a,):
        a.may_answer.clear()
        checked.follow(a.address)
        assert checked.state(a.address) is UNREADY  # already when `follow` returns, and without a call of on_change
        assert checked.changes == []
        verdict = checked.verdict(a.address)
        assert verdict is not None
        assert (verdict.reason, verdict.until) == ("waiting for its first checks", "2 checks in a row pass")
        await a.until_asked(1)
        a.may_answer.set()
        await checked.until_state(None, a.address)
        assert checked.turns == []  # that a new endpoint comes up is what everybody expects


async def test_checks_can_take_the_place_of_readiness() -> None:
    async with checking(replace(QUICK, readiness="replace")) as checked, endpoints(3) as (a, b, c):
        all_of_them = [
            Endpoint(a.address, 1, UNREADY),
            Endpoint(b.address, 1, DRAINING),
            Endpoint(c.address, 1, READY),
        ]
        c.status = 503
        checked.checks.follow("shop", tuple(all_of_them))
        assert checked.verdicts.of("shop") == {}  # before it has passed, what the source says stands
        await checked.until_state(READY, a.address, b.address)
        await checked.until_state(UNREADY, c.address)
        applied = checked.verdicts.applied("shop", tuple(all_of_them))
        assert [endpoint.state for endpoint in applied] == [READY, DRAINING, UNREADY]
        a.status = 503
        await checked.until_state(UNREADY, a.address)
        checked.checks.configure({"shop": QUICK})
        a.status = 200
        await checked.until_state(None, a.address, b.address)


async def test_an_endpoint_that_stays_keeps_its_state() -> None:
    async with checking() as checked, endpoints(2) as (a, b):
        a.status = 503
        checked.follow(a.address)
        await checked.until_state(UNREADY, a.address)
        verdict = checked.verdict(a.address)
        checked.follow(a.address)
        checked.follow(a.address, b.address)
        checked.follow(b.address, a.address, state=UNREADY)
        checked.checks.configure({"shop": replace(QUICK, timeout_s=4, path="/other")})
        assert checked.verdict(a.address) == verdict
        assert checked.standing(a.address) is Standing.DOWN
        await checked.until_standing(Standing.UP, b.address)
        assert checked.verdict(a.address) == verdict


async def test_an_endpoint_that_leaves_is_forgotten() -> None:
    async with checking(replace(QUICK, initial="down")) as checked, endpoints(2) as (a, b):
        a.status = 503
        checked.follow(a.address, b.address)
        await checked.until_standing(Standing.DOWN, a.address)
        await checked.until_state(None, b.address)
        checked.follow(b.address)
        assert checked.verdict(a.address) is None
        assert checked.standing(a.address) is None
        asked = a.asked
        await b.until_asked(3)
        assert a.asked <= asked + 1  # one may have been on its way
        a.status = 200
        checked.follow(a.address, b.address)
        verdict = checked.verdict(a.address)
        assert verdict is not None
        assert verdict.reason == "waiting for its first checks"


async def test_one_that_leaves_while_it_is_asked_is_not_waited_for() -> None:
    async with checking() as checked, endpoints() as (a,):
        a.may_answer.clear()
        checked.follow(a.address)
        await a.until_asked(1)
        checked.follow()
        a.may_answer.set()
        await until(lambda: a.at_once == 0, "it is done with it")
        assert checked.checks.figures()["shop"].counts[Result.PASSED] == 0


async def test_a_service_that_is_gone_or_has_checks_no_more_is_forgotten() -> None:
    async with checking(TCP, other=TCP) as checked:
        refused = closed_port()
        checked.follow(refused)
        checked.follow(refused, service="other")
        await checked.until_state(UNREADY, refused)
        await until(lambda: checked.verdict(refused, "other"), "the other")
        checked.checks.configure({"shop": None})
        assert checked.verdict(refused) is None
        assert checked.checks.figures() == {}
        checked.follow(refused)  # what has no checks is not followed
        checked.verdicts.keep({"shop"})
        assert checked.verdicts.of("shop") == {}


async def test_an_endpoint_is_never_asked_twice_at_the_same_time() -> None:
    settings = replace(QUICK, timeout_s=0.3)
    async with checking(settings) as checked, endpoints() as (a,):
        a.may_answer.clear()
        checked.follow(a.address)
        await until(lambda: checked.checks.figures()["shop"].counts[Result.TIMEOUT] >= 1, "a timeout")
        assert a.most_at_once <= 2  # the server may not have seen the end of the first one
        a.may_answer.set()
        await checked.until_standing(Standing.UP, a.address)


async def test_not_more_than_so_many_are_under_way_and_all_have_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    async with checking() as checked, endpoints(6) as healths:
        for health in healths:
            health.may_answer.clear()
        checked.follow(*[health.address for health in healths])
        await until(lambda: sum(health.at_once for health in healths) == 2, "two are asked")
        await asyncio.sleep(0.3)  # the others are due as well
        assert sum(health.at_once for health in healths) == 2
        for health in healths:
            health.may_answer.set()
        await checked.until_standing(Standing.UP, *[health.address for health in healths])
        assert sum(health.most_at_once for health in healths) <= 6


async def test_the_port_may_be_another() -> None:
    async with endpoints() as (a,):
        settings = replace(QUICK, port=int(a.address.rpartition(":")[2]))
        async with checking(settings) as checked:
            checked.follow("127.0.0.1:1", f"unix:{closed_port()}")
            await checked.until_standing(Standing.UP, "127.0.0.1:1")
            await until(lambda: checked.turns, "the socket that is not there fails")
            assert checked.turns[0].details["asked"] == checked.turns[0].address


@pytest.mark.parametrize(("all_failed", "state"), [("refuse", UNREADY), ("use-all", None)])
async def test_when_all_fail(all_failed: Literal["refuse", "use-all"], state: State | None) -> None:
    settings = replace(QUICK, all_failed=all_failed)
    async with checking(settings) as checked, endpoints(2) as (a, b):
        a.status = b.status = 503
        checked.follow(a.address, b.address)
        await until(lambda: checked.totals, "it is told")
        assert checked.totals == [("shop", True, all_failed == "use-all")]
        assert [checked.state(each.address) for each in (a, b)] == [state, state]
        assert checked.checks.figures()["shop"].is_ignored is (all_failed == "use-all")
        b.status = 200
        await checked.until_state(UNREADY, a.address)
        await checked.until_state(None, b.address)
        await until(lambda: len(checked.totals) == 2, "that is over")
        assert checked.totals[1] == ("shop", False, False)


async def test_what_the_source_does_not_call_ready_does_not_count_among_all() -> None:
    async with checking(replace(QUICK, all_failed="use-all")) as checked, endpoints(2) as (a, b):
        a.status = 503
        checked.checks.follow("shop", (Endpoint(a.address), Endpoint(b.address, 1, UNREADY)))
        await until(lambda: checked.totals == [("shop", True, True)], "all that would be used have failed")


async def test_what_drains_does_not_count_among_all_even_if_readiness_does_not_count() -> None:
    async with checking(replace(QUICK, readiness="replace")) as checked, endpoints(2) as (a, b):
        a.status = 503
        checked.checks.follow("shop", (Endpoint(a.address, 1, UNREADY), Endpoint(b.address, 1, DRAINING)))
        await until(lambda: checked.totals == [("shop", True, False)], "all that would be used have failed")


async def test_a_shorter_interval_is_taken_on_at_once() -> None:
    slow = replace(QUICK, interval_s=3600, fast_interval_s=3600, down_interval_s=3600)
    async with checking(slow) as checked, endpoints() as (a,):
        checked.follow(a.address)
        checked.checks.configure({"shop": QUICK})
        await checked.until_standing(Standing.UP, a.address)


async def test_many_that_fail_together_are_one_change() -> None:
    async with checking(replace(TCP, interval_s=0.1, jitter=0.0, fall=1)) as checked:
        refused = [f"127.0.0.{last}:1" for last in range(2, 102)]
        checked.follow(*refused)
        await checked.until_state(UNREADY, *refused)
        assert len(checked.changes) <= 10


async def test_what_was_found_before_the_run_is_checked_with_it() -> None:
    checked = Checked()
    checked.checks.configure({"shop": QUICK})
    async with endpoints() as (a,):
        checked.follow(a.address)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(checked.checks.run())
            await checked.until_standing(Standing.UP, a.address)
            task.cancel()
        checked.follow()  # nothing runs any more, and nothing is started
        checked.follow(a.address)


async def test_checks_that_are_under_way_end_with_the_run() -> None:
    async with serving(hang) as address:
        async with checking(replace(TCP, send="x", expect="y")) as checked:
            checked.follow(address)
            await until(lambda: checked.checks._under_way == 1, "a check is under way")
        assert checked.checks._under_way == 0
