"""random: any endpoint with equal chance. Needs no state in common, so many proxies do not fall into step."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cython

if cython.compiled:
    from cython.cimports.fairlead.balance.seam import Candidate, Picker, Prng
else:
    from fairlead.balance.seam import Candidate, Picker, Prng


class RandomChoice(Picker):
    """See the module."""

    def __init__(self, endpoints: Sequence[Candidate], previous: Picker | None = None, seed: int | None = None) -> None:
        self._endpoints = list(endpoints)
        self._prng = Prng(seed)

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        size = len(self._endpoints)
        if size == 0:
            return None
        start = self._prng.below(size)
        for i in range(start, start + size):
            endpoint = self._endpoints[i if i < size else i - size]
            if tried is None or endpoint not in tried:
                return endpoint
        return None
