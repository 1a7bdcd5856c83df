"""random: any endpoint with equal chance. Needs no state in common, so many proxies do not fall into step."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cython

if cython.compiled:
    from cython.cimports.fairlead.balance.seam import Candidate, Picker, Prng
else:
    from fairlead.balance.seam import Candidate, Picker, Prng

_DRAWS = 8  # of endpoints that may have been tried; after so many the neighbours are looked at


class RandomChoice(Picker):
    """See the module."""

    ignores_latency = True

    def __init__(self, endpoints: Sequence[Candidate], previous: Picker | None = None, seed: int | None = None) -> None:
        self._endpoints = list(endpoints)
        self._prng = Prng(seed)

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        size = len(self._endpoints)
        if size == 0:
            return None
        for _ in range(_DRAWS):
            endpoint = self._endpoints[self._prng.below(size)]
            if tried is None or endpoint not in tried:
                return endpoint
        start = self._prng.below(size)
        for i in range(start, start + size):  # ends after as many steps as were tried, and one
            endpoint = self._endpoints[i if i < size else i - size]
            if tried is None or endpoint not in tried:
                return endpoint
        return None
