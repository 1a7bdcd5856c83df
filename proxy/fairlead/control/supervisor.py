"""The supervisor: what the configuration and the sources say, published to the workers; what they report, merged.

Owns the snapshot, the listening sockets and the worker processes. It carries no user traffic. Invariants: the last good
configuration and the last good endpoints keep serving, whatever fails; a worker is told only what it does not know yet,
and nothing more while it has not read what it was told before.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import time
from collections import deque
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import fairlead
from fairlead import config
from fairlead.autoscale.settings import MetricsApi
from fairlead.config import Settings
from fairlead.control.channel import Message
from fairlead.control.ejector import Ejector
from fairlead.control.from_zero import FromZero
from fairlead.control.logs import Seldom
from fairlead.control.machine import usable_cores
from fairlead.control.merge import Merger
from fairlead.control.process import Handlers, WorkerProcess
from fairlead.control.services import Services
from fairlead.control.shares import shared
from fairlead.control.sockets import Sockets
from fairlead.control.update import difference, encode
from fairlead.errors import ConfigError
from fairlead.model import Snapshot
from fairlead.observe.status import Event, Phase, Status, WorkerStatus
from fairlead.observe.totals import Totals

_log = logging.getLogger("fairlead.supervisor")

_FIRST_S: Final = 5.0  # sources may take this long before a configuration is served without them
_TOGETHER_S: Final = 0.02  # changes that come within this time are published together
_FRESH_S: Final = 0.25  # workers are asked for a report at most this often, however many ask for figures
_ANSWER_S: Final = 0.2  # and may take this long
_KILL_S: Final = 2.0  # a worker that has not ended this long after its deadline is killed
_LOOK_S: Final = 1.0  # how often workers are looked at (process.py counts the looks), and old endpoints forgotten
_EVENTS: Final = 1000


class Supervisor:
    """Made of good settings. `path` is where they came from, None for the command line."""

    def __init__(self, settings: Settings, path: Path | None) -> None:
        self.settings = settings
        self.path = path
        self.phase = Phase.STARTING
        count = settings.workers or usable_cores()
        handlers = Handlers(self._on_start, self._on_message, self._on_room, self._on_death)
        self.workers = [WorkerProcess(number, handlers) for number in range(count)]
        self.sockets = Sockets(count)
        self.services = Services(self._on_change, self.tell)
        self.ejector = Ejector(self.services.verdicts, self.services.current, self.workers, self.tell)
        self.from_zero = FromZero(self.tell, self._is_awaited)
        self.snapshot = Snapshot()
        self.applied = asyncio.Event()  # every worker runs a first snapshot
        self.reported = 0.0  # when a worker last did, on the monotonic clock
        self._merger = Merger()
        self._faults = Seldom(_log)
        self._loading = asyncio.Lock()  # one configuration at a time is taken on
        self._refusals: dict[int, str] = {}  # why a worker does not run all of the snapshot
        self._policy_faults: dict[str, str] = {}  # of users' policies, by service
        self._events: deque[Event] = deque(maxlen=_EVENTS)
        self._started = time.time()
        self._loaded = time.time()
        self._problems: list[str] = []
        self._publishing: asyncio.TimerHandle | None = None
        self._reported = asyncio.Event()
        self._waited_for: set[int] = set()
        self._asked = 0.0

    def open(self) -> None:
        """Open every listening socket. Raises ConfigError, saying which and why, when one cannot be had."""
        self.sockets.open(_binds(self.settings))

    async def run(self) -> None:
        """Run the workers and follow the sources until `drain` is done or this is cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                keeping = [group.create_task(worker.keep()) for worker in self.workers]
                others = [group.create_task(each) for each in self._duties()]
                await asyncio.wait(keeping)
                for task in others:
                    task.cancel()
        finally:
            self.sockets.keep({})

    def _duties(self) -> tuple[Coroutine[None, None, None], ...]:
        return (self.services.run(), self.from_zero.run(), self._load(), self._watch())

    async def _load(self) -> None:
        """Take on the configuration that this started with."""
        async with self._loading:
            self.services.prepare(self.settings.services)
            await self.services.first_found(_FIRST_S)
            self.services.configure(self.settings.services)
            self._publish()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            self._merger.prune(self.snapshot.services)
            self.ejector.tick()
            for worker in self.workers:
                worker.kill_if_stuck()

    # Downwards: snapshots.

    def _on_change(self) -> None:
        """A service has changed: publish, but together with what else changes in the same moment."""
        if self._publishing is None and self.phase is not Phase.STARTING:
            self._publishing = asyncio.get_running_loop().call_later(_TOGETHER_S, self._publish)

    def _publish(self) -> None:
        self._publishing = None
        if self.phase is Phase.DRAINING and not self.snapshot.version:
            return  # it has never served, and never will
        self.from_zero.configure(self.settings.services)
        services = {name: self.services.current[name] for name in self.settings.services}
        self.snapshot = Snapshot(
            version=self.snapshot.version + 1, listeners=self.settings.listeners, services=services
        )
        if self.phase is Phase.STARTING:
            self.phase = Phase.READY
        for worker in self.workers:
            self._tell_snapshot(worker)

    def _tell_snapshot(self, worker: WorkerProcess) -> None:
        """Send what the worker does not know yet; while it still reads, what changes is sent together afterwards."""
        channel = worker.channel
        if channel is None or worker.is_ending or not channel.is_idle or worker.sent.version == self.snapshot.version:
            return
        update = difference(worker.sent, self.snapshot)
        for listener in update.listeners:
            was = worker.sent.listeners.get(listener.name)
            if was is None or (was.bind, was.protocol) != (listener.bind, listener.protocol):
                fd = self.sockets.fd(listener.name, listener.bind, worker.number)
                channel.send_message({"type": "socket", "listener": listener.name}, fd)
        channel.send(encode(shared(update, worker.number, len(self.workers))))
        worker.sent = self.snapshot

    def _on_room(self, worker: WorkerProcess) -> None:
        self._tell_snapshot(worker)

    def _on_start(self, worker: WorkerProcess) -> None:
        self.ejector.started(worker)
        self._tell_access_log(worker)
        if worker.is_ending:
            worker.send({"type": "drain", "limit_s": 0})
            return
        self._tell_snapshot(worker)
        if self.phase is Phase.DRAINING:
            worker.send({"type": "announce"})

    def _tell_access_log(self, worker: WorkerProcess) -> None:
        log = self.settings.access_log
        worker.send({"type": "access-log", "to": log.to, "format": log.format, "sample": log.sample})

    async def reload(self) -> None:
        """Take on the configuration file as it is now. A broken one changes nothing but the status, which says why."""
        if self.path is None:
            _log.warning("nothing to reload: the configuration came from the command line")
            return
        async with self._loading:
            try:
                settings = await asyncio.to_thread(config.load, self.path)
                if self.phase is not Phase.DRAINING:
                    self.sockets.open(_binds(settings))
            except ConfigError as error:
                self._refuse(error)
                return
            self.services.prepare(settings.services)
            await self.services.first_found(_FIRST_S)
            if self.phase is Phase.DRAINING:
                self.sockets.keep(_binds(self.settings))  # nobody would accept on the new ones
                _log.warning("not reloaded: fairlead is draining")
                return
            self._take_on(settings)

    def _refuse(self, error: ConfigError) -> None:
        self._problems = error.problems
        _log.error("the new configuration is refused, the old one stays in force:\n%s", error)
        self.tell("config-refused", str(self.path), "; ".join(error.problems))

    def _take_on(self, settings: Settings) -> None:
        self._warn_of_restart(settings)
        log_changed = settings.access_log != self.settings.access_log
        self.services.configure(settings.services)
        self.settings = settings
        self._problems = []
        self._loaded = time.time()
        self._publish()
        self.sockets.keep(_binds(settings))
        for worker in self.workers:
            if log_changed or settings.access_log.to:
                self._tell_access_log(worker)  # opened anew: that is how a log is rotated
        _log.info("loaded %s", self.path)
        self.tell("config-loaded", str(self.path), f"snapshot {self.snapshot.version}")

    def _warn_of_restart(self, settings: Settings) -> None:
        for name, old, new in (
            ("workers", self.settings.workers, settings.workers),
            ("admin.bind", self.settings.admin.bind, settings.admin.bind),
        ):
            if old != new:
                _log.warning("%s has changed from %s to %s: that takes effect at the next start", name, old, new)
        if _begun(self.settings.metrics_api) != _begun(settings.metrics_api):
            _log.warning("metrics_api has changed: that takes effect at the next start")

    # Upwards: reports.

    def _on_message(self, worker: WorkerProcess, message: Message) -> None:
        match message.get("type"):
            case "report":
                self._take_report(worker, message)
            case "accuse":
                self.ejector.accuse(worker, message)
            case "probe":
                self.ejector.probed(message)
            case "refused":
                self._take_refusal(worker, str(message.get("problem")))
            case "fault":
                self._take_fault(str(message.get("service")), str(message.get("problem")))
            case "waiting":
                self.from_zero.want(str(message.get("service")))
            case other:
                _log.warning("worker %d said %r, which nobody understands", worker.number, other)

    def _take_report(self, worker: WorkerProcess, report: Message) -> None:
        try:
            self._merger.take(worker.number, report)
            self.ejector.take(report)
        except (KeyError, TypeError, ValueError) as error:  # it serves all the same, so it is left alone
            self._faults.error(f"worker {worker.number} sent a report that is none", error)
            return
        self.reported = time.monotonic()
        self._answered(worker)
        if self._merger.version(worker.number) == self.snapshot.version:
            self._refusals.pop(worker.number, None)
        if all(self._merger.version(each.number) for each in self.workers):
            self.applied.set()

    def _take_refusal(self, worker: WorkerProcess, problem: str) -> None:
        if self._refusals.get(worker.number) != problem:
            self._refusals[worker.number] = problem
            _log.error("worker %d cannot apply all of the snapshot: %s", worker.number, problem)
            self.tell("snapshot-refused", f"worker {worker.number}", problem)

    def _take_fault(self, service: str, problem: str) -> None:
        """A user's policy is wrong: told once for all workers, which choose at random instead."""
        if self._policy_faults.get(service) != problem:
            self._policy_faults[service] = problem
            _log.error("service %s: its policy fails and endpoints are chosen at random: %s", service, problem)
            self.tell("policy-failed", service, problem)

    def _is_awaited(self, service: str) -> bool:
        counted = self._merger.totals().services.get(service)
        return counted is not None and counted.queued > 0

    def _on_death(self, worker: WorkerProcess, how: str) -> None:
        self._merger.bury(worker.number)
        self._refusals.pop(worker.number, None)
        self._answered(worker)
        _log.error("worker %d (pid %d) has died: %s; starting another", worker.number, worker.pid, how)
        self.tell("worker-died", f"worker {worker.number}", f"pid {worker.pid}: {how}")

    def _answered(self, worker: WorkerProcess) -> None:
        self._waited_for.discard(worker.number)
        if not self._waited_for:
            self._reported.set()

    async def refresh(self) -> None:
        """Ask the workers for reports, unless they were asked just now; wait for them a moment."""
        now = asyncio.get_running_loop().time()
        if now - self._asked > _FRESH_S:
            self._asked = now
            self._reported.clear()
            self._waited_for = {worker.number for worker in self.workers if worker.channel is not None}
            for worker in self.workers:
                worker.send({"type": "report"})
        if self._waited_for:
            with suppress(TimeoutError):  # the last reports then serve
                async with asyncio.timeout(_ANSWER_S):
                    await self._reported.wait()

    def tell(self, kind: str, subject: str, text: str, details: Mapping[str, object] | None = None) -> None:
        """Note an event for `/api/v1/events`."""
        self._events.append(Event(time.time(), kind, subject, text, dict(details or {})))

    def totals(self) -> Totals:
        """What the workers counted, up to their last reports."""
        return self._merger.totals()

    def status(self) -> Status:
        """Everything, now."""
        ready = self.phase is Phase.READY and self.applied.is_set()
        phase = Phase.STARTING if self.phase is Phase.READY and not ready else self.phase
        return Status(
            phase=phase,
            reason=self._reason() if phase is Phase.STARTING else "",
            fairlead=fairlead.__version__,
            python=f"{platform.python_implementation()} {platform.python_version()}",
            is_compiled=fairlead.is_compiled(),
            started=self._started,
            snapshot=self.snapshot,
            totals=self.totals(),
            addresses={name: self.sockets.address(name, bind) for name, bind in _binds(self.settings).items()},
            sources=self.services.status(),
            checks=self.services.checks.figures(),
            verdicts={name: self.services.verdicts.of(name) for name in self.settings.services},
            ejections=self.ejector.counts(),
            objectives={name: each.objective_s for name, each in self.settings.services.items() if each.objective_s},
            workers=[self._worker_status(worker) for worker in self.workers],
            config=config.to_json(self.settings),
            config_path=str(self.path or ""),
            config_problems=self._problems,
            config_loaded=self._loaded,
            events=tuple(self._events),
        )

    def _reason(self) -> str:
        """Why it is not ready yet."""
        if self.phase is Phase.STARTING:
            return "waiting for the first endpoints"
        return next(iter(self._refusals.values()), "waiting for the workers")

    def _worker_status(self, worker: WorkerProcess) -> WorkerStatus:
        return WorkerStatus(
            number=worker.number,
            pid=worker.pid,
            version=self._merger.version(worker.number),
            started=worker.started,
            restarts=worker.restarts,
        )

    # The end.

    async def drain(self, delay_s: float, hurry: asyncio.Event) -> None:
        """Fail readiness, go on serving for `delay_s`, then stop accepting and end when nothing is in flight.

        One deadline counts from there: `drain.limit`. `hurry` ends the delay and then the drain itself.
        """
        self.phase = Phase.DRAINING
        limit_s = self.settings.drain.limit_s
        for worker in self.workers:
            worker.send({"type": "announce"})
        if delay_s and self.snapshot.version:
            _log.info("draining: readiness fails, accepting goes on for %g s", delay_s)
            await _waited(hurry, delay_s)
        _log.info("draining: accepting no more, ending within %g s", limit_s)
        for worker in self.workers:  # only now: one that dies during the delay has a successor
            worker.end()
            worker.send({"type": "drain", "limit_s": limit_s})
        self.sockets.keep({})
        await _waited(hurry, limit_s + _KILL_S)
        for worker in self.workers:
            worker.kill()


async def _waited(event: asyncio.Event, limit_s: float) -> None:
    """Wait for the event, but no longer than this."""
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await event.wait()


def _begun(api: MetricsApi) -> MetricsApi:
    """What of it is read at the start only: all but what it says of services."""
    return replace(api, services={})


def _binds(settings: Settings) -> dict[str, str]:
    return {name: listener.bind for name, listener in settings.listeners.items()}
