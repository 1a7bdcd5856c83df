"""A service in virtual time behind a limiter: so many workers, what a request takes of one, and how many come.

Owns the clock and the load; the limiter is the proxy's own. `python -m dataplane.simulated` prints the table of
docs/protection.md.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from fairlead.dataplane.limiter import Limiter

Times = Callable[[random.Random], float]  # seconds that a request takes of a worker


def always(seconds: float) -> Times:
    return lambda _: seconds


def exponential(seconds: float) -> Times:
    return lambda dice: dice.expovariate(1 / seconds)


def mixed(seconds: float) -> Times:
    """Nine of ten are quick, the tenth takes a hundred times as long."""
    return lambda dice: dice.expovariate(1 / (seconds / 10.9)) * (100 if dice.random() < 0.1 else 1)


@dataclass
class Run:
    """What was seen: when each admitted request came and how long it took, and how many were refused."""

    took: list[tuple[float, float]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    limits: list[tuple[float, float]] = field(default_factory=list)

    def goodput(self, start: float, end: float) -> float:
        return sum(start <= at + took < end for at, took in self.took) / (end - start)

    def quantile(self, q: float, start: float, end: float) -> float:
        times = sorted(took for at, took in self.took if start <= at < end)
        return times[min(int(q * len(times)), len(times) - 1)]

    def refusals(self, start: float, end: float) -> int:
        return sum(start <= at < end for at in self.refused)


class World:
    """A service of `workers`, each of which takes `times` for a request; both may be changed while it runs."""

    def __init__(self, workers: int, times: Times, limiter: Limiter | None, seed: int = 1) -> None:
        self.workers = workers
        self.times = times
        self.limiter = limiter
        self.run = Run()
        self.now = 1.0
        self._dice = random.Random(seed)
        self._line: deque[float] = deque()  # when each was sent
        self._busy = 0
        self._ends: list[tuple[float, float]] = []  # (when, when it was sent)

    def load(self, rate: float, seconds: float) -> None:
        """So many requests a second for so long, at random moments; none of them is sent again."""
        end = self.now + seconds
        arrival = self.now + self._dice.expovariate(rate) if rate else end
        while True:
            done = self._ends[0][0] if self._ends else end
            if min(arrival, done) >= end:
                break
            if arrival <= done:
                self.now = arrival
                self._arrive()
                arrival = self.now + self._dice.expovariate(rate)
            else:
                self.now = done
                self._finish()
        self.now = end

    def _arrive(self) -> None:
        if self.limiter is not None:
            if not self.limiter.has_room():
                self.run.refused.append(self.now)
                return
            self.limiter.begin()
        if self._busy < self.workers:
            self._begin(self.now)
        else:
            self._line.append(self.now)

    def _begin(self, sent: float) -> None:
        self._busy += 1
        heapq.heappush(self._ends, (self.now + self.times(self._dice), sent))

    def _finish(self) -> None:
        _, sent = heapq.heappop(self._ends)
        self._busy -= 1
        self.run.took.append((sent, self.now - sent))
        if self.limiter is not None:
            self.limiter.answered(int(self.now * 1e6), int((self.now - sent) * 1e6), False)
            self.run.limits.append((self.now, self.limiter.limit))
        while self._line and self._busy < self.workers:
            self._begin(self._line.popleft())


def overload(workers: int, times: Times, mean_s: float, seed: int = 1) -> tuple[float, float, float]:
    """At twice the capacity after a calm minute: goodput as a share of it, and p99 of the admitted and calm, in s."""
    world = World(workers, times, Limiter(), seed)
    capacity = workers / mean_s
    world.load(capacity * 0.5, 30)
    calm = world.run.quantile(0.99, 1, 31)
    world.load(capacity * 2, 120)
    return world.run.goodput(41, 151) / capacity, world.run.quantile(0.99, 41, 151), calm


def main() -> None:
    print("| workers | a request takes | goodput | p99 | p99 when calm | ratio |")
    print("|---|---|---|---|---|---|")
    for name, make in (("always", always), ("exponential", exponential), ("mixed", mixed)):
        for workers, mean_s in ((4, 0.01), (8, 0.01), (50, 0.01), (8, 0.1)):
            good, p99_s, calm_s = overload(workers, make(mean_s), mean_s)
            took = f"{mean_s * 1000:g} ms, {name}"
            times = f"{p99_s * 1000:.0f} ms | {calm_s * 1000:.0f} ms | {p99_s / calm_s:.2f}"
            print(f"| {workers} | {took} | {good:.1%} | {times} |")


if __name__ == "__main__":
    main()
