"""Ejection in a simulation: the decisions of health/ejection.py and what pools count, with virtual time between them.

Owns what a supervisor and its workers do about endpoints that fail, as control/ejector.py and dataplane/outcasts.py do
it: a worker keeps away at once, the others some moments later; once a second all outcomes are compared; the first
request after a time out is the probe. Never serves a request.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final

from fairlead.health.ejection import (
    Decision,
    Ejections,
    What,
    allowed,
    found_by_worker,
    is_alone_silent,
    silence_us,
)
from fairlead.model import Ejection, Reason
from fairlead.simulate.world import START_US, Request, View, Worker

if TYPE_CHECKING:
    from fairlead.simulate.run import Simulation

_SWEEP_US: Final = 1_000_000
_PUBLISH_US: Final = 30_000  # from a worker's word to the other workers
_PROBE_US: Final = 1_000_000


class Ejector:
    """Of one simulation."""

    def __init__(self, settings: Ejection, seed: int, simulation: Simulation) -> None:
        self.count = 0
        self.published: frozenset[str] = frozenset()
        self._settings = settings
        self._simulation = simulation
        self._ejections = Ejections(settings, Random(f"{seed} ejection").random)
        self._probes: list[str] = []

    def open(self) -> None:
        """Watch the pools from now on."""
        for worker in self._simulation.workers:
            worker.pool.most_lost = self._settings.gateway_failures
            worker.pool.most_errors = self._settings.error_replies
            worker.pool.ramp_us = int(self._settings.ramp_s * 1e6)
            worker.pool.tell = partial(self._accuse, worker)
        self._simulation.at(START_US + _SWEEP_US, self._sweep)

    def probe(self, request: Request) -> View | None:
        """The endpoint that is to be probed with this request, if any."""
        if not self._probes or request.attempts or request.was_probe:
            return None
        request.was_probe = True
        return request.worker.views[self._probes.pop()]

    def probe_us(self) -> int:
        """How long a probe may take."""
        return _PROBE_US

    def probed(self, address: str, is_failure: bool, took: int, now: int) -> None:
        """It has ended."""
        self._act(self._ejections.probed(address, "it failed" if is_failure else "", took, now / 1e6), now)

    def _accuse(self, worker: Worker, endpoint: Any, reason: str, last: str, now: int) -> None:  # noqa: ANN401  a View
        view: View = endpoint
        address = view.address
        if address in worker.kept_out or address in self._ejections.out:
            return
        others = [each for each in worker.views.values() if each is not view and each.address in self._used()]
        owed = [(each.unanswered, now - each.unanswered_since) for each in others]
        if reason == Reason.SILENCE and not is_alone_silent(owed, worker.pool.silence_us):
            return
        out = len({*self._ejections.out, *worker.kept_out})
        if out < allowed(len(self._simulation.present), self._settings.max_share):
            worker.kept_out.add(address)
            self._simulation.rebuild(worker, now)
        limit = self._settings.error_replies if reason == Reason.ERRORS else self._settings.gateway_failures
        finding = found_by_worker(address, Reason(reason), last, limit)
        self._act(self._ejections.accuse(finding, now / 1e6), now)
        if address not in self._ejections.out and address in worker.kept_out:
            worker.kept_out.discard(address)
            self._simulation.rebuild(worker, now)

    def _used(self) -> set[str]:
        return set(self._simulation.present) - set(self._ejections.out)

    def _sweep(self, now: int) -> None:
        present = self._simulation.present
        self._act(self._ejections.update(present, present, now / 1e6), now)
        for worker in self._simulation.workers:
            for view in worker.views.values():
                if view.successes or view.failures:
                    self._ejections.observe(view.address, view.successes, view.failures, view.median_us)
                    view.successes = view.failures = 0
            medians = [view.median_us for view in worker.views.values() if view.median_us]
            worker.pool.silence_us = silence_us(self._settings, len(present), medians)
        self._act(self._ejections.sweep(now / 1e6), now)
        if not self._simulation.is_over:
            self._simulation.at(now + _SWEEP_US, self._sweep)

    def _act(self, decisions: Iterable[Decision], now: int) -> None:
        for decision in decisions:
            address = decision.address
            if decision.what is What.EJECTED:
                self.count += 1
            elif decision.what is What.PROBING:
                self._probes.append(address)
            elif decision.what is What.RETURNED:
                self._welcome(address)
            if decision.what in (What.EJECTED, What.RETURNED):
                silent = address if decision.reason is Reason.SILENCE and decision.what is What.EJECTED else ""
                self._simulation.at(now + _PUBLISH_US, partial(self._publish, silent))

    def _welcome(self, address: str) -> None:
        if address in self._probes:
            self._probes.remove(address)
        for worker in self._simulation.workers:
            view = worker.views[address]
            view.has_returned = True
            view.lost = view.errors = view.unanswered = 0

    def _publish(self, silent: str, now: int) -> None:
        self.published = frozenset(self._ejections.out)
        for worker in self._simulation.workers:
            worker.kept_out.clear()
            self._simulation.rebuild(worker, now)
        if silent:
            self._simulation.give_elsewhere(silent, now)
