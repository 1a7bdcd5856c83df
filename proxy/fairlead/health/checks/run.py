"""All checks of all services: what is configured and found goes in, verdicts and figures come out.

Owns the schedule, the checks that are under way and their reactor; there is one in the supervisor, and none in a
worker. There is no task, no future and no timer for an endpoint or for a check: one timer looks at the schedule, and a
probe is a stream of a reactor like any other. Never decides what a row of results means (standing.py).

Invariants: an endpoint is never checked twice at the same time; not more than `MOST` checks are under way, and who
waits for that is served in turn; when `run` ends nothing is left open.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from random import random
from typing import Final, Protocol, final

from fairlead.engine.reactor import Reactor, monotonic_us
from fairlead.health.checks.http1 import HttpQuestion
from fairlead.health.checks.probe import Question
from fairlead.health.checks.results import CheckFigures, Outcome
from fairlead.health.checks.schedule import Schedule, place, spread
from fairlead.health.checks.settings import CheckSettings
from fairlead.health.checks.tcp import TcpQuestion
from fairlead.health.checks.watched import Target, Turn, Watched
from fairlead.health.verdicts import Judge, Verdict, Verdicts
from fairlead.model import Endpoint

MOST: Final = 1000  # checks under way at once: descriptors, and the work that answers give in one moment
_GRAIN_US: Final = 10_000  # checks that are due within this time are begun together
_BATCH: Final = 100  # of them, at most: what is more has its turn when others had theirs
_TOGETHER_S: Final = 0.02  # and verdicts that change within this time are given together
_S: Final = 1_000_000

Give = Callable[[str, Judge, Mapping[str, Verdict | None]], object]


class Voice(Protocol):
    """Who is told what an operator wants to know, once for each change."""

    def turned(self, turn: Turn) -> None:
        """An endpoint has begun to fail, or to pass again."""

    def all_failed(self, service: str, have_all: bool, is_ignored: bool) -> None:
        """Every endpoint of the service fails now, or not any more; and whether they are used nevertheless."""

    def fault(self, what: str, error: BaseException) -> None:
        """A check met a bug of ours."""


@final
class Checks:
    """The verdicts on the endpoints of `configure`d services follow from checks of what `follow` tells of."""

    def __init__(self, verdicts: Verdicts, voice: Voice) -> None:
        self._verdicts = verdicts
        self._voice = voice
        self._services: dict[str, Watched] = {}
        self._schedule: Schedule[Target] = Schedule()
        self._salt = os.urandom(16)
        self._under_way = 0
        self._reactor: Reactor | None = None  # while it runs
        self._wake: asyncio.TimerHandle | None = None
        self._wake_us = 0
        self._saying: asyncio.TimerHandle | None = None

    def configure(self, settings: Mapping[str, CheckSettings | None]) -> None:
        """The services with their checks, None for one that has none; `follow` says which endpoints they have."""
        wanted = {name: each for name, each in settings.items() if each is not None}
        for name in self._services.keys() - wanted.keys():
            self._drop(self._services.pop(name), is_configured=name in settings)
        for name, each in wanted.items():
            known = self._services.get(name)
            if known is None:
                self._services[name] = Watched(name, each, question_of(each))
            elif known.settings != each:
                known.configure(each, question_of(each))
                self._replan(known)
                self._say()

    def follow(self, service: str, endpoints: tuple[Endpoint, ...]) -> None:
        """What the sources of the service say now. Verdicts of new endpoints are given before this returns, quietly."""
        watched = self._services.get(service)
        if watched is None:
            return
        come, gone = watched.follow(endpoints, time.time())
        for target in gone:
            self._end(target)
        self._plan(come)
        if gone and len(self._schedule) > 2 * self._count() + 100:
            self._schedule.keep(lambda target: not target.is_gone)
        if watched.has_news:
            self._words(watched, self._verdicts.put)

    async def run(self) -> None:
        """Make the checks until cancelled."""
        reactor = Reactor(asyncio.get_running_loop())
        reactor.on_error = self._voice.fault
        reactor.open()
        self._reactor = reactor
        self._look_soon()
        try:
            await asyncio.Event().wait()
        finally:
            self._stop(reactor)

    def figures(self) -> dict[str, CheckFigures]:
        """What was counted and what is known, by service."""
        return {name: watched.figures() for name, watched in self._services.items()}

    def _stop(self, reactor: Reactor) -> None:
        self._reactor = None
        for timer in (self._wake, self._saying):
            if timer is not None:
                timer.cancel()
        self._wake = self._saying = None
        for watched in self._services.values():
            for target in watched.targets.values():
                self._end(target)
        reactor.close()

    def _count(self) -> int:
        return sum(len(watched.targets) for watched in self._services.values())

    def _drop(self, watched: Watched, is_configured: bool) -> None:
        """The service is checked no more; if it is still there, nothing is said of its endpoints either."""
        _, gone = watched.follow((), time.time())
        for target in gone:
            self._end(target)
        if is_configured:
            self._verdicts.put(watched.name, Judge.CHECK, watched.words())

    def _end(self, target: Target) -> None:
        probe, target.probe = target.probe, None
        if probe is not None:
            self._under_way -= 1
            probe.forget()

    # The schedule.

    def _plan(self, targets: Iterable[Target]) -> None:
        """Give them their first places: soon where a check has to pass before there is traffic."""
        now = monotonic_us()
        for target in targets:
            settings = target.watched.settings
            within_s = settings.interval_s if target.is_used_before else settings.fast_interval_s
            self._schedule.add(now + round(within_s * _S * place(target.address, self._salt)), target)
        self._look_soon()

    def _replan(self, watched: Watched) -> None:
        """Its intervals are others: whoever waits for the end of an old one would wait too long, or not long enough."""
        self._schedule.keep(lambda target: target.watched is not watched)
        self._plan(target for target in watched.targets.values() if target.probe is None)

    def _look_soon(self) -> None:
        """See to it that somebody looks when the next check is due, but not more often than the grain."""
        due_us = self._schedule.next_us()
        if self._reactor is None or due_us is None or self._under_way >= MOST:
            return
        now = monotonic_us()
        wanted_us = max(due_us, now + _GRAIN_US)
        if self._wake is not None:
            if self._wake_us <= wanted_us:
                return
            self._wake.cancel()
        self._wake_us = wanted_us
        self._wake = self._reactor.loop.call_later((wanted_us - now) / _S, self._look)

    def _look(self) -> None:
        """Begin the checks whose time has come."""
        self._wake = None
        reactor = self._reactor
        now = monotonic_us()
        for _ in range(_BATCH):
            target = self._schedule.take(now) if reactor is not None and self._under_way < MOST else None
            if target is None or reactor is None:
                break
            if not target.is_gone:
                self._begin(reactor, target, now)
        self._look_soon()

    def _begin(self, reactor: Reactor, target: Target, now: int) -> None:
        watched = target.watched
        probe = watched.question.probe(
            reactor, target.asked, lambda outcome: self._ended(target, outcome, started_us=now)
        )
        target.probe = probe
        self._under_way += 1
        probe.begin(target.to)

    def _ended(self, target: Target, outcome: Outcome, started_us: int) -> None:
        target.probe = None
        self._under_way -= 1
        watched = target.watched
        turn = watched.take(target, outcome, time.time())
        delay_us = spread(round(watched.delay_s(target) * _S), watched.settings.jitter, random)
        self._schedule.add(started_us + delay_us, target)
        self._look_soon()
        if turn is not None:
            self._voice.turned(turn)
        if watched.has_news:
            self._say()

    # The verdicts.

    def _say(self) -> None:
        """Give the verdicts that have changed, together with those of the same moment."""
        if self._reactor is not None and self._saying is None:
            self._saying = self._reactor.loop.call_later(_TOGETHER_S, self._say_all)

    def _say_all(self) -> None:
        self._saying = None
        for watched in list(self._services.values()):
            if watched.has_news:
                self._words(watched, self._verdicts.give_all)

    def _words(self, watched: Watched, give: Give) -> None:
        before = watched.have_all_failed
        words = watched.words()
        give(watched.name, Judge.CHECK, words)
        if watched.have_all_failed is not before:
            self._voice.all_failed(watched.name, watched.have_all_failed, watched.is_ignored)


def question_of(settings: CheckSettings) -> Question:
    """What these settings ask of an endpoint."""
    match settings.kind:
        case "tcp":
            return TcpQuestion(settings)
        case "grpc":
            # Imported only when it is wanted: the library for HTTP/2 takes 60 ms and 8 MB.
            from fairlead.health.checks.grpc import GrpcQuestion

            return GrpcQuestion(settings)
        case "http":
            return HttpQuestion(settings)
