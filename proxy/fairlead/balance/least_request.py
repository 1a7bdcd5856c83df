"""least-request: of two distinct endpoints chosen at random, the one with fewer requests in flight for its weight.

Two choices come close to the least of all at constant cost, and unlike it do not send every proxy to the same
endpoint at once (Mitzenmacher 2001; Envoy's least_request with choice_count 2).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cython

if cython.compiled:
    from cython.cimports.fairlead.balance.seam import Candidate, Picker, Prng
else:
    from fairlead.balance.seam import Candidate, Picker, Prng


class LeastRequest(Picker):
    """See the module. Equal load is broken by weight, so idle endpoints get requests in proportion to it."""

    def __init__(self, endpoints: Sequence[Candidate], previous: Picker | None = None, seed: int | None = None) -> None:
        self._endpoints = list(endpoints)
        self._prng = Prng(seed)

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        size = len(self._endpoints)
        if tried is not None or size < 2:
            return self._untried(tried)
        i = self._prng.below(size)
        j = self._prng.below(size - 1)
        if j >= i:
            j += 1
        a = self._endpoints[i]
        b = self._endpoints[j]
        return self._better(a, b)

    def _better(self, a: Candidate, b: Candidate) -> Candidate:
        load_a = a.in_flight * b.weight
        load_b = b.in_flight * a.weight
        if load_a != load_b:
            return a if load_a < load_b else b
        return a if self._prng.below(a.weight + b.weight) < a.weight else b

    def _untried(self, tried: Collection[Candidate] | None) -> Candidate | None:
        """The better of two that were not tried. A retry is rare: it may look at them all."""
        left = [e for e in self._endpoints if tried is None or e not in tried]
        if len(left) < 2:
            return left[0] if left else None
        i = self._prng.below(len(left))
        j = (i + 1 + self._prng.below(len(left) - 1)) % len(left)
        return self._better(left[i], left[j])
