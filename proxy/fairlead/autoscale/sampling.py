"""When the supervisor's totals are looked at: once a second, and when somebody asks, if there is anything new.

Owns the one place where clocks are read. Never asks the workers: they report once a second by themselves, and a figure
of 30 seconds does not get better by being a second younger.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol, final

from fairlead.autoscale.samples import Looks, Sample, sample
from fairlead.model import Snapshot
from fairlead.observe.totals import Totals

_LOOK_S: Final = 1.0  # how often workers report


class Supervised(Protocol):
    """What is read of the supervisor. `reported` is when a worker last did, on the monotonic clock; 0 before."""

    @property
    def snapshot(self) -> Snapshot: ...

    @property
    def reported(self) -> float: ...

    def totals(self) -> Totals: ...


@final
class Sampler:
    """Gives samples, in the order of their clocks, for as long as it runs; one every `step_s`."""

    def __init__(self, supervised: Supervised, step_s: float, take: Callable[[Sample], None]) -> None:
        self._supervised = supervised
        self._step_s = step_s
        self._give = take
        self._looks = Looks()
        self._looked = 0.0
        self._taken = 0.0

    async def run(self) -> None:
        """Look once a second at what is in flight, which is cheap, and a few times in a window at everything."""
        while True:
            self._look()
            if self._looked - self._taken >= self._step_s:
                self.take()
            await asyncio.sleep(_LOOK_S)

    def take(self) -> None:
        """Take a sample, if a worker has reported since the last."""
        totals = self._look() or self._supervised.totals()
        reported = self._supervised.reported
        if reported > self._taken:
            self._taken = reported
            at = time.time() - (time.monotonic() - reported)
            self._give(sample(totals, self._supervised.snapshot, self._looks, at, reported))

    def _look(self) -> Totals | None:
        reported = self._supervised.reported
        if reported <= self._looked:
            return None
        self._looked = reported
        totals = self._supervised.totals()
        self._looks.look(totals)
        return totals
