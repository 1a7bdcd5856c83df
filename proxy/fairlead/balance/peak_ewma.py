"""peak-ewma: of two distinct endpoints chosen at random, the one that will probably answer first.

Owns the estimate of how long an endpoint's replies take: how a reply moves it and how a pick reads it. The rule is
Finagle's and Linkerd's: a reply slower than the estimate replaces it at once, faster ones pull it down over ten
seconds, and so does idleness, so that an endpoint that was slow is tried again. What is compared is the estimate times
the requests in flight and one. Ours, each because the rule has been seen to go wrong without it:

- A failure counts as a reply that took five seconds, averaged and not as a peak: an endpoint that fails fast does not
  look fast, and one that fails once in a hundred loses a part of its share and not all of it.
- An endpoint that nothing is known of counts as fast as the other of the pair, unless that is over a second. Linkerd's
  30 ms starves it among fast ones and floods it among slow ones.
- Idleness pulls three times as fast. One that was 20 times slower is back some five seconds after it has recovered
  and not half a minute, and one that still fails costs each worker a request in 15 seconds.
- While requests are in flight and none is answered, the estimate is at least as long as that has lasted: one that hangs
  is noticed without a single reply.
"""

from __future__ import annotations

from collections.abc import Sequence

import cython

if cython.compiled:
    from cython.cimports.fairlead.balance.least_request import LeastRequest
    from cython.cimports.fairlead.balance.seam import Candidate, Picker
    from cython.cimports.libc.math import exp
else:
    from math import exp

    from fairlead.balance.least_request import LeastRequest
    from fairlead.balance.seam import Candidate, Picker

_DECAY_US = 10e6  # after this long an estimate counts for 1/e
_IDLE_US = 3e6  # the same while the endpoint has nothing to answer
_SLOW_US = 1e6  # what an endpoint that nothing is known of counts as, at most: less than one that has just failed
_FAILURE_US = 5e6  # what a failed reply counts as, at least


class PeakEwma(LeastRequest):
    """See the module. Drawn in proportion to the weights; requests in flight count for the weight of their endpoint."""

    ignores_latency = False

    def __init__(self, endpoints: Sequence[Candidate], previous: Picker | None = None, seed: int | None = None) -> None:
        LeastRequest.__init__(self, endpoints, previous, seed)
        self.now = 0
        self._mean_weight = sum(endpoint.weight for endpoint in endpoints) / max(len(endpoints), 1)

    def _is_better(self, one: Candidate, other: Candidate) -> bool:
        """Whether `one` will probably answer before `other`."""
        one_us = _expected(one, self.now)
        other_us = _expected(other, self.now)
        if one.latency_us == 0:
            one_us = max(one_us, min(other_us, _SLOW_US))
        if other.latency_us == 0:
            other_us = max(other_us, min(one_us, _SLOW_US))
        one_us = max(one_us, 1.0)
        other_us = max(other_us, 1.0)
        return one_us * self._crowd(one) < other_us * self._crowd(other)

    def _crowd(self, endpoint: Candidate) -> float:
        """The requests in flight for its weight, and one: what is to come is not lighter on a heavy endpoint."""
        return endpoint.in_flight * self._mean_weight / endpoint.weight + 1


def _expected(endpoint: Candidate, now: int) -> float:
    """How long a reply will take; 0 when nothing is known and nothing is waited for."""
    us = endpoint.latency_us * _kept(endpoint, now)
    silent = now - endpoint.silent_since if endpoint.silent_since else 0
    return silent if silent > us else us


def wake(endpoint: Candidate, now: int) -> None:
    """It was idle and gets a request: what it has forgotten stays forgotten."""
    endpoint.latency_us *= _kept(endpoint, now)
    endpoint.latency_at = now


def observe(endpoint: Candidate, now: int, took_us: int) -> None:
    """A reply that took so long."""
    estimate = endpoint.latency_us * _kept(endpoint, now)
    if took_us >= estimate:
        _set(endpoint, now, took_us)
    else:
        _set(endpoint, now, estimate + took_us * _fresh(endpoint, now))


def observe_patience(endpoint: Candidate, now: int, waited_us: int) -> None:
    """Nobody waits for the reply any longer: it would have taken at least so long."""
    if waited_us > endpoint.latency_us * _kept(endpoint, now):
        observe(endpoint, now, waited_us)


def observe_failure(endpoint: Candidate, now: int, took_us: int) -> None:
    """No reply, or one that says that the endpoint has failed, after so long."""
    fresh = _fresh(endpoint, now)
    _set(endpoint, now, max(took_us, endpoint.latency_us * _kept(endpoint, now) + _FAILURE_US * fresh))


def _set(endpoint: Candidate, now: int, estimate_us: float) -> None:
    endpoint.latency_us = max(estimate_us, 1.0)
    endpoint.latency_at = endpoint.observed_at = now


def _fresh(endpoint: Candidate, now: int) -> float:
    """How much an observation counts: more the longer there was none, so that the rate of requests does not matter."""
    return 1 - exp((endpoint.observed_at - now) / _DECAY_US) if endpoint.latency_us else 1.0


def _kept(endpoint: Candidate, now: int) -> float:
    """What of the estimate still counts."""
    if endpoint.latency_us == 0:
        return 0.0
    return exp((endpoint.latency_at - now) / (_DECAY_US if endpoint.silent_since else _IDLE_US))
