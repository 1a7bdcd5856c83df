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

What is counted of an endpoint costs additions, and a comparison where it fails: that so many in a row are too many is
told to whoever made the pool (`on_failing`), which decides. Three choices are worth their reasons:

- The median of what replies take moves by an eighth towards each of them. It needs one number, follows an endpoint that
  gets 20 times slower within 25 replies, and a reply that takes minutes moves it no further than any other.
- An endpoint that hangs has no latency and, until a timeout, no failure. So it is noticed when a request is sent there
  while several others have got no answer for long; twice, a tenth of a second apart, because after a standstill of this
  process the replies are there and only unread.
- 429 is an answer: the endpoint is well, and says that it is busy. Policies that look at latencies see a failure in it.
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
_UNANSWERED = 4  # requests that an endpoint may owe an answer to for however long
_CONFIRMED_US = 100_000  # after this a suspicion of silence is one no longer
_BUSY = 429


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
        self.most_lost = 0  # in a row; 0: any number, as for the other two
        self.most_errors = 0
        self.silence_us = 0  # longer than this an endpoint must not owe several answers
        self.ramp_us = 0  # the slow start of endpoints that return after an ejection, where there is none for all

    def on_failing(self, endpoint: Candidate, reason: str, last: str, now: int) -> None:
        """An endpoint has crossed a threshold, by what happened `last`. It may be told of several times."""

    def swap(self, picker: Picker, endpoints: Sequence[Candidate], now: int, slow_start_us: int) -> None:
        """From now on `picker` chooses, built for these endpoints. Those that were not there before begin to serve."""
        before = self._members
        window = slow_start_us or self.ramp_us
        for endpoint in endpoints:
            if endpoint not in before:
                endpoint.since = now if slow_start_us or endpoint.has_returned else now - window  # which is warm
                endpoint.has_returned = False
                endpoint.credit = self._prng.below(_CREDITS) / _CREDITS  # the workers do not wait for the same moment
        self._members = set(endpoints)
        self._slow_start_us = window
        self._warm_at = 0
        if window and endpoints:
            self._eldest = min([endpoint.since for endpoint in endpoints])
            youngest = max([endpoint.since for endpoint in endpoints])
            self._warm_at = youngest + window if youngest > self._eldest else 0
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

    # Once for each request: there is an endpoint, and it is not asked of every field whether there is.

    @cython.nonecheck(False)
    def begin(self, endpoint: Candidate, now: int) -> None:
        """A request goes to this endpoint."""
        if endpoint is None:
            raise TypeError("no endpoint")
        self.in_flight += 1
        endpoint.in_flight += 1
        endpoint.waiting += 1
        if self._learns and endpoint.waiting == 1:
            wake(endpoint, now)
            endpoint.silent_since = now
        if endpoint.unanswered == 0:
            endpoint.unanswered_since = now
        endpoint.unanswered += 1
        if endpoint.unanswered > _UNANSWERED and 0 < self.silence_us < now - endpoint.unanswered_since:
            self._suspect(endpoint, now)

    def _suspect(self, endpoint: Candidate, now: int) -> None:
        """It has owed several answers for too long."""
        if endpoint.suspected_at < endpoint.unanswered_since:
            endpoint.suspected_at = now
        elif now - endpoint.suspected_at >= _CONFIRMED_US:
            endpoint.suspected_at = now
            self.on_failing(endpoint, "silence", str((now - endpoint.unanswered_since) // 1000), now)

    @cython.nonecheck(False)
    def answered(self, endpoint: Candidate, now: int, took_us: int, status: int) -> None:
        """A reply has begun, so long after the endpoint got the request; 0 in place of a status is but a connection."""
        if endpoint is None:
            raise TypeError("no endpoint")
        endpoint.waiting -= 1
        endpoint.unanswered = 0
        if status >= 500 and is_error(status):
            self._count_error(endpoint, now, status)
        else:
            if status:  # as `succeeded`, which costs a call
                endpoint.successes += 1
                endpoint.lost = 0
                endpoint.errors = 0
            if took_us > endpoint.median_us:
                endpoint.median_us += (endpoint.median_us >> 3) + 1
            else:
                endpoint.median_us -= endpoint.median_us >> 3
        if not self._learns:
            return
        if is_error(status) or status == _BUSY:
            observe_failure(endpoint, now, took_us)
        else:
            observe(endpoint, now, took_us)
        endpoint.silent_since = now if endpoint.waiting > 0 else 0

    def _count_error(self, endpoint: Candidate, now: int, status: int) -> None:
        endpoint.failures += 1
        endpoint.errors += 1
        if self.most_errors and endpoint.errors >= self.most_errors:
            endpoint.errors = 0
            self.on_failing(endpoint, "errors", str(status), now)

    def succeeded(self, endpoint: Candidate) -> None:
        """It has done what is expected of it."""
        endpoint.successes += 1
        endpoint.lost = 0
        endpoint.errors = 0

    def failed(self, endpoint: Candidate, now: int, took_us: int, kind: str) -> None:
        """There was no reply, or not a whole one, or not even a connection."""
        endpoint.unanswered = 0
        endpoint.failures += 1
        endpoint.lost += 1
        if self.most_lost and endpoint.lost >= self.most_lost:
            endpoint.lost = 0
            self.on_failing(endpoint, "gateway", str(kind), now)
        if self._learns:
            observe_failure(endpoint, now, took_us)

    def given_up(self, endpoint: Candidate, now: int, waited_us: int) -> None:
        """The client has gone before the endpoint replied."""
        if self._learns:
            observe_patience(endpoint, now, waited_us)

    @cython.nonecheck(False)
    def end(self, endpoint: Candidate, is_answered: bool) -> None:
        """The endpoint no longer has the request, which it had answered or not."""
        if endpoint is None:
            raise TypeError("no endpoint")
        self.in_flight -= 1
        endpoint.in_flight -= 1
        if not is_answered:
            endpoint.waiting -= 1
            if endpoint.waiting == 0:
                endpoint.silent_since = 0


def is_error(status: int) -> bool:
    """Whether a reply says that the endpoint has failed. 501 and 505 say what it is, not how it is."""
    return status >= 500 and status != 501 and status != 505
