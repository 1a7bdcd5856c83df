"""The inhabitants of a simulation: endpoints with their queues, workers with their pools, and requests.

Owns how long a request takes at an endpoint. Nothing of balancing is done here: a worker has a `Pool` and the policy's
own picker, as in the data plane.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from math import exp, log
from random import Random
from typing import Final

from fairlead.balance import Candidate, Picker, Policy
from fairlead.balance.pool import Pool
from fairlead.simulate.scenario import Change, Group, Scenario

START_US: Final = 3_600_000_000  # no clock stands at 0 when a process starts
_AS_EVER: Final = Change(at_s=0.0)


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


class WatchedPool(Pool):
    """A pool that tells which endpoint fails: set `tell`."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.tell: Callable[[Candidate, str, str, int], None] | None = None

    def on_failing(self, endpoint: Candidate, reason: str, last: str, now: int) -> None:
        if self.tell is not None:
            self.tell(endpoint, reason, last, now)


class Worker:
    """A worker of the proxy: a pool, the picker in it, and the endpoints that it keeps away from by its own word."""

    def __init__(self, scenario: Scenario, policy: Policy, servers: Sequence[Server], seed: int) -> None:
        self.pool = WatchedPool(seed)
        self.pool.max_load = scenario.max_load
        self.kept_out: set[str] = set()
        self.views = {server.address: View(server) for server in servers}
        self._slow_start_us = int(scenario.slow_start_s * 1e6)
        self._policy = policy
        self._picker: Picker | None = None

    def rebuild(self, present: Sequence[Server], ejected: Collection[str], now: int) -> None:
        """These endpoints may serve now, but for those that are ejected, here or for all."""
        views = [self.views[server.address] for server in present if server.address not in ejected]
        views = [view for view in views if view.address not in self.kept_out] or views
        self._picker = self._policy(views, self._picker)
        self.pool.swap(self._picker, views, now, self._slow_start_us)


class Request:
    """What a client waits for."""

    __slots__ = ("arrived", "attempts", "client", "key", "tried", "was_probe", "worker")

    def __init__(self, arrived: int, client: int, key: int, worker: Worker) -> None:
        self.arrived = arrived
        self.client = client
        self.key = key
        self.worker = worker
        self.attempts = 0
        self.was_probe = False
        self.tried: list[Candidate] | None = None


class Attempt:
    """A request at an endpoint, until that answers or the time is over."""

    __slots__ = ("asked", "is_failure", "is_over", "is_probe", "request", "view")

    def __init__(self, request: Request, view: View, asked: int) -> None:
        self.request = request
        self.view = view
        self.asked = asked
        self.is_probe = False
        self.is_failure = False
        self.is_over = False
