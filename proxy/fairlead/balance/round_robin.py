"""round-robin: each endpoint in its turn, whatever its weight."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cython

if cython.compiled:
    from cython.cimports.fairlead.balance.seam import Candidate, Picker
else:
    from fairlead.balance.seam import Candidate, Picker

from fairlead.balance.seam import Prng


class RoundRobin(Picker):
    """Starts anywhere, so that many workers do not all begin with the same endpoint; goes on where it was."""

    def __init__(self, endpoints: Sequence[Candidate], previous: Picker | None = None, seed: int | None = None) -> None:
        self._endpoints = list(endpoints)
        if not self._endpoints:
            self._next = 0
        elif isinstance(previous, RoundRobin):
            self._next = previous.position() % len(self._endpoints)
        else:
            self._next = Prng(seed).below(len(self._endpoints))

    def position(self) -> int:
        """The place of the endpoint whose turn is next."""
        return self._next

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        size = len(self._endpoints)
        for _ in range(size):
            i = self._next
            endpoint = self._endpoints[i]
            self._next = i + 1 if i + 1 < size else 0
            if tried is None or endpoint not in tried:
                return endpoint
        return None
