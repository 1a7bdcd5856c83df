"""When the supervisor's totals are looked at: once in a step, and again when somebody asks, if there is anything new.

Owns the one place where clocks are read. Never asks the workers: they report once a second by themselves, and a figure
of 30 seconds does not get better by being a second younger.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol, final

from fairlead.autoscale.samples import sample
from fairlead.autoscale.window import Window
from fairlead.model import Snapshot
from fairlead.observe.totals import Totals

_SAMPLES: Final = 30  # in a window; more would only cost memory
_SHORTEST_S: Final = 1.0  # how often workers report


class Supervised(Protocol):
    """What is read of the supervisor. `reported` is when a worker last did, on the monotonic clock; 0 before."""

    @property
    def snapshot(self) -> Snapshot: ...

    @property
    def reported(self) -> float: ...

    def totals(self) -> Totals: ...


@final
class Sampler:
    """Fills a window for as long as it runs."""

    def __init__(self, supervised: Supervised, window: Window) -> None:
        self._supervised = supervised
        self._window = window
        self._taken = 0.0

    async def run(self) -> None:
        while True:
            self.take()
            await asyncio.sleep(max(self._window.length_s / _SAMPLES, _SHORTEST_S))

    def take(self) -> None:
        """Take a sample, if a worker has reported since the last."""
        reported = self._supervised.reported
        if reported > self._taken:
            self._taken = reported
            at = time.time() - (time.monotonic() - reported)
            self._window.add(sample(self._supervised.totals(), self._supervised.snapshot, at, reported))
