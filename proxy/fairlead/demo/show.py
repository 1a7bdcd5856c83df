"""Runs the demo: starts the stage, sends the traffic, does what the script says, and looks twice a second.

Owns the order of start and end and the exit status: 0, or 1 when the proxy could not start, died, or served nothing.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, final

import uvloop
from rich.console import Console
from rich.live import Live

from fairlead.demo.client import Connection, NoReply
from fairlead.demo.events import Events
from fairlead.demo.figures import HISTORY, SPAN_S, Reading, Row, Rows, Tally, growth, latency, read
from fairlead.demo.script import Act, Deed, acts
from fairlead.demo.stage import HOST, BackendProcess, Stage, StageError
from fairlead.demo.traffic import Traffic
from fairlead.demo.view import Client, Place, Scene, line, picture, summary

_LIVE_S: Final = 0.5  # between two pictures
_PLAIN_S: Final = 1.0  # between two lines

Show = Callable[[Scene], None]


def run(seconds: float) -> int:
    """Show it for so long, 0 for until it is interrupted; returns the exit status."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(seconds))
    except StageError as error:
        print(f"fairlead demo: {error}", file=sys.stderr)
        return 1


async def _run(seconds: float) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stage = Stage()
    try:
        print("starting three backends and the proxy ...", flush=True)
        await stage.open()
        demo = _Demo(stage, seconds)
        problem = await demo.run(stop)
    finally:
        await stage.close()
    print(summary(demo.scene(), dict(demo.tally.problems), demo.tally.overall()), flush=True)
    if problem:
        raise StageError(problem)
    return 0 if demo.tally.ok else 1


@final
class _Demo:
    """The traffic, the script and the looking, on a stage that is ready."""

    def __init__(self, stage: Stage, seconds: float) -> None:
        self.tally = Tally()
        self._stage = stage
        self._seconds = seconds
        self._console = Console()
        self._is_live = sys.stdout.isatty() and not self._console.is_dumb_terminal
        self._start = time.monotonic()
        self._end = self._start
        self._events = Events()
        self._rows = Rows()
        self._shown: list[Row] = []
        self._reading = Reading(at=self._start)
        self._history: deque[float] = deque(maxlen=HISTORY)
        self._counted = 0
        self._problems: dict[str, int] = {}
        self._told = time.time()  # the latest of the proxy's own events
        self._admin = Connection(HOST, stage.admin_port)

    async def run(self, stop: asyncio.Event) -> str:
        """Run until `stop`, the end of the time, or the end of the proxy; gives what went wrong."""
        problem = ""
        await self._look()  # the first rates are to be those of the first second
        try:
            problem = await self._run(stop)
        except* StageError as errors:
            problem = str(errors.exceptions[0])
        self._end = time.monotonic()
        if not problem:
            await self._look()
        if not self._is_live:
            self._print(self.scene())
        self._admin.close()
        return problem

    async def _run(self, stop: asyncio.Event) -> str:
        async with asyncio.TaskGroup() as group:
            watched = group.create_task(self._stage.proxy_ended())
            waited = group.create_task(_wait(stop, self._seconds))
            acting = [
                group.create_task(Traffic(HOST, self._stage.port, self.tally).run()),
                group.create_task(self._follow_script()),
                group.create_task(self._show_live() if self._is_live else self._show_lines()),
            ]
            await asyncio.wait({watched, waited}, return_when=asyncio.FIRST_COMPLETED)
            problem = watched.result() if watched.done() else ""
            for task in (watched, waited, *acting):
                task.cancel()
        return problem

    # What happens.

    async def _follow_script(self) -> None:
        for act in acts(list(self._stage.backends), self._seconds):
            await asyncio.sleep(self._start + act.at_s - time.monotonic())
            await self._perform(act, self._stage.backends[act.name])

    async def _perform(self, act: Act, backend: BackendProcess) -> None:
        match act.deed:
            case Deed.KILL:
                await backend.kill()
                self._tell(f"backend {act.name} was killed")
            case Deed.RESTORE:
                await backend.start(backend.port)
                self._tell(f"backend {act.name} was started again")
            case Deed.SLOW:
                backend.slow()
                self._tell(f"backend {act.name} takes its time now: 200 ms instead of 2")
            case Deed.QUICK:
                backend.quick()
                self._tell(f"backend {act.name} is quick again")

    def _tell(self, text: str) -> None:
        self._events.add(_clock(), text)

    # What is seen.

    async def _show_live(self) -> None:
        console = self._console
        with Live(console=console, screen=True, auto_refresh=False) as live:
            await self._keep_looking(_LIVE_S, lambda scene: live.update(picture(scene, *console.size), refresh=True))

    async def _show_lines(self) -> None:
        place = self._place()
        print(f"proxy {place.proxy}/  page {place.admin}/  metrics {place.admin}/metrics", flush=True)
        print(f"configuration {place.configuration}  log {place.log}", flush=True)
        await self._keep_looking(_PLAIN_S, self._print)

    def _print(self, scene: Scene) -> None:
        for event in self._events.take_new():
            print(event)
        print(line(scene), flush=True)

    async def _keep_looking(self, every_s: float, show: Show) -> None:
        due = time.monotonic()
        while True:
            due += every_s
            await asyncio.sleep(due - time.monotonic())
            self._end = time.monotonic()
            await self._look()
            self._count(every_s)
            show(self.scene())

    async def _look(self) -> None:
        """Ask the proxy; what it said last stands while it does not answer."""
        try:
            reading = read(await self._ask("/api/v1/services"), time.monotonic())
            happened = (await self._ask(f"/api/v1/events?since={self._told}"))["events"]
        except (NoReply, ValueError, KeyError) as error:
            self._events.count(_clock(), "the admin server was asked in vain", {str(error): 1})
            return
        self._compare(self._reading, reading)
        for event in reversed(happened):
            self._told = max(self._told, event["at"])
            self._tell(f"proxy: {event['kind']}: {event['subject']}: {event['text']}")
        names = {backend.address: backend.name for backend in self._stage.backends.values()}
        self._shown = self._rows.take(reading, names, self.tally.lately(time.monotonic()))
        self._reading = reading

    async def _ask(self, target: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads((await self._admin.get(target)).body)
        return said

    def _compare(self, before: Reading, after: Reading) -> None:
        """Tell what is new in the proxy's figures."""
        self._events.count(_clock(), "the proxy sent again elsewhere:", growth(before.retries, after.retries))
        was = {endpoint.address: endpoint.state for endpoint in before.endpoints}
        for endpoint in after.endpoints:
            if was.get(endpoint.address, endpoint.state) != endpoint.state:
                self._tell(f"the proxy calls {endpoint.address} {endpoint.state}, no longer {was[endpoint.address]}")

    def _count(self, elapsed_s: float) -> None:
        """Take the client's figures of the last moment."""
        counted = self.tally.ok + self.tally.failed
        self._history.append((counted - self._counted) / elapsed_s)
        self._counted = counted
        problems = dict(self.tally.problems)
        self._events.count(_clock(), "requests failed:", growth(self._problems, problems))
        self._problems = problems

    def scene(self) -> Scene:
        lately = self.tally.lately(time.monotonic())
        elapsed_s = self._end - self._start
        client = Client(
            ok=self.tally.ok,
            failed=self.tally.failed,
            rate=len(lately) / max(_LIVE_S, min(SPAN_S, elapsed_s)),
            history=tuple(self._history),
            latency=latency(lately),
        )
        return Scene(
            clock=_clock(),
            elapsed_s=elapsed_s,
            place=self._place(),
            rows=self._shown,
            conditions={backend.name: backend.condition for backend in self._stage.backends.values()},
            client=client,
            retries=sum(self._reading.retries.values()),
            events=[str(event) for event in self._events.latest],
        )

    def _place(self) -> Place:
        return Place(
            proxy=f"http://{HOST}:{self._stage.port}",
            admin=f"http://{HOST}:{self._stage.admin_port}",
            configuration=str(self._stage.configuration),
            log=str(self._stage.log),
        )


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    """Until `stop`, or so many seconds, 0 for no limit."""
    try:
        async with asyncio.timeout(seconds or None):
            await stop.wait()
    except TimeoutError:
        pass


def _clock() -> str:
    return time.strftime("%H:%M:%S")
