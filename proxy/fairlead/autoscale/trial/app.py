"""The app of a trial: pods that start, are cold, serve so many requests at once and queue the others.

Owns virtual time between two looks. Requests arrive at random and go to the less busy of two pods, as Fairlead would
send them. Invariant: the same scenario and seed give the same arrivals, whoever scales.
"""

from __future__ import annotations

import math
from collections import deque
from heapq import heappop, heappush
from random import Random
from typing import Final

from fairlead.autoscale.trial.scenario import Scenario
from fairlead.observe.histogram import Histogram

_SIGMA: Final = 0.5


class Pod:
    """One. `ready_s` is when it becomes ready."""

    def __init__(self, ready_s: float) -> None:
        self.ready_s = ready_s
        self.busy = 0
        self.queue: deque[float] = deque()  # when they arrived
        self.is_ending = False

    @property
    def in_flight(self) -> int:
        return self.busy + len(self.queue)


class App:
    """All pods, and what has been counted since the start."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.pods = [Pod(-3600.0) for _ in range(scenario.replicas)]
        self.histogram = Histogram()
        self.done = self.late = self.failed = 0
        self.now_s = 0.0
        self._scenario = scenario
        self._arrivals = Random(f"{seed} arrivals")
        self._work = Random(f"{seed} work")
        self._choice = Random(f"{seed} choice")
        self._events: list[tuple[float, int, Pod, float]] = []  # when, in which order, where, and when it arrived
        self._order = 0
        self._next_s = self._after(0.0)

    def ready(self) -> list[Pod]:
        return [pod for pod in self.pods if pod.ready_s <= self.now_s and not pod.is_ending]

    def scale(self, count: int) -> None:
        """New pods begin to start; the newest end, when they have served what they have."""
        living = [pod for pod in self.pods if not pod.is_ending]
        for _ in range(count - len(living)):
            self.pods.append(Pod(self.now_s + self._scenario.start_s))
        for pod in living[count:]:
            pod.is_ending = True
        self.pods = [pod for pod in self.pods if not pod.is_ending or pod.in_flight]

    def replicas(self) -> int:
        return sum(not pod.is_ending for pod in self.pods)

    def run(self, until_s: float) -> None:
        """Let time pass."""
        ready = self._ready_at(self.now_s)
        changes = sorted(pod.ready_s for pod in self.pods if self.now_s < pod.ready_s <= until_s)
        while True:
            event_s = self._events[0][0] if self._events else math.inf
            moment_s = min(event_s, self._next_s)
            if moment_s > until_s:
                break
            while changes and changes[0] <= moment_s:
                ready = self._ready_at(changes.pop(0))
            if event_s <= self._next_s:
                self._end(*heappop(self._events))
            else:
                self._arrive(self._next_s, ready)
                self._next_s = self._after(self._next_s)
        self.now_s = until_s
        self._give_up()

    def _ready_at(self, at_s: float) -> list[Pod]:
        return [pod for pod in self.pods if pod.ready_s <= at_s and not pod.is_ending]

    def _after(self, at_s: float) -> float:
        """The next arrival: at the highest rate, thinned to that of the moment."""
        highest = max(point.rate for point in self._scenario.load)
        while at_s < self._scenario.seconds_s:
            at_s += self._arrivals.expovariate(highest)
            if self._arrivals.random() * highest < self._scenario.rate(at_s):
                return at_s
        return math.inf

    def _arrive(self, at_s: float, ready: list[Pod]) -> None:
        if not ready:
            self._fail(0.0)
            return
        first, second = self._choice.choice(ready), self._choice.choice(ready)
        pod = first if first.in_flight <= second.in_flight else second
        if pod.busy < self._scenario.concurrency:
            self._begin(at_s, pod, at_s)
        else:
            pod.queue.append(at_s)

    def _begin(self, at_s: float, pod: Pod, arrived_s: float) -> None:
        pod.busy += 1
        takes_s = self._takes_s(at_s, pod)
        self._order += 1
        heappush(self._events, (at_s + takes_s, self._order, pod, arrived_s))

    def _end(self, at_s: float, _: int, pod: Pod, arrived_s: float) -> None:
        pod.busy -= 1
        took_s = at_s - arrived_s
        self.histogram.record(int(took_s * 1e6))
        self.done += 1
        self.late += took_s > self._scenario.objective_s
        if pod.queue:
            self._begin(at_s, pod, pod.queue.popleft())

    def _takes_s(self, at_s: float, pod: Pod) -> float:
        scenario = self._scenario
        takes_s = scenario.time_s * scenario.slower(at_s)
        if scenario.warm_after_s:
            takes_s *= 1 + (scenario.cold - 1) * max(1 - (at_s - pod.ready_s) / scenario.warm_after_s, 0)
        if scenario.spread == "exponential":
            return takes_s * self._work.expovariate(1.0)
        if scenario.spread == "lognormal":
            return takes_s * self._work.lognormvariate(-_SIGMA * _SIGMA / 2, _SIGMA)  # whose mean is 1
        return takes_s

    def _give_up(self) -> None:
        """Who has waited too long goes away with an error; those that are served are served to their end."""
        limit_s = self.now_s - self._scenario.timeout_s
        for pod in self.pods:
            while pod.queue and pod.queue[0] < limit_s:
                pod.queue.popleft()
                self._fail(self._scenario.timeout_s)

    def _fail(self, after_s: float) -> None:
        self.histogram.record(int(after_s * 1e6))
        self.failed += 1
