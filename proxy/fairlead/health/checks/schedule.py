"""Whose turn it is: checks in the order of their times, spread so that many endpoints are not checked at once.

Pure: the time is given, in microseconds. The first check of an endpoint comes at a place within the interval that a
hash of its address gives, and the next ones keep their distance from it, more or less by the jitter: so 10,000
endpoints that are found in one moment are checked one after the other from their first check on. The hash has a salt,
so that the replicas of Fairlead do not all come to an endpoint in the same moment.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from hashlib import blake2b
from itertools import count
from typing import Final, Generic, TypeVar, final

_T = TypeVar("_T")
_WHOLE: Final = 1 << 64


def place(name: str, salt: bytes) -> float:
    """Where within an interval the checks of this endpoint begin: from 0 up to 1."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8, salt=salt).digest(), "big") / _WHOLE


def spread(delay_us: int, jitter: float, random: Callable[[], float]) -> int:
    """The delay, longer or shorter by up to the share `jitter`; `random` gives a number from 0 to 1."""
    return round(delay_us * (1 + jitter * (2 * random() - 1)))


@final
class Schedule(Generic[_T]):
    """Who is due when. Of those that are due at the same time the one that was added first is first."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, _T]] = []
        self._added = count()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due_us: int, who: _T) -> None:
        heapq.heappush(self._heap, (due_us, next(self._added), who))

    def next_us(self) -> int | None:
        """When the next one is due, None when there is nobody."""
        return self._heap[0][0] if self._heap else None

    def take(self, now_us: int) -> _T | None:
        """The next one whose time has come; it is no longer in the schedule."""
        if not self._heap or self._heap[0][0] > now_us:
            return None
        return heapq.heappop(self._heap)[2]

    def keep(self, is_kept: Callable[[_T], bool]) -> None:
        """Forget all but these."""
        self._heap = [entry for entry in self._heap if is_kept(entry[2])]
        heapq.heapify(self._heap)
