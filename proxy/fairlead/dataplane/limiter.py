"""How many requests of a protected service may wait for their replies at once: a limit that learns.

Owns the limit of one service in one worker. Never looks at a clock: whoever calls says what time it is. Invariant: the
limit is at least `_LEAST`, and moves only when a window of replies ends.

A window is at least 30 replies and at least 100 ms; of each the geometric mean of the times to the first byte counts,
so that one reply of ten seconds among a hundred does not. The calm latency is a low quantile of the last hundred
windows: it falls at once, and rises when the windows of before are forgotten. When replies take longer than calm,
requests queue behind each other somewhere, and the limit goes down in proportion; always a root of it is added (Little,
and the square root rule of staffing), so that a limit that does no harm grows. In balance the endpoints have the
requests that they work on, and a root of that to take next.

    limit' = limit * min(1, slack * calm / now) + sqrt(limit)

What windows scatter by is no queue: the slack is what is known of their error, and five per cent.

While the limit is what holds back, nothing is calm, and the calm latency would creep up with what it is compared to.
Envoy lets nearly nothing through for a while to measure it again; here the limit gives way a little, to three quarters
of what the endpoints seem to work on, for three windows of forty. That costs a fiftieth, and the queue is seen to
empty.
"""

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.libc.math import exp, log, sqrt
else:
    from math import exp, log, sqrt

_START = 20.0
_LEAST = 3.0
_MOST = 1e6
_WINDOW_US = 100_000
_WINDOW_REPLIES = 30
_REMEMBERED = 100  # windows
_CALM_RANK = 3  # the calm latency is that of the window with so many calmer ones, of a hundred
_SLACK = 0.05  # so much longer is calm, as a logarithm,
_ERRORS = 2.0  # and so many standard errors of a window's mean
_STEEPEST = 0.5
_STEP = 0.3  # of the way to the new limit
_DIP_EVERY = 40  # windows in which the limit holds back,
_DIP_FIRST = 5  # at the beginning sooner
_DIP_WINDOWS = 3
_DIP = 0.75


class Limiter:
    """`allowed` may wait at once, now, and `waiting` do. `limit` is what was learned."""

    def __init__(self, waiting: int = 0) -> None:
        self.waiting = waiting  # of a service that is in use already
        self.limit = max(_START, 2.0 * waiting)
        self.allowed = int(self.limit)
        self._calms: list[float] = []  # logarithms of what windows took, the oldest first
        self._logs = 0.0
        self._squares = 0.0
        self._count = 0
        self._peak = waiting
        self._began = 0
        self._held = 0  # windows since a dip in which the limit held back
        self._next_dip = _DIP_FIRST
        self._dip = 0  # windows of it that are left

    def has_room(self) -> bool:
        return self.waiting < self.allowed

    def begin(self) -> None:
        """A request goes to an endpoint."""
        self.waiting += 1
        if self.waiting > self._peak:
            self._peak = self.waiting

    def end(self) -> None:
        """It has come to nothing: that says nothing of how long a reply takes."""
        self.waiting -= 1

    def answered(self, now: int, took_us: int, is_failure: bool) -> None:
        """Its reply begins, so long after it was sent. A failure may be quick, and is no measure of anything."""
        self.waiting -= 1
        if is_failure:
            return
        if not self._began:
            self._began = now
        took = log(took_us if took_us > 1 else 1)
        self._logs += took
        self._squares += took * took
        self._count += 1
        if self._count >= _WINDOW_REPLIES and now - self._began >= _WINDOW_US:
            self._end_window(now)

    def _end_window(self, now: int) -> None:
        mean = self._logs / self._count
        variance = max(self._squares / self._count - mean * mean, 0.0)
        self._learn(mean, sqrt(variance / self._count))
        self._logs = 0.0
        self._squares = 0.0
        self._count = 0
        self._began = now
        self._peak = self.waiting

    def _learn(self, took: float, error: float) -> None:
        """Of a window whose replies took this long, and how well that is known, as logarithms."""
        self._calms.append(took)
        if len(self._calms) > _REMEMBERED:
            del self._calms[0]
        ratio = exp(self._calm() - took)  # at most 1, but by chance
        if self._dip:
            self._dip -= 1
        elif 2 * self._peak >= self.limit:
            gradient = max(_STEEPEST, min(1.0, ratio * exp(_SLACK + _ERRORS * error)))
            wanted = self.limit * gradient + sqrt(self.limit)
            self.limit = min(max(self.limit + _STEP * (wanted - self.limit), _LEAST), _MOST)
            self._look_for_calm()
        self.allowed = int(self.limit)
        if self._dip:
            self.allowed = int(max(self.limit * min(ratio, 1.0) * _DIP, _LEAST))

    def _calm(self) -> float:
        calms = sorted(self._calms)
        return calms[len(calms) * _CALM_RANK // _REMEMBERED]

    def _look_for_calm(self) -> None:
        """Give way for a few windows when the limit has held back for long."""
        if self._peak < self.allowed:
            return
        self._held += 1
        if self._held >= self._next_dip:
            self._held = 0
            self._next_dip = min(2 * self._next_dip, _DIP_EVERY)
            self._dip = _DIP_WINDOWS
