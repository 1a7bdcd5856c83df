"""The seam that every balancing policy fills: a picker is built for a set of endpoints, and picks one of them.

A policy is a class: `policy(endpoints, previous)` builds a picker, `pick(key, tried)` chooses. It gets the endpoints
that may serve and no others, each address once, and never looks at sockets, clocks or the configuration. Invariant: an
endpoint that was tried for a request is not picked for it again.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import Protocol

_MASK = 0xFFFFFFFFFFFFFFFF
_MULTIPLIER = 0x2545F4914F6CDD1D


class Candidate:
    """An endpoint as a policy sees it: `weight` from 1 to 65535, `in_flight` requests of this worker.

    `latency_us` is how long its replies take, of which peaks count more, as it was at `latency_at` (0: nothing is
    known); `observed_at` is when that was measured last. `waiting` requests have no answer yet, and `silent_since` is
    when it answered last, or got a request while none was waiting (0: none is). `since` is when it began to serve, and
    `credit` what it is owed while that is not long ago. `has_returned` says that it had been ejected before that.

    Of how it serves: `successes` and `failures` since they were asked for, `median_us` of what its good replies take;
    `lost` requests and `errors` are in a row, until the next success; `unanswered` requests were sent since it last
    said anything, the first of them at `unanswered_since`, and at `suspected_at` that seemed too long. Pools keep all
    of them.
    """

    def __init__(self, address: str, weight: int = 1) -> None:
        self.address = address
        self.weight = weight
        self.in_flight = 0
        self.latency_us = 0.0
        self.latency_at = 0
        self.observed_at = 0
        self.waiting = 0
        self.silent_since = 0
        self.since = 0
        self.credit = 0.0
        self.has_returned = False
        self.successes = 0
        self.failures = 0
        self.median_us = 0
        self.lost = 0
        self.errors = 0
        self.unanswered = 0
        self.unanswered_since = 0
        self.suspected_at = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address} weight {self.weight}>"


class Picker:
    """Chooses an endpoint for each request.

    Two things are told before each pick, for those that look at them: `now`, in microseconds of the monotonic clock,
    and `allowed`, how many requests all endpoints together may have in flight before any of them has too many (0: any
    number). A policy that says it `ignores_latency` spares the requests the measuring of what endpoints take.
    """

    ignores_latency = False
    now: int
    allowed: float

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        """An endpoint, none of `tried`, or None when there is none left. `key` is a hash of what must stay together."""
        raise NotImplementedError


class Policy(Protocol):
    """What builds pickers: usually the picker's class itself."""

    def __call__(self, endpoints: Sequence[Candidate], previous: Picker | None) -> Picker:
        """A picker for `endpoints`; `previous` is the one of this policy that it replaces, to go on where it was."""


class Prng:
    """Random numbers for balancing: xorshift64* (Marsaglia 2003, Vigna 2016), a few nanoseconds each.

    `seed` makes a run repeatable; without it each worker has its own sequence.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "little")
        self._state = (seed ^ 0x9E3779B97F4A7C15) & _MASK or 1

    def below(self, bound: int) -> int:
        """A number from 0 to bound - 1. The bias is below 2**-32 for every bound that fits a count of endpoints."""
        x = self._state
        x ^= x >> 12
        x = (x ^ (x << 25)) & _MASK
        x ^= x >> 27
        self._state = x
        x = (x * _MULTIPLIER) & _MASK
        return (x >> 32) % bound
