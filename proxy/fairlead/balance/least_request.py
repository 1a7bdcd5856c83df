"""least-request: of two distinct endpoints chosen at random, the one with fewer requests in flight for its weight.

Two choices come close to the least of all at constant cost, and unlike it do not send every proxy to the same
endpoint at once (Mitzenmacher 2001; Envoy's least_request with choice_count 2). Both are drawn in proportion to the
weights, and of two that are as busy the first is taken: so idle endpoints get exactly what their weights say.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import accumulate

import cython

if cython.compiled:
    from cython.cimports.fairlead.balance.seam import Candidate, Picker, Prng
else:
    from fairlead.balance.seam import Candidate, Picker, Prng

_DRAWS = 8  # of endpoints that may have been tried, or drawn already; after so many the neighbours are looked at


class LeastRequest(Picker):
    """See the module. A draw costs one random number when all weights are equal, else a binary search as well."""

    ignores_latency = True

    def __init__(self, endpoints: Sequence[Candidate], previous: Picker | None = None, seed: int | None = None) -> None:
        self._endpoints = list(endpoints)
        self._prng = Prng(seed)
        self._sums: list[int] | None = None
        self._total = len(self._endpoints)
        if len({endpoint.weight for endpoint in endpoints}) > 1:
            self._sums = list(accumulate(endpoint.weight for endpoint in endpoints))
            self._total = self._sums[-1]

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        if self._total == 0:
            return None
        first = self._draw(None, tried)
        if first is None:
            return None
        second = self._draw(first, tried)
        if second is None:
            return first
        return second if self._is_better(second, first) else first

    def _is_better(self, one: Candidate, other: Candidate) -> bool:
        """Whether `one` is to be taken and not `other`. Equals are not, so that the weights decide among them."""
        return one.in_flight * other.weight < other.in_flight * one.weight

    def _draw(self, other: Candidate | None, tried: Collection[Candidate] | None) -> Candidate | None:
        """An endpoint that is neither `other` nor one of `tried`."""
        for _ in range(_DRAWS):
            i = self._prng.below(self._total)
            if self._sums is not None:
                i = bisect_right(self._sums, i)
            endpoint = self._endpoints[i]
            if endpoint is not other and (tried is None or endpoint not in tried):
                return endpoint
        return self._walk(other, tried)

    def _walk(self, other: Candidate | None, tried: Collection[Candidate] | None) -> Candidate | None:
        """The same when few are left, or one outweighs the rest: from anywhere on, past as many as do not count."""
        size = len(self._endpoints)
        start = self._prng.below(size)
        for i in range(start, start + size):
            endpoint = self._endpoints[i if i < size else i - size]
            if endpoint is not other and (tried is None or endpoint not in tried):
                return endpoint
        return None
