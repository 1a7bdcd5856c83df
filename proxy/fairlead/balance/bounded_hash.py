"""hash: requests with the same key go to the same endpoint, as long as that has room.

Owns the mapping from keys to endpoints. It is a function of the addresses and weights alone, so all workers and proxies
agree on it, before and after a restart. Consistent hashing with several probes (Appleton and O'Reilly 2015): endpoints
have points on a circle, a key has probes, and the probe that has a point nearest behind it decides. Bounded loads
(Mirrokni, Thorup and Zadimoghaddam 2016): an endpoint that has its part of what is allowed already is passed over, and
the key is hashed anew for the next try, as Envoy does, so that what one endpoint cannot take is spread over all others
and does not fall on its neighbour. A retry goes where its key would belong without the endpoints that were tried, a
request without a key where `least-request` sends it.

16 points and 10 probes give each endpoint its share within about 5 % (a standard deviation). A ring without probes
takes 330 points for that, and Maglev's table moves keys among endpoints that stay: with its 65,537 entries for 10,000
endpoints, many. No key moves here but to an endpoint that has come or from one that has gone, where all weigh the same;
where weights differ, the points of each follow its part of them, and a few move besides.

Few requests in flight are no load: up to four stay with their endpoint whatever the bound says. Else a quiet service
would part requests that happen to come together.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Sequence

import cython

if cython.compiled:
    from cython.cimports.fairlead.balance.least_request import LeastRequest
    from cython.cimports.fairlead.balance.seam import Candidate, Picker
else:
    from fairlead.balance.least_request import LeastRequest
    from fairlead.balance.seam import Candidate, Picker

_MASK = 0xFFFFFFFFFFFFFFFF
_FNV_BASIS = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3
_MIX_1 = 0xFF51AFD7ED558CCD  # the finaliser of MurmurHash3 (Appleby, public domain)
_MIX_2 = 0xC4CEB9FE1A85EC53
_GOLDEN = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio: steps that lie far apart
_POINTS = 16  # of an endpoint of average weight
_PROBES = 10  # of a key
_NUMBER = 0xFFFFF  # the bits of a point that say whose it is
_WALK = 16  # endpoints that are full which a pick may pass over
_FREE = 4  # requests in flight that are never too many


class BoundedHash(Picker):
    """See the module. A pick costs the probes of a key, whatever the number of endpoints."""

    ignores_latency = True

    def __init__(self, endpoints: Sequence[Candidate], previous: Picker | None = None, seed: int | None = None) -> None:
        self._keyless = LeastRequest(endpoints, None, seed)
        self._endpoints = list(endpoints)
        self._total = sum(endpoint.weight for endpoint in endpoints)
        self.allowed = 0.0
        keys = [key_of(endpoint.address.encode()) for endpoint in endpoints]
        counts = [max(_POINTS * e.weight * len(keys) // self._total, 1) for e in endpoints]
        self._size = sum(counts)
        bits = max(self._size.bit_length(), 1)
        self._shift = 64 - bits
        self._points = array("Q", bytes(8 * self._size))
        self._first = array("i", bytes(4 * ((1 << bits) + 2)))  # by part of the circle: its first point
        self._place(keys, counts)

    def _place(self, keys: list[int], counts: list[int]) -> None:
        """Put all points in their order: by part of the circle, of which there are about as many as points."""
        first = self._first
        for number in range(len(keys)):
            key = keys[number]
            for step in range(counts[number]):
                first[(self._point(key, step, number) >> self._shift) + 2] += 1
        for part in range(1, len(first)):
            first[part] += first[part - 1]
        for number in range(len(keys)):
            key = keys[number]
            for step in range(counts[number]):
                self._insert(self._point(key, step, number))

    def _point(self, key: int, step: int, number: int) -> int:
        return (mixed((key + step * _GOLDEN) & _MASK) & ~_NUMBER) | number

    def _insert(self, point: int) -> None:
        part = (point >> self._shift) + 1
        i = self._first[part]
        self._first[part] = i + 1  # when all are there, it is where the next part begins
        while i > 0 and self._points[i - 1] > point:
            self._points[i] = self._points[i - 1]
            i -= 1
        self._points[i] = point

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        if key == 0 or self._size == 0:
            return self._keyless.pick(0, tried)
        spare: Candidate | None = None
        for step in range(_WALK):
            owner = self._owner(key if step == 0 else mixed((key + step * _GOLDEN) & _MASK), tried)
            if owner is None or self._has_room(owner):
                return owner
            if spare is None or owner.in_flight * spare.weight < spare.in_flight * owner.weight:
                spare = owner
        return spare

    def _has_room(self, endpoint: Candidate) -> bool:
        if self.allowed == 0 or endpoint.in_flight < _FREE:
            return True
        return endpoint.in_flight < self.allowed * endpoint.weight / self._total  # the same as below its ceiling

    def _owner(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        """The endpoint that has the point nearest behind any of the key's probes, as if those tried were not there."""
        nearest = _MASK
        owner: Candidate | None = None
        for _ in range(_PROBES):
            key = (key + _GOLDEN) & _MASK
            at = mixed(key)
            i = self._first[at >> self._shift]
            while i < self._size and self._points[i] < at:
                i += 1
            if tried is not None:
                i = self._untried(i, tried)
                if i < 0:
                    return None
            point = self._points[i if i < self._size else 0]
            distance = (point - at) & _MASK
            if distance < nearest or owner is None:
                nearest = distance
                owner = self._endpoints[point & _NUMBER]
        return owner

    def _untried(self, start: int, tried: Collection[Candidate]) -> int:
        """The first point from `start` on whose endpoint was not tried; -1 when there is none."""
        size = self._size
        for i in range(start, start + size):
            at = i if i < size else i - size
            if self._endpoints[self._points[at] & _NUMBER] not in tried:
                return at
        return -1


def key_of(text: bytes) -> int:
    """The key of what must stay together; never 0, which stands for none. The same in every process: FNV-1a, mixed."""
    h = _FNV_BASIS
    for byte in text:
        h = ((h ^ byte) * _FNV_PRIME) & _MASK
    return mixed(h) or 1


def mixed(x: int) -> int:
    """A number in which each bit depends on all of x."""
    x ^= x >> 33
    x = (x * _MIX_1) & _MASK
    x ^= x >> 33
    x = (x * _MIX_2) & _MASK
    return x ^ (x >> 33)
