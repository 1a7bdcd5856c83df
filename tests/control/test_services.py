"""Services as their sources describe them: kept while they fail, not disturbed by what does not concern them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from control.helpers import LIMIT_S, Control, Fake, until
from fairlead.config import ServiceSettings
from fairlead.control import chorus
from fairlead.control import services as module
from fairlead.control.services import Services
from fairlead.discovery import Found
from fairlead.model import Endpoint, Hash, ServiceLimits, ServiceTimeouts


class Followed:
    """Services that run, what they told, and how often they changed."""

    def __init__(self) -> None:
        self.changes = 0
        self.told: list[tuple[str, str, str]] = []
        self.services = Services(self._changed, lambda *event: self.told.append(event))

    def _changed(self) -> None:
        self.changes += 1

    async def load(self, limit_s: float = LIMIT_S, **sources: tuple[Fake, ...] | ServiceSettings) -> None:
        """As the supervisor does at the start and at each reload."""
        settings = {
            name: given if isinstance(given, ServiceSettings) else ServiceSettings(name=name, sources=given)
            for name, given in sources.items()
        }
        self.services.prepare(settings)
        await self.services.first_found(limit_s)
        self.services.configure(settings)

    def addresses(self, name: str) -> list[str]:
        return [endpoint.address for endpoint in self.services.current[name].endpoints]

    async def until_changed(self, times: int) -> None:
        await until(lambda: self.changes >= times, f"{times} changes")
        assert self.changes == times


@asynccontextmanager
async def running() -> AsyncIterator[Followed]:
    """Services in their loop; afterwards nothing is left of them."""
    before = asyncio.all_tasks()
    followed = Followed()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(followed.services.run())
        try:
            yield followed
        finally:
            task.cancel()
    assert asyncio.all_tasks() == before


@pytest.fixture(autouse=True)
def restart_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RESTART_S", 0.0)


async def test_the_first_load_waits_for_every_source() -> None:
    async with running() as followed:
        a, b = Fake("a"), Fake("b")
        loading = asyncio.ensure_future(followed.load(shop=(a, b)))
        a.control.find("10.0.0.1:80")
        await until(lambda: a.control.found.empty(), "one is heard")
        assert not loading.done()
        b.control.find()
        await loading
        assert followed.addresses("shop") == ["10.0.0.1:80"]


async def test_the_first_load_waits_no_longer_than_it_may(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as followed:
        a, b = Fake("a"), Fake("b")
        a.control.find("10.0.0.1:80")
        await followed.load(limit_s=0.05, shop=(a, b))
        assert followed.addresses("shop") == ["10.0.0.1:80"]
        assert "service shop: b: nothing was heard of it within 0.05 s" in caplog.text
        b.control.find("10.0.0.2:80")
        await followed.until_changed(1)
        assert followed.addresses("shop") == ["10.0.0.1:80", "10.0.0.2:80"]


async def test_a_source_that_fails_at_first_has_said_something() -> None:
    async with running() as followed:
        a = Fake("a")
        a.control.find(problem="no such name")
        await followed.load(shop=(a,))
        assert followed.addresses("shop") == []
        (status,) = followed.services.status()["shop"]
        assert (status.text, status.endpoints, status.problem) == ("a", 0, "no such name")
        assert status.since > 0


async def test_a_source_that_was_not_heard_yet_says_so() -> None:
    async with running() as followed:
        await followed.load(limit_s=0.01, shop=(Fake("a"),))
        (status,) = followed.services.status()["shop"]
        assert status.problem
        assert status.since == 0


async def test_endpoints_are_in_the_order_of_the_sources_and_each_is_taken_once() -> None:
    async with running() as followed:
        a, b = Fake("a"), Fake("b")
        b.control.find("10.0.0.3:80", "10.0.0.2:80", weight=5)
        a.control.find("10.0.0.1:80", "10.0.0.2:80", weight=2)
        await followed.load(shop=(a, b))
        found = followed.services.current["shop"].endpoints
        assert found == (Endpoint("10.0.0.1:80", 2), Endpoint("10.0.0.2:80", 2), Endpoint("10.0.0.3:80", 5))


async def test_settings_are_taken_on() -> None:
    async with running() as followed:
        a = Fake("a")
        a.control.find("10.0.0.1:80")
        timeouts, limits = ServiceTimeouts(connect_s=1), ServiceLimits(max_idle=2)
        settings = ServiceSettings(name="shop", sources=(a,), balance="hash", timeouts=timeouts, limits=limits)
        settings = replace(settings, hash=Hash(by="", cookie="sid"), slow_start_s=9.0)
        await followed.load(shop=settings)
        service = followed.services.current["shop"]
        assert (service.name, service.balance, service.timeouts, service.limits) == ("shop", "hash", timeouts, limits)
        assert (service.hash, service.slow_start_s) == (settings.hash, 9.0)


async def test_a_version_grows_with_every_change_and_only_then() -> None:
    async with running() as followed:
        a, b = Fake("a"), Fake("b")
        a.control.find("10.0.0.1:80")
        b.control.find("10.0.0.2:80")
        await followed.load(shop=(a,), other=(b,))
        first, other = followed.services.current["shop"], followed.services.current["other"]
        a.control.find("10.0.0.1:80")  # again the same
        a.control.find("10.0.0.1:80", problem="it fails")  # no change of the service
        a.control.find("10.0.0.1:80", "10.0.0.9:80")
        await followed.until_changed(1)
        second = followed.services.current["shop"]
        assert second.version > first.version
        assert followed.services.current["other"] is other
        await followed.load(shop=(a,), other=(b,))
        assert followed.services.current["shop"] is second


async def test_a_source_that_raises_is_started_again_and_its_endpoints_stand() -> None:
    async with running() as followed:
        a, b = Fake("a"), Fake("b")
        a.control.find("10.0.0.1:80")
        b.control.find("10.0.0.2:80")
        await followed.load(shop=(a, b))
        a.control.found.put_nowait(ZeroDivisionError("a bug"))
        await until(lambda: a.control.begun == 2, "it is watched again")
        assert followed.addresses("shop") == ["10.0.0.1:80", "10.0.0.2:80"]
        (status, _) = followed.services.status()["shop"]
        assert status.problem == "ZeroDivisionError: a bug"
        b.control.find("10.0.0.3:80")  # the others are not taken along
        await followed.until_changed(1)
        a.control.find("10.0.0.1:80")
        await until(lambda: len(followed.told) == 2, "its recovery is told")
        assert [kind for kind, _, _ in followed.told] == ["source-failed", "source-recovered"]


async def test_a_source_whose_watch_cannot_even_begin_is_tried_again() -> None:
    class Broken(Fake):
        def watch(self) -> AsyncGenerator[Found, None]:
            self.control.begun += 1
            if self.control.begun < 3:
                raise RuntimeError("not yet")
            return super().watch()

    async with running() as followed:
        broken = Broken("broken")
        broken.control.find("10.0.0.1:80")
        await followed.load(shop=(broken,))
        await until(lambda: followed.services.current["shop"].endpoints, "it comes up")
        assert followed.addresses("shop") == ["10.0.0.1:80"]


async def test_a_problem_is_told_once() -> None:
    async with running() as followed:
        a = Fake("dns://a")
        a.control.find("10.0.0.1:80")
        await followed.load(shop=(a,))
        for problem in ("no answer", "no answer", "refused", ""):
            a.control.find("10.0.0.1:80", problem=problem)
        await until(lambda: len(followed.told) == 3, "three events")
        assert followed.told == [
            ("source-failed", "shop", "dns://a: no answer"),
            ("source-failed", "shop", "dns://a: refused"),
            ("source-recovered", "shop", "dns://a"),
        ]


async def test_a_new_configuration_does_not_disturb_what_it_keeps() -> None:
    async with running() as followed:
        kept, gone, fresh = Fake("kept"), Fake("gone"), Fake("fresh")
        kept.control.find("10.0.0.1:80")
        gone.control.find("10.0.0.2:80")
        fresh.control.find("10.0.0.3:80")
        await followed.load(shop=(kept, gone))
        await followed.load(shop=(Fake("kept"), fresh))  # an equal source, read anew
        assert followed.addresses("shop") == ["10.0.0.1:80", "10.0.0.3:80"]
        await until(lambda: gone.control.watching == 0, "it is not watched any more")
        assert (kept.control.begun, fresh.control.begun) == (1, 1)


async def test_the_old_stands_while_a_new_configuration_waits_for_its_sources() -> None:
    async with running() as followed:
        old, new = Fake("old"), Fake("new")
        old.control.find("10.0.0.1:80")
        await followed.load(shop=(old,))
        loading = asyncio.ensure_future(followed.load(shop=(new,), more=(Fake("more"),), limit_s=LIMIT_S))
        await until(lambda: new.control.begun, "the new source is asked")
        old.control.find("10.0.0.9:80")
        await followed.until_changed(1)
        assert followed.addresses("shop") == ["10.0.0.9:80"]
        assert followed.services.current.keys() == {"shop"}
        assert followed.services.status().keys() == {"shop"}
        loading.cancel()
        await asyncio.wait([loading])


async def test_a_service_that_is_gone_is_watched_no_more() -> None:
    async with running() as followed:
        a, b = Fake("a"), Fake("b")
        a.control.find("10.0.0.1:80")
        b.control.find("10.0.0.2:80")
        await followed.load(shop=(a,), other=(b,))
        await followed.load(shop=(a,))
        assert followed.services.current.keys() == {"shop"}
        assert followed.services.status().keys() == {"shop"}
        await until(lambda: b.control.watching == 0, "it is not watched any more")
        b.control.find("10.0.0.2:80")
        await followed.load(shop=(a,), other=(b,))
        assert followed.addresses("other") == ["10.0.0.2:80"]
        assert (a.control.begun, b.control.begun) == (1, 2)


async def test_a_source_that_ends_badly_is_not_started_again() -> None:
    async with running() as followed:
        a = Fake("a", Control(fails_at_end=True))
        a.control.find("10.0.0.1:80")
        await followed.load(shop=(a,))
        await followed.load()
        await until(lambda: a.control.ended == 1, "it has ended")
        assert followed.services.current == {}
    assert a.control.begun == 1


async def test_what_was_prepared_before_the_run_is_followed_with_it() -> None:
    followed = Followed()
    a = Fake("a")
    a.control.find("10.0.0.1:80")
    settings = {"shop": ServiceSettings(name="shop", sources=(a,))}
    followed.services.prepare(settings)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(followed.services.run())
        await followed.services.first_found(LIMIT_S)
        followed.services.configure(settings)
        assert followed.addresses("shop") == ["10.0.0.1:80"]
        task.cancel()
    followed.services.configure({})  # nothing runs any more, and nothing is started
    assert a.control.watching == 0


async def test_what_many_sources_say_at_once_is_summed_up(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chorus, "_MOMENT_S", 0.05)
    caplog.set_level("INFO", "fairlead.discovery")
    async with running() as followed:
        sources = {f"service-{number}": (Fake(f"k8s://a/{number}:80"),) for number in range(20)}
        for (source,) in sources.values():
            source.control.find("10.0.0.1:80")
        await followed.load(LIMIT_S, **sources)
        for problem, told in (("away", 6), ("", 12)):
            for (source,) in sources.values():
                source.control.find("10.0.0.1:80", problem=problem)
            await until(lambda: len(followed.told) == told, f"{told} events")  # noqa: B023 (it is waited for here)
        assert "15 more sources: away; their last endpoints stand" in caplog.text
        assert "15 more sources answer again; it was: away" in caplog.text
        assert len(caplog.records) == 12
