"""The discrete events of a scenario: requests arrive, are given to endpoints, are served or fail, and are recorded.

Owns virtual time. Invariant: the same scenario, policy and seed give the same figures, and a policy has no part in what
arrives and when: all policies of a comparison meet the same requests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import Any, Final, cast

from fairlead import balance
from fairlead.balance import Candidate, Picker, Policy
from fairlead.balance.bounded_hash import key_of
from fairlead.model import Ejection
from fairlead.simulate.ejecting import Ejector
from fairlead.simulate.figures import Figures, Record
from fairlead.simulate.scenario import Change, Scenario
from fairlead.simulate.world import START_US, Attempt, Request, Server, View, Worker

_NEVER: Final = 1 << 62
_KEYLESS: Final = balance.POLICIES.keys() - {"hash"}

_Seeded = Callable[[Sequence[Candidate], Picker | None, int], Picker]


def simulate(scenario: Scenario, policy: str, seed: int = 1) -> Figures:
    """The figures of one policy, by name or as FILE.py:CLASS. Raises ValueError when there is none of that name."""
    simulation = Simulation(scenario, policy, seed)
    simulation.run()
    figures = simulation.record.figures(policy, simulation.servers, scenario)
    return replace(figures, ejections=simulation.ejector.count) if simulation.ejector else figures


class Simulation:
    """One policy, one scenario, one seed."""

    def __init__(self, scenario: Scenario, policy: str, seed: int) -> None:
        self.record = Record()
        self.servers = [
            Server(group, number, Random(f"{seed} {group.name} {number}"))
            for group in scenario.endpoints.values()
            for number in range(group.count)
        ]
        self._scenario = scenario
        self._end = START_US + int(scenario.seconds_s * 1e6)
        self._chance = Random(f"{seed} arrivals")
        self._present: list[Server] = []
        self._events: list[tuple[int, int, Any]] = []  # when, in which order, an attempt that ends or what to call
        self._waiting: deque[Attempt] = deque()  # in the order of their deadlines
        self._timeout_us = int(scenario.timeout_s * 1e6)
        self._order = 0
        self._keys = [0] * scenario.clients
        if policy not in _KEYLESS:
            self._keys = [key_of(b"client %d" % client) for client in range(scenario.clients)]
        self.workers = [
            Worker(scenario, _seeded(policy, seed * 1000 + number), self.servers, seed * 1000 + number)
            for number in range(scenario.workers)
        ]
        self.ejector = Ejector(Ejection(), seed, self) if scenario.ejection else None
        self._plan()
        if self.ejector is not None:
            self.ejector.open()

    # What is known beforehand.

    def _plan(self) -> None:
        for server in self.servers:
            if server.from_us:
                self._at(server.from_us, self._come(server))
            else:
                self._present.append(server)
            if server.until_us:
                self._at(server.until_us, self._go(server))
            for change in server.group.changes:
                self._at(START_US + int(change.at_s * 1e6), self._change(server, change))
        self._rebuild(0)

    def _at(self, when: int, what: object) -> None:
        self._order += 1
        heappush(self._events, (when, self._order, what))

    def _come(self, server: Server) -> Callable[[int], None]:
        def come(now: int) -> None:
            self._present.append(server)
            self._rebuild(now)

        return come

    def _go(self, server: Server) -> Callable[[int], None]:
        def go(now: int) -> None:
            self._present.remove(server)
            self._rebuild(now)

        return go

    def _change(self, server: Server, change: Change) -> Callable[[int], None]:
        def behave(now: int) -> None:
            server.mode = change

        return behave

    def _rebuild(self, now: int) -> None:
        for worker in self.workers:
            self.rebuild(worker, now)

    # What an ejector asks for.

    @property
    def present(self) -> list[str]:
        """The endpoints that are there."""
        return [server.address for server in self._present]

    @property
    def is_over(self) -> bool:
        """Nothing arrives any more."""
        return not self._events and not self._waiting

    def at(self, when: int, what: Callable[[int], None]) -> None:
        """Call it then."""
        self._at(when, what)

    def rebuild(self, worker: Worker, now: int) -> None:
        """Other endpoints may serve than before."""
        worker.rebuild(self._present, self.ejector.published if self.ejector else (), now)

    def give_elsewhere(self, address: str, now: int) -> None:
        """What waits at this endpoint is sent to others."""
        for attempt in list(self._waiting):
            if not attempt.is_over and not attempt.is_probe and attempt.view.address == address:
                attempt.is_over = True
                attempt.request.worker.pool.end(attempt.view, False)
                attempt.request.tried = [*(attempt.request.tried or []), attempt.view]
                self._dispatch(now, attempt.request)

    # What happens.

    def run(self) -> None:
        """Until all that arrives has been answered."""
        events = self._events
        waiting = self._waiting
        arrival = self._next(START_US)
        while True:
            while waiting and waiting[0].is_over:
                waiting.popleft()
            deadline = waiting[0].asked + self._timeout_us if waiting else _NEVER
            event = events[0][0] if events else _NEVER
            if event <= arrival and event <= deadline:
                if event == _NEVER:
                    return
                what = heappop(events)[2]
                if type(what) is Attempt:
                    self._served(event, what)
                else:
                    what(event)
            elif arrival <= deadline:
                self._arrive(arrival)
                arrival = self._next(arrival)
            else:
                self._over(deadline, waiting.popleft(), True, False)

    def _next(self, now: int) -> int:
        scenario = self._scenario
        gap = 1 / scenario.rate if scenario.arrivals == "fixed" else self._chance.expovariate(scenario.rate)
        arrival = now + max(int(gap * 1e6), 1)
        return arrival if arrival < self._end else _NEVER

    def _arrive(self, now: int) -> None:
        random = self._chance.random
        worker = self.workers[int(random() * len(self.workers))]
        client = 0 if random() < self._scenario.hot else int(random() * len(self._keys))
        self._dispatch(now, Request(now, client, self._keys[client], worker))

    def _dispatch(self, now: int, request: Request) -> None:
        pool = request.worker.pool
        probe = self.ejector.probe(request) if self.ejector else None
        view = probe or pool.pick(request.key, request.tried, now)
        if view is None:
            self.record.add(request, now, None)
            return
        assert isinstance(view, View)
        request.attempts += probe is None
        attempt = Attempt(request, view, now)
        if self.ejector and probe is not None:
            attempt.is_probe = True
            self._at(now + self.ejector.probe_us(), self._limit(attempt))
        pool.begin(view, now)
        self._waiting.append(attempt)
        server = view.server
        server.taken += 1
        if server.mode.hangs:
            return
        if server.busy < server.group.concurrency:
            self._serve(now, server, attempt)
        else:
            server.queue.append(attempt)

    def _serve(self, now: int, server: Server, attempt: Attempt) -> None:
        server.busy += 1
        us, attempt.is_failure = server.work(now)
        self._order += 1
        heappush(self._events, (now + us, self._order, attempt))

    def _served(self, now: int, attempt: Attempt) -> None:
        server = attempt.view.server
        server.busy -= 1
        while server.queue:
            following = server.queue.popleft()
            if not following.is_over:  # nobody waits for it any longer
                self._serve(now, server, following)
                break
        if not attempt.is_over:
            self._over(now, attempt, attempt.is_failure, True)

    def _limit(self, attempt: Attempt) -> Callable[[int], None]:
        def end(now: int) -> None:
            if not attempt.is_over:
                self._over(now, attempt, True, False)

        return end

    def _over(self, now: int, attempt: Attempt, is_failure: bool, is_answered: bool) -> None:
        attempt.is_over = True
        request = attempt.request
        pool = request.worker.pool
        view = attempt.view
        took = now - attempt.asked
        if is_answered:
            pool.answered(view, now, took, 500 if is_failure else 200)
        else:
            pool.failed(view, now, took, "upstream-timeout")
        pool.end(view, is_answered)
        if self.ejector and attempt.is_probe:
            self.ejector.probed(view.address, is_failure, took, now)
            if is_failure:
                self._dispatch(now, request)
                return
        if not is_failure:
            self.record.add(request, now, view.address)
        elif request.attempts < self._scenario.attempts:
            request.tried = [*(request.tried or []), view]
            self._dispatch(now, request)
        else:
            self.record.add(request, now, None)


def _seeded(spec: str, seed: int) -> Policy:
    """A policy whose chances are the same in every run; one from a file has its own."""
    if spec not in balance.POLICIES:
        return balance.load(spec, Path.cwd())
    build = cast(_Seeded, balance.POLICIES[spec])

    def policy(endpoints: Sequence[Candidate], previous: Picker | None) -> Picker:
        return build(endpoints, previous, seed)

    return policy
