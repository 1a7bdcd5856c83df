"""Where an endpoint stands after a row of checks: one table, and two thresholds.

Pure: a history and a result give the next history. What it means for the traffic is said in wording.py.

             `rise` passes in a row            `fall` failures in a row
  UNKNOWN ──────────────────────────▶ UP ◀─────────────────────────────▶ DOWN ◀── UNKNOWN, WAITING
  WAITING ──────────────────────────▶      (and back by `rise` passes)

Invariant: nothing but so many equal results in a row changes a standing, and a standing that is left is reached again
only by its own threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from fairlead.health.checks.settings import MOST_IN_A_ROW, CheckSettings


class Standing(StrEnum):
    """What the checks of an endpoint have come to."""

    UNKNOWN = "unknown"  # too few to say: what its source says counts
    WAITING = "waiting"  # too few to say, and it is not used before
    UP = "up"
    DOWN = "down"


MOVES: Final[Mapping[tuple[Standing, bool], Standing]] = {
    (Standing.UNKNOWN, True): Standing.UP,
    (Standing.UNKNOWN, False): Standing.DOWN,
    (Standing.WAITING, True): Standing.UP,
    (Standing.WAITING, False): Standing.DOWN,
    (Standing.UP, False): Standing.DOWN,
    (Standing.DOWN, True): Standing.UP,
}  # by whether enough in a row have passed or failed; any pair not listed stays


@final
@dataclass(frozen=True, slots=True)
class History:
    """A standing, and how many checks in a row have passed or failed, counted up to what a threshold may be."""

    standing: Standing
    in_a_row: int = 0
    has_passed: bool = True  # which of the two

    def after(self, passed: bool, fall: int, rise: int) -> History:
        """The history with one more check."""
        in_a_row = self.in_a_row + 1 if passed is self.has_passed else 1
        if in_a_row > MOST_IN_A_ROW:
            return self
        standing = self.standing
        if in_a_row >= (rise if passed else fall):
            standing = MOVES.get((standing, passed), standing)
        return History(standing, in_a_row, passed)

    @property
    def is_changing(self) -> bool:
        """Whether a few more checks like the last one would change the standing."""
        return self.in_a_row == 0 or (self.standing, self.has_passed) in MOVES


def begun(settings: CheckSettings) -> History:
    """The history of an endpoint that was never checked."""
    return History(Standing.WAITING if settings.initial == "down" else Standing.UNKNOWN)


def delay_s(history: History, settings: CheckSettings) -> float:
    """From the start of a check that led to this history to the next."""
    if history.is_changing:
        return min(settings.fast_interval_s, settings.interval_s)
    return settings.interval_s if history.standing is Standing.UP else settings.down_interval_s
