"""The inhabitants of a simulation: endpoints with their queues, workers with their pools, and requests.

Owns how long a request takes at an endpoint. Nothing of balancing is done here: a worker has a `Pool` and the policy's
own picker, as in the data plane.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from math import exp, log
from random import Random
from typing import Final, Protocol

from fairlead.balance import Candidate, Picker, Policy
from fairlead.balance.pool import Pool
from fairlead.simulate.scenario import Change, Group, Scenario

START_US: Final = 3_600_000_000  # no clock stands at 0 when a process starts
_AS_EVER: Final = Change(at_s=0.0)


class Watcher(Protocol):
    """What looks at every outcome in one worker and may take endpoints out there: the seam for ejection.

    Either method gives the addresses that this worker must not use from now on, or None when that has not changed.
    """

    def outcome(self, address: str, now_us: int, took_us: int, is_failure: bool) -> Collection[str] | None:
        """An endpoint has answered a request, or failed to."""

    def tick(self, now_us: int) -> Collection[str] | None:
        """A tenth of a second has passed."""


class Server:
    """An endpoint: what it serves at once, what queues there, and how it behaves now."""

    def __init__(self, group: Group, number: int, chance: Random) -> None:
        self.group = group
        self.address = f"{group.name}-{number + 1}" if group.count > 1 else group.name
        later = number * group.step_s
        self.from_us = START_US + int((group.from_s + later) * 1e6) if group.from_s else 0
        self.until_us = START_US + int((group.until_s + later) * 1e6) if group.until_s else 0
        self.mode = _AS_EVER
        self.busy = 0
        self.queue: deque[Attempt] = deque()
        self.taken = 0  # requests that were sent here
        self._chance = chance

    def work(self, now: int) -> tuple[int, bool]:
        """How many microseconds the next request takes, and whether it fails then."""
        mode = self.mode
        if mode.fails and self._chance.random() < mode.fails:
            return int(mode.takes_s * 1e6) + 1, True
        group = self.group
        us = group.time_s * 1e6 * mode.slower
        if group.warm_after_s:
            age = (now - self.from_us) / (group.warm_after_s * 1e6)
            us *= 1 + (group.cold - 1) * max(1 - age, 0)
        if group.spread == "exponential":
            us *= -log(1 - self._chance.random())
        elif group.spread == "lognormal":
            us *= exp(self._chance.gauss(-0.5, 1))  # whose mean is 1
        return int(us) + 1, False


class View(Candidate):
    """An endpoint as one worker knows it."""

    def __init__(self, server: Server) -> None:
        Candidate.__init__(self, server.address, server.group.weight)
        self.server = server


class Worker:
    """A worker of the proxy: a pool, the picker in it, and what watches it."""

    def __init__(self, scenario: Scenario, policy: Policy, servers: Sequence[Server], seed: int) -> None:
        self.pool = Pool(seed)
        self.pool.max_load = scenario.max_load
        self.watcher: Watcher | None = None
        self.ejected: Collection[str] = ()
        self._slow_start_us = int(scenario.slow_start_s * 1e6)
        self._policy = policy
        self._picker: Picker | None = None
        self._views = {server.address: View(server) for server in servers}

    def rebuild(self, present: Sequence[Server], now: int) -> None:
        """These endpoints may serve now, but for those ejected here."""
        views = [self._views[server.address] for server in present if server.address not in self.ejected]
        self._picker = self._policy(views, self._picker)
        self.pool.swap(self._picker, views, now, self._slow_start_us)


class Request:
    """What a client waits for."""

    __slots__ = ("arrived", "attempts", "client", "key", "tried", "worker")

    def __init__(self, arrived: int, client: int, key: int, worker: Worker) -> None:
        self.arrived = arrived
        self.client = client
        self.key = key
        self.worker = worker
        self.attempts = 0
        self.tried: list[Candidate] | None = None


class Attempt:
    """A request at an endpoint, until that answers or the time is over."""

    __slots__ = ("asked", "is_failure", "is_over", "request", "view")

    def __init__(self, request: Request, view: View, asked: int) -> None:
        self.request = request
        self.view = view
        self.asked = asked
        self.is_failure = False
        self.is_over = False
