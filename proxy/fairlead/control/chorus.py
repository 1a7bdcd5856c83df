"""Says once what many services say at the same moment.

An API that is away concerns every service that follows it: a thousand equal lines would hide what else there is.
The first few are told one by one, the others as a number. Holds what was said in the last moment and nothing older.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, final

_SOLOS: Final = 5  # so many of the same are told one by one
_MOMENT_S: Final = 1.0


@final
class Chorus:
    """`sum_up` is called, from the loop, with what the others said and how many they were."""

    def __init__(self, sum_up: Callable[[str, int], None]) -> None:
        self._sum_up = sum_up
        self._voices: dict[str, int] = {}

    def is_solo(self, what: str) -> bool:
        """Whether this one is to be told by itself; else it will be part of a sum."""
        count = self._voices.get(what, 0)
        self._voices[what] = count + 1
        if not count:
            asyncio.get_running_loop().call_later(_MOMENT_S, self._end, what)
        return count < _SOLOS

    def _end(self, what: str) -> None:
        others = self._voices.pop(what) - _SOLOS
        if others > 0:
            self._sum_up(what, others)
