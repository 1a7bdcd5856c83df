"""The supervisor: what is published to whom, what is made of reports, and a whole one with real workers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from control.helpers import Control, Fake, until
from control.stage import L4, LOCAL, WEB, Staged, found, settings
from fairlead.control import supervisor as module
from fairlead.control.supervisor import Supervisor
from fairlead.observe.status import Phase
from fairlead.settings import Settings

Stage = Callable[..., Staged]


async def test_a_worker_is_told_all_and_then_what_changes(stage: Stage) -> None:
    staged = stage(settings(listeners=(WEB, L4)))
    (peer,) = staged.peers
    assert peer.updates() == []
    staged.publish("10.0.0.1:80")
    staged.publish("10.0.0.1:80", "10.0.0.2:80")
    first, second = peer.updates()
    assert (first.version, {listener.name for listener in first.listeners}) == (1, {"web", "l4"})
    assert (second.version, second.listeners) == (2, ())
    assert [endpoint.address for endpoint in second.services[0].endpoints] == ["10.0.0.1:80", "10.0.0.2:80"]
    assert peer.sockets == {
        name: int(address.rpartition(":")[2]) for name, address in staged.supervisor.status().addresses.items()
    }


async def test_each_worker_has_its_own_socket_and_its_successor_the_same(stage: Stage) -> None:
    staged = stage(settings(workers=2))
    staged.publish("10.0.0.1:80")
    assert all(len(peer.of("socket")) == 1 for peer in staged.peers)
    first = staged.peers[0]
    second = staged.replace(0)
    assert [update.version for update in second.updates()] == [1]
    assert second.sockets == first.sockets


async def test_one_that_does_not_read_is_told_the_latest_only(stage: Stage) -> None:
    staged = stage(settings())
    (peer,) = staged.peers
    staged.publish("10.0.0.1:80")
    assert len(peer.updates()) == 1
    peer.stall()
    for n in range(2, 7):
        staged.publish(*[f"10.0.0.{m}:80" for m in range(n)])
    peer.go_on()
    assert [update.version for update in peer.updates()] == [1, 6]
    assert len(peer.updates()[1].services[0].endpoints) == 6
    assert peer.updates()[1].listeners == ()


async def test_changes_of_one_moment_are_published_together(stage: Stage) -> None:
    staged = stage(settings())
    staged.publish("10.0.0.1:80")
    for _ in range(10):
        staged.supervisor._on_change()
    await until(lambda: staged.supervisor.snapshot.version == 2, "a publication")
    assert staged.supervisor._publishing is None


async def test_it_is_ready_when_every_worker_runs_a_snapshot(stage: Stage) -> None:
    staged = stage(settings(workers=2))
    one, two = staged.peers
    assert staged.supervisor.status().phase is Phase.STARTING
    assert staged.supervisor.status().reason == "waiting for the first endpoints"
    staged.publish("10.0.0.1:80")
    one.report(1)
    two.report(0)
    assert not staged.supervisor.applied.is_set()
    assert staged.supervisor.status().phase is Phase.STARTING
    assert staged.supervisor.status().reason == "waiting for the workers"
    two.report(1)
    assert staged.supervisor.applied.is_set()
    assert (staged.supervisor.status().phase, staged.supervisor.status().reason) == (Phase.READY, "")
    assert [worker.version for worker in staged.supervisor.status().workers] == [1, 1]


async def test_a_refusal_is_told_once(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    staged = stage(settings())
    (peer,) = staged.peers
    staged.publish("10.0.0.1:80")
    peer.say("refused", version=1, problem="service shop: RuntimeError: no")
    peer.report(0)
    assert staged.supervisor.status().reason == "service shop: RuntimeError: no"
    peer.say("refused", version=2, problem="service shop: RuntimeError: no")
    assert staged.events() == [("snapshot-refused", "worker 0", "service shop: RuntimeError: no")]
    assert caplog.text.count("cannot apply all of the snapshot") == 1
    peer.report(1)
    peer.say("refused", version=3, problem="service shop: RuntimeError: no")
    assert len(staged.events()) == 2


async def test_what_makes_no_sense_is_tolerated(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    staged = stage(settings())
    (peer,) = staged.peers
    staged.publish("10.0.0.1:80")
    for message in ({}, {"version": "x"}):
        peer.say("report", **message)
    peer.say("dance")
    peer.channel.send_message({})
    peer.say("refused")
    peer.report(1)
    assert staged.supervisor.status().phase is Phase.READY
    assert "worker 0 sent a report that is none" in caplog.text
    assert "'dance'" in caplog.text


async def test_refresh_waits_for_the_workers_that_are_there(stage: Stage) -> None:
    staged = stage(settings(workers=2))
    one, two = staged.peers
    refreshing = asyncio.ensure_future(staged.supervisor.refresh())
    await asyncio.sleep(0)
    assert (len(one.of("report")), len(two.of("report"))) == (1, 1)
    one.report(0)
    await asyncio.sleep(0)
    assert not refreshing.done()
    staged.supervisor._on_death(two.worker, "signal SIGKILL")  # will not answer any more
    await refreshing
    await staged.supervisor.refresh()  # just now: nobody is asked again
    assert len(one.of("report")) == 1


async def test_refresh_does_not_wait_for_ever(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ANSWER_S", 0.01)
    await stage(settings()).supervisor.refresh()


async def test_a_death_is_told_and_ends_what_the_worker_was_doing(stage: Stage) -> None:
    staged = stage(settings())
    (peer,) = staged.peers
    staged.publish("10.0.0.1:80")
    histogram = {"sparse": [], "sum_us": 0}
    doing = {
        "requests": [["web", "10.0.0.1:80", "200", 3]],
        "retries": {},
        "retries_exhausted": 0,
        "ttfb": {},
        "in_flight": {"10.0.0.1:80": 2},
    }
    more = {"queued": 0, "limit": 0, "refused": {}}
    peer.report(1, shop={**doing, **more, "duration": histogram, "connect": histogram})
    assert staged.supervisor.status().totals.services["shop"].in_flight == {"10.0.0.1:80": 2}
    staged.supervisor._on_death(peer.worker, "signal SIGKILL")
    totals = staged.supervisor.status().totals.services["shop"]
    assert (dict(totals.in_flight), sum(totals.requests.values())) == ({}, 3)
    assert staged.events() == [("worker-died", "worker 0", "pid 0: signal SIGKILL")]
    assert staged.supervisor.status().phase is Phase.READY  # it has served, and its successor will


async def test_while_it_drains_a_successor_serves_on_until_accepting_ends(stage: Stage) -> None:
    staged = stage(settings())
    staged.publish("10.0.0.1:80")
    hurry = asyncio.Event()
    draining = asyncio.ensure_future(staged.supervisor.drain(3600, hurry))
    await asyncio.sleep(0)
    assert staged.peers[0].of("announce")
    assert staged.supervisor.status().phase is Phase.DRAINING
    staged.publish("10.0.0.1:80", "10.0.0.2:80")  # endpoints come and go meanwhile
    assert staged.peers[0].updates()[-1].version == 2
    successor = staged.replace(0)
    assert successor.of("announce")
    assert [message["type"] for message in successor.messages] == ["access-log", "socket", "update", "announce"]
    hurry.set()
    await draining
    assert successor.of("drain") == [{"type": "drain", "limit_s": 30.0}]
    assert successor.worker.is_ending
    late = staged.replace(0)  # whose start had begun before
    assert late.of("drain") == [{"type": "drain", "limit_s": 0}]
    assert late.of("update") == []
    staged.publish("10.0.0.3:80")
    assert late.of("update") == []


async def test_one_that_has_never_served_ends_without_delay(stage: Stage) -> None:
    staged = stage(settings())
    hurry = asyncio.Event()
    draining = asyncio.ensure_future(staged.supervisor.drain(3600, hurry))
    await asyncio.sleep(0)
    assert staged.peers[0].of("drain")
    staged.publish("10.0.0.1:80")  # too late
    assert staged.peers[0].of("update") == []
    hurry.set()
    await draining


async def test_workers_are_looked_after(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = stage(settings())
    looks: list[str] = []
    monkeypatch.setattr(module, "_LOOK_S", 0.0)
    monkeypatch.setattr("fairlead.control.process.WorkerProcess.kill_if_stuck", lambda worker: looks.append("worker"))
    monkeypatch.setattr(staged.supervisor._merger, "prune", lambda services: looks.append("endpoints"))
    watching = asyncio.ensure_future(staged.supervisor._watch())
    await until(lambda: len(looks) >= 4, "two looks")
    watching.cancel()
    assert set(looks) == {"worker", "endpoints"}


# With real processes.


@dataclass
class Whole:
    """A supervisor that runs."""

    supervisor: Supervisor
    task: asyncio.Task[None]
    file: Path

    async def until_applied(self) -> None:
        await self.supervisor.applied.wait()

    async def until_version(self, version: int) -> None:
        def versions() -> set[int]:
            return {worker.version for worker in self.supervisor.status().workers}

        await until(lambda: versions() == {version}, f"version {version} everywhere")

    def port(self, listener: str) -> int:
        return int(self.supervisor.sockets.address(listener, LOCAL).rpartition(":")[2])


@asynccontextmanager
async def running(given: Settings, file: Path | None = None) -> AsyncIterator[Whole]:
    """Runs while the test does; then it drains, without a delay."""
    supervisor = Supervisor(given, file)
    supervisor.open()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(supervisor.run())
        try:
            yield Whole(supervisor, task, file or Path())
            if not task.done() and supervisor.phase is not Phase.DRAINING:
                hurry = asyncio.Event()
                draining = group.create_task(supervisor.drain(0, hurry))
                await task
                draining.cancel()
        except BaseException:
            task.cancel()
            raise
    assert_no_child_is_left()


def assert_no_child_is_left() -> None:
    with pytest.raises(ChildProcessError):  # each that ended was waited for
        os.waitpid(-1, os.WNOHANG)


async def is_served(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


async def test_a_whole_one_serves_and_ends() -> None:
    async with running(settings(found("10.0.0.1:80"), workers=2)) as whole:
        await whole.until_applied()
        status = whole.supervisor.status()
        assert (status.phase, status.snapshot.version) == (Phase.READY, 1)
        assert [worker.version for worker in status.workers] == [1, 1]
        assert len({worker.pid for worker in status.workers}) == 2
        port = whole.port("web")
        assert await is_served(port)
    assert not await is_served(port)


async def test_a_change_reaches_every_worker() -> None:
    source = found("10.0.0.1:80")
    async with running(settings(source, workers=2)) as whole:
        await whole.until_applied()
        source.control.find("10.0.0.2:80")
        await whole.until_version(2)


async def test_a_worker_that_is_killed_is_replaced_even_while_accepting_goes_on_at_the_end() -> None:
    async with running(settings(found("10.0.0.1:80"))) as whole:
        await whole.until_applied()
        (worker,) = whole.supervisor.workers
        os.kill(worker.pid, signal.SIGKILL)
        await until(lambda: worker.restarts == 1, "its death")
        await whole.until_version(1)
        hurry = asyncio.Event()
        draining = asyncio.ensure_future(whole.supervisor.drain(3600, hurry))
        await asyncio.sleep(0)
        os.kill(worker.pid, signal.SIGKILL)
        await until(lambda: worker.restarts == 2, "its death")
        await whole.until_version(1)
        assert await is_served(whole.port("web"))
        hurry.set()
        await draining
        await whole.task


async def test_it_ends_at_once_while_it_still_waits_for_a_source() -> None:
    async with running(settings(Fake("silent", Control()))) as whole:
        await until(lambda: whole.supervisor.workers[0].channel is not None, "a worker")
        assert whole.supervisor.phase is Phase.STARTING
        async with asyncio.timeout(4):  # less than the 5 s that a source may take
            draining = asyncio.ensure_future(whole.supervisor.drain(3600, asyncio.Event()))
            await whole.task
        draining.cancel()


async def test_a_fault_of_its_own_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BaseExceptionGroup) as raised:
        async with running(settings(found("10.0.0.1:80"))) as whole:
            await whole.until_applied()
            monkeypatch.setattr(whole.supervisor._merger, "prune", None)  # what the next look stumbles over
            await asyncio.Event().wait()
    assert raised.group_contains(TypeError, match="not callable")
    assert_no_child_is_left()
