"""Whether a request that has failed is given to another endpoint, how soon, and how long an attempt is waited for.

Owns the decisions and what they need: the budget of a service in this worker, what its replies usually take, and the
trail of the attempts at one request. Never touches a stream or a clock: exchange.py does what is decided here, and
whoever asks says what time it is. Invariants: no endpoint gets a request twice, but for an idle connection that has
proved stale; over any time the retries that count are at most the bucket, the share of the requests that have ended
and the least rate together.

What is tried again, and why:

- A connection that could not be made: always. No byte has reached an endpoint, so nothing is done twice and nothing is
  multiplied, and the budget does not count it; nor does it count an idle connection that has proved stale.
- A connection that ended before the reply, a reply with one of `statuses`, an attempt that took too long: only methods
  that do no harm when they are done twice (RFC 9110 9.2.2), and within the budget. 500 is among the statuses: by
  definition another attempt is harmless, it mends what one broken endpoint does, and a bug that all of them share costs
  a fifth more requests at the most.
- Never on an endpoint that was tried. Where there is no other, whoever asks again is the client. So the Retry-After of
  an endpoint is respected as it is; the others have not asked for anything.

The budget is a token bucket of ten seconds: each request that has ended puts `ratio` of a token into it, each second
`minimum`, and it holds as much as ten seconds like the last ones give. A burst of failures meets a full bucket; an
outage gets the share and no more.

The first retry is immediate when the failure was fast: it goes to an endpoint that has not failed, and the client has
not waited yet. After a slow failure, and before the later ones, there is a random wait, so that what failed together
does not come back together: below (2^n - 1) times the base, and ten times the base at the most.

How long an attempt may take (`try_timeout: auto`). Ten times what the slow replies of the service take (the quantile
0.992), at least a second, once a hundred requests were served. The time alone does not say whether an endpoint hangs or
the request is a report or a long poll, and such work would be doubled. So an attempt that has taken that long is given
up only if its endpoint has answered nothing at all meanwhile and others have, and if not only this request says so:
another waits there as well, or one was given up there and nothing has come since. Else it is looked at again after the
same time. A `try_timeout` that is given as a duration holds for every request that may be repeated. In both cases there
must be another endpoint and room in the budget; the last attempt has the whole of `timeouts.reply`.
"""

from __future__ import annotations

import cython

from fairlead.errors import Kind
from fairlead.model import AUTO, Retries

if cython.compiled:
    from cython.cimports.fairlead.balance.seam import Prng
    from cython.cimports.fairlead.dataplane.endpoint import LiveEndpoint
else:
    from fairlead.balance.seam import Prng
    from fairlead.dataplane.endpoint import LiveEndpoint

_WINDOW_S = 10.0  # what the bucket holds
_FAST_US = 100_000  # a failure within this costs the client nothing yet
_REVIEW_US = 250_000  # between two looks at what the service does
_MOST_FRESH = 1024  # requests that count at one review
_ENOUGH = 100  # requests from which something can be said of the service
_LEAST_TRY_US = 1_000_000
_TIMES = 10  # what slow replies take, so many times
_NO_STATUS = 1000  # above all statuses


class RetryBudget:
    """A token bucket for the retries of one service in one worker. `spent` counts how often it was empty."""

    def __init__(self, ratio: float, minimum: float) -> None:
        self.spent = 0
        self._ratio = ratio
        self._minimum = minimum
        self._tokens = minimum * _WINDOW_S
        self._recent = 0.0  # requests in the last ten seconds
        self._requests = 0
        self._at = -1

    def set_rates(self, ratio: float, minimum: float) -> None:
        """From now on other rates; what has been saved stays, as far as it may."""
        if ratio != self._ratio or minimum != self._minimum:
            self._ratio = ratio
            self._minimum = minimum
            self._tokens = self._capacity() if self._at < 0 else min(self._tokens, self._capacity())

    def refill(self, now: int, requests: int) -> None:
        """It is `now`, and so many requests have ended since the worker started."""
        if self._at < 0:
            self._at = now
        passed_s = (now - self._at) / 1e6
        fresh = requests - self._requests
        self._at = now
        self._requests = requests
        self._recent = self._recent * max(0.0, 1.0 - passed_s / _WINDOW_S) + fresh
        self._tokens = min(self._tokens + fresh * self._ratio + passed_s * self._minimum, self._capacity())

    def take(self) -> bool:
        """Whether there may be one more retry; it then counts."""
        if self._tokens < 1.0:
            self.spent += 1
            return False
        self._tokens -= 1.0
        return True

    def _capacity(self) -> float:
        return self._recent * self._ratio + _WINDOW_S * self._minimum


class Retrying:
    """What holds for the retries of one service in one worker. See the module."""

    def __init__(self, seed: int | None = None) -> None:
        self.budget = RetryBudget(0.0, 0.0)
        self.review_at = 0
        self.slow_us = 0  # what all but the slowest replies take, at most
        self._requests = 0  # at the last review
        self._prng = Prng(seed)
        self.configure(Retries(), 0)

    def configure(self, spec: Retries, reply_us: int) -> None:
        """Take on a new version."""
        self.attempts = spec.attempts
        self.is_reset = spec.reset
        self.statuses = frozenset(spec.statuses)
        self.least_status = min(spec.statuses, default=_NO_STATUS)
        self.is_learned = spec.try_timeout_s == AUTO
        self._fixed_us = 0 if self.is_learned else int(spec.try_timeout_s * 1e6)
        self._base_us = int(spec.backoff_s * 1e6)
        self._reply_us = reply_us
        self.budget.set_rates(spec.budget, spec.budget_min)
        self._settle()

    def review(self, now: int, requests: int) -> None:
        """A few times a second while there are requests: so many have ended by now."""
        self.review_at = now + _REVIEW_US
        fresh = requests - self._requests
        self._requests = requests
        self.slow_us -= self.slow_us * min(fresh, _MOST_FRESH) >> 11
        self.budget.refill(now, requests)
        self._settle()

    def _settle(self) -> None:
        """`first_us` is for how long a reply is waited for before anything is decided."""
        self.try_us = self._fixed_us
        if self.is_learned:
            self.try_us = max(_TIMES * self.slow_us, _LEAST_TRY_US) if self._requests >= _ENOUGH else 0
        if self.attempts == 1:
            self.try_us = 0
        is_sooner = self.try_us > 0 and (self._reply_us == 0 or self.try_us < self._reply_us)
        self.first_us = self.try_us if is_sooner else self._reply_us

    def learn(self, took_us: int) -> None:
        """A reply has taken longer than `slow_us`.

        That is a quantile in one number: a sixteenth up for each reply beyond it however late it was, and at a review
        a 2048th down for each request that has ended, so that one in 128 is beyond it. What was given up does not move
        it: an endpoint that hangs does not teach that hanging is usual.
        """
        self.slow_us = self.slow_us + (self.slow_us >> 4) + 1 if self.slow_us else took_us

    def is_late(self, endpoint: LiveEndpoint, silent_us: int) -> bool:
        """Whether an attempt that has taken `first_us` may be given up; its endpoint has said nothing for so long."""
        if not self.is_learned:
            return self.try_us > 0
        if self.try_us == 0 or silent_us < self.try_us:
            return False
        return endpoint.waiting > 1 or endpoint.given_up_at > endpoint.answered_at

    def next_look_us(self, left_us: int) -> int:
        """When to look at an attempt again; `left_us` is what is left of `timeouts.reply`, if that is set."""
        if self._reply_us == 0:
            return self.first_us
        return min(self.first_us, left_us)

    def delay_us(self, retry: int, took_us: int) -> int:
        """How long to wait before the retry of this number, from 1 on, when the attempt before it took so long."""
        if retry == 1 and took_us < _FAST_US:
            return 0
        most = min((1 << retry) - 1, 10) * self._base_us
        return self._prng.below(most) if most > 0 else 0


class Trail:
    """The attempts at one request that have failed. Made when the first one has.

    `outcomes` are (address, what went wrong, microseconds); `failure` is what the client is told should nothing follow;
    `reason` is why the next attempt is a retry; `spare` is a whole reply that was passed over: its bytes, status,
    endpoint and size of content.
    """

    def __init__(self) -> None:
        self.tried: list[LiveEndpoint] = []
        self.outcomes: list[tuple[str, str, int]] = []
        self.failure: Kind | None = None
        self.reason = ""
        self.retries = 0
        self.spare: tuple[bytes, int, LiveEndpoint, int] | None = None

    def add(self, endpoint: LiveEndpoint, failure: Kind | None, reason: str, took_us: int) -> None:
        """An endpoint has failed: it is not tried again."""
        self.tried.append(endpoint)
        self.failure = failure
        self.add_stale(endpoint, reason, took_us)

    def add_stale(self, endpoint: LiveEndpoint, reason: str, took_us: int) -> None:
        """A connection has failed, which says nothing of its endpoint."""
        self.reason = str(reason)  # of a Kind its value
        self.outcomes.append((endpoint.address, self.reason, took_us))

    def told(self) -> tuple[tuple[str, str, int], ...]:
        """For the log: what failed, if there was more than that."""
        return tuple(self.outcomes) if self.retries else ()


def served_by(endpoint: LiveEndpoint, attempts: int, trail: Trail | None) -> bytes:
    """The field that says who replied and who was tried before."""
    text = f"Fairlead-Served-By: {endpoint.address or 'none'}; attempts={attempts}"
    if trail is not None and trail.outcomes:
        text += "; tried=" + ",".join([f"{address}={reason}" for address, reason, _ in trail.outcomes])
    return text.encode("unicode_escape") + b"\r\n"  # the path of a Unix socket may hold anything
