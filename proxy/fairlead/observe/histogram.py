"""A latency histogram with log-linear buckets: recording is one addition at constant cost, without allocation.

Sixteen buckets for each power of two, so a value is known to 6.25 % from a microsecond to 19 hours (as HdrHistogram
with one significant digit and a half). Histograms of many workers merge by addition.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

_SUB_BITS = 4
_LARGEST = (1 << 36) - 1
SIZE = (36 - _SUB_BITS + 1) << _SUB_BITS


def index_of(us: int) -> int:
    """The bucket that a duration in microseconds falls into; negative ones count as 0, beyond 2**36 as the last."""
    if us < 16:
        return us if us > 0 else 0
    if us > 68719476735:
        us = 68719476735
    e = 4
    while us >> (e + 1):
        e += 1
    return ((e - 3) << 4) | ((us >> (e - 4)) & 15)


def lower_us(index: int) -> int:
    """The smallest duration in a bucket."""
    if index < 16:
        return index
    e = (index >> 4) + 3
    return (16 + (index & 15)) << (e - 4)


def upper_us(index: int) -> int:
    """The largest duration in a bucket."""
    return lower_us(index + 1) - 1


class Histogram:
    """Counts of durations. `total` is how many, `sum_us` their sum."""

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * SIZE))
        self._view = self._counts
        self.total = 0
        self.sum_us = 0

    def record(self, us: int) -> None:
        """Count one duration in microseconds."""
        self._view[index_of(us)] += 1
        self.total += 1
        self.sum_us += us

    def sparse(self) -> list[int]:
        """[index, count, index, count, ...] of the buckets that are not empty."""
        out: list[int] = []
        for index, count in enumerate(self._counts):
            if count:
                out += (index, count)
        return out

    def merge_sparse(self, pairs: Sequence[int], sum_us: int) -> None:
        """Add what `sparse` of another histogram gave, and its sum."""
        for index, count in zip(pairs[::2], pairs[1::2], strict=True):
            self._counts[index] += count
            self.total += count
        self.sum_us += sum_us

    def quantile_us(self, q: float) -> float:
        """The duration that a fraction q of the values does not exceed, interpolated in its bucket; 0 when empty."""
        rank = q * self.total
        seen = 0
        for index, count in enumerate(self._counts):
            if count and seen + count >= rank:
                return lower_us(index) + (upper_us(index) + 1 - lower_us(index)) * (rank - seen) / count
            seen += count
        return 0.0
