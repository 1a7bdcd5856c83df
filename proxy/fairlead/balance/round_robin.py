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
    """Starts anywhere, so that many workers do not all begin with the same endpoint.

    After a change the turns go on: who was there keeps the place, so nobody is served twice while others wait, and new
    endpoints wait for all but the one that was served last.
    """

    ignores_latency = True

    def __init__(self, endpoints: Sequence[Candidate], previous: Picker | None = None, seed: int | None = None) -> None:
        new = {endpoint.address: endpoint for endpoint in endpoints}
        order = previous.order() if isinstance(previous, RoundRobin) else []
        kept = [new.pop(address) for address in order if address in new]
        self._endpoints = kept[:-1] + list(new.values()) + kept[-1:]
        self._next = 0 if kept or not new else Prng(seed).below(len(new))

    def order(self) -> list[str]:
        """The addresses by their turns, the next one first."""
        return [endpoint.address for endpoint in self._endpoints[self._next :] + self._endpoints[: self._next]]

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        size = len(self._endpoints)
        for _ in range(size):
            i = self._next
            endpoint = self._endpoints[i]
            self._next = i + 1 if i + 1 < size else 0
            if tried is None or endpoint not in tried:
                return endpoint
        return None
