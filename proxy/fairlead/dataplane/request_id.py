"""Request ids: unique over workers and restarts, and cheap: 64 random bits of the worker and a counter of 48 bits."""

from __future__ import annotations

import os

_LOW = [b"%03x" % i for i in range(4096)]


class RequestIds:
    """Gives ids of 28 hexadecimal digits, in rising order."""

    def __init__(self) -> None:
        self._worker = os.urandom(8).hex().encode()
        self._turn = -1
        self._low = len(_LOW)

    def take(self) -> bytes:
        if self._low == len(_LOW):
            self._low = 0
            self._turn += 1
            self._high = self._worker + b"%09x" % self._turn
        self._low += 1
        return self._high + _LOW[self._low - 1]
