"""The endpoints that may serve, the picker that was built for them, and what one worker gives each of them now.

Owns the slow start, the counts of requests in flight, and what is told to a picker before each pick. Never looks at
sockets or clocks: whoever asks says what time it is. The data plane and the simulator both choose endpoints through a
pool, so a policy meets the same rules in either.

Slow start holds for every policy, because it is none of their business: a pick that gives an endpoint which has just
begun to serve is kept as often as the endpoint is warm, and else made again. The share that a policy would give it is
multiplied by that, whatever the policy is, and the others get the rest in the proportions that the policy gives them.
How warm an endpoint is grows in a straight line from a tenth (Envoy's slow start with aggression 1), and is measured
against the one that has served for the longest: where all are new nobody is held back.

- With a key (`hash`) the same requests must stay together, so it is the key that says whether a pick is kept: the keys
  of a new endpoint move over to it one after the other, each once.
- Where more than nine tenths of the endpoints are new, a pick may be made up to 16 times; the last one is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cython

if cython.compiled:
    from cython.cimports.fairlead.balance.bounded_hash import key_of, mixed
    from cython.cimports.fairlead.balance.peak_ewma import observe, observe_failure, observe_patience, wake
    from cython.cimports.fairlead.balance.seam import Candidate, Picker, Prng
else:
    from fairlead.balance.bounded_hash import key_of, mixed
    from fairlead.balance.peak_ewma import observe, observe_failure, observe_patience, wake
    from fairlead.balance.seam import Candidate, Picker, Prng

_TRIES = 16  # picks that a slow start may turn down before one is kept whatever it is
_FLOOR = 0.1  # how warm an endpoint is at least
_ONE = 4294967296.0  # 2**32
_CREDITS = 1 << 20


class Pool:
    """See the module. `picker` is the policy's own; `max_load` is for `hash`, see bounded_hash."""

    picker: Picker

    def __init__(self, seed: int | None = None) -> None:
        self.in_flight = 0
        self.max_load = 0.0
        self._prng = Prng(seed)
        self._members: set[Candidate] = set()
        self._slow_start_us = 0
        self._eldest = 0  # since when the one serves that has served for the longest
        self._warm_at = 0  # from then on nobody is held back
        self._learns = True  # whether the policy looks at latencies

    def swap(self, picker: Picker, endpoints: Sequence[Candidate], now: int, slow_start_us: int) -> None:
        """From now on `picker` chooses, built for these endpoints. Those that were not there before begin to serve."""
        before = self._members
        for endpoint in endpoints:
            if endpoint not in before:
                endpoint.since = now
                endpoint.credit = self._prng.below(_CREDITS) / _CREDITS  # the workers do not wait for the same moment
        self._members = set(endpoints)
        self._slow_start_us = slow_start_us
        self._warm_at = 0
        if slow_start_us and endpoints:
            self._eldest = min([endpoint.since for endpoint in endpoints])
            youngest = max([endpoint.since for endpoint in endpoints])
            self._warm_at = youngest + slow_start_us if youngest > self._eldest else 0
        self._learns = not picker.ignores_latency
        self.picker = picker

    def pick(self, key: int, tried: list[Any] | None, now: int) -> Candidate | None:
        """An endpoint, none of `tried`; None when there is none."""
        picker = self.picker
        picker.now = now
        if self.max_load:
            picker.allowed = (self.in_flight + 1) * self.max_load
        if now >= self._warm_at:
            return picker.pick(key, tried)
        if key:
            return self._pick_by_key(key, tried, now)
        return self._pick_by_turns(tried, now)

    def _pick_by_turns(self, tried: list[Any] | None, now: int) -> Candidate | None:
        """Each endpoint is kept when the parts of its turns that it has been given make a whole one."""
        picker = self.picker
        chosen: Candidate | None = None
        for _ in range(_TRIES):
            chosen = picker.pick(0, tried)
            if chosen is None:
                return None
            warmth = self._warmth(chosen, now)
            if warmth >= 1:
                return chosen
            chosen.credit += warmth
            if chosen.credit >= 1:
                chosen.credit -= 1
                return chosen
        return chosen

    def _pick_by_key(self, key: int, tried: list[Any] | None, now: int) -> Candidate | None:
        """An endpoint is kept for the part of its keys that it is warm enough for; the others go where they were."""
        picker = self.picker
        first: Candidate | None = None
        passed = [] if tried is None else list(tried)
        for _ in range(_TRIES):
            chosen = picker.pick(key, passed or None)
            if chosen is None:
                break
            place = mixed(key ^ key_of(chosen.address.encode())) >> 32
            if place < self._warmth(chosen, now) * _ONE:
                return chosen
            first = first or chosen
            passed.append(chosen)
        return first

    def _warmth(self, endpoint: Candidate, now: int) -> float:
        """The part of its share that an endpoint is given, relative to the one that has served for the longest."""
        return self._ramp(now - endpoint.since) / self._ramp(now - self._eldest)

    def _ramp(self, served_us: int) -> float:
        return min(max(served_us / self._slow_start_us, _FLOOR), 1.0)

    def begin(self, endpoint: Candidate, now: int) -> None:
        """A request goes to this endpoint."""
        self.in_flight += 1
        endpoint.in_flight += 1
        endpoint.waiting += 1
        if self._learns and endpoint.waiting == 1:
            wake(endpoint, now)
            endpoint.silent_since = now

    def answered(self, endpoint: Candidate, now: int, took_us: int, is_failure: bool) -> None:
        """A reply has begun, so long after the endpoint got the request; it may say that the endpoint has failed."""
        endpoint.waiting -= 1
        if not self._learns:
            return
        if is_failure:
            observe_failure(endpoint, now, took_us)
        else:
            observe(endpoint, now, took_us)
        endpoint.silent_since = now if endpoint.waiting > 0 else 0

    def failed(self, endpoint: Candidate, now: int, took_us: int) -> None:
        """There was no reply, or not a whole one, or not even a connection."""
        if self._learns:
            observe_failure(endpoint, now, took_us)

    def given_up(self, endpoint: Candidate, now: int, waited_us: int) -> None:
        """The client has gone before the endpoint replied."""
        if self._learns:
            observe_patience(endpoint, now, waited_us)

    def end(self, endpoint: Candidate, is_answered: bool) -> None:
        """The endpoint no longer has the request, which it had answered or not."""
        self.in_flight -= 1
        endpoint.in_flight -= 1
        if not is_answered:
            endpoint.waiting -= 1
            if endpoint.waiting == 0:
                endpoint.silent_since = 0
