"""What happens to the backends and when: a kill and a return about every ten seconds, and now and then a slow one.

Pure: gives moments, and neither waits for them nor does anything. Invariant: at most one backend is dead at a time, and
none is dead and slow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Final, final

_TURN_S: Final = 10.0
_KILL_S: Final = (3.0, 7.0)  # of a turn: from when to when a backend is dead
_SLOW_S: Final = (2.0, 8.0)
_TURNS: Final = 3  # the last of so many has the slow backend


class Deed(StrEnum):
    """What is done to a backend."""

    KILL = "kill"
    RESTORE = "restore"
    SLOW = "slow"
    QUICK = "quick"


@final
@dataclass(frozen=True, slots=True)
class Act:
    """A deed, `at_s` seconds after the start."""

    at_s: float
    deed: Deed
    name: str


def acts(names: Sequence[str], seconds: float) -> Iterator[Act]:
    """All acts, in order, without end. A demo shorter than a turn has them closer together, so that it shows some."""
    pace = min(1.0, seconds / _TURN_S) if seconds > 0 else 1.0
    for turn in count():
        name = names[(turn + turn // _TURNS) % len(names)]  # each backend meets both fates in time
        is_slow = turn % _TURNS == _TURNS - 1
        begin, end = _SLOW_S if is_slow else _KILL_S
        yield Act((turn * _TURN_S + begin) * pace, Deed.SLOW if is_slow else Deed.KILL, name)
        yield Act((turn * _TURN_S + end) * pace, Deed.QUICK if is_slow else Deed.RESTORE, name)
