"""How many requests a second one endpoint can serve within the objective, learned from what happens.

Pure: slices of time go in, an estimate comes out. The idea: what halves when the pods double is demand against
capacity. Demand is what arrives, which a proxy sees even when the pods are swamped. Capacity shows itself twice: while
replies are late, what is completed per endpoint is all that they can do; while replies are in time, they can do at
least that. Latency itself is no measure of either: it is flat, and then steep.

Three states. Before anything was late, the capacity is assumed to be half as much again as what went well: a guess that
holds the count of endpoints as it is under steady load. The first slices that are late, or on the way to it, make it
known. From then on it follows: up when more went well, down when less was done while late; and slowly up as long as
nothing queues, because an estimate that is too low hides what would disprove it.

Invariant: one slow slice changes nothing. And late replies alone, without requests that pile up, bring the estimate
down to half of what once went well, and no further: when it is not the endpoints that are slow, but what they all ask,
more of them do not help, and a scaler must not run away.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

ASSUMED: Final = 1.5  # of what went well, while nothing is known
_FOLLOW: Final = 0.5  # of the way to what a slice says
_NEAR: Final = 0.5  # of the objective: so late, and queueing, an endpoint is nearly full
_NEARLY: Final = 0.8  # of its capacity
_QUEUEING: Final = 1.5  # times the usual mean latency
_AT_EASE: Final = 1.2  # times the usual: nothing queues
_CREEP: Final = 1.001  # each slice that is at ease
_BUSY: Final = 0.5  # of the capacity: under less, being at ease proves nothing
_FLOOR: Final = 0.5  # of what went well
_PILING: Final = 1.1  # arrivals by completions
_FRESH: Final = 4  # slices, the one in which it came among them
_USUAL_DOWN: Final = 0.25  # how fast the usual latency follows what is less, and what is more
_USUAL_UP: Final = 0.002


class Certainty(StrEnum):
    """Where an estimate is from."""

    NONE = "none"  # nothing has been served yet
    ASSUMED = "assumed"  # nothing was late yet
    LEARNED = "learned"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What happened in a few seconds to one service, all its traffic together, with endpoints that stayed the same."""

    endpoints: int  # that are ready
    arrivals: float  # requests per second
    served: float  # without errors, per second
    mean_s: float
    late_s: float  # the quantile that the objective is about


@final
@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one endpoint: requests per second, and the mean latency while nothing queues."""

    rate: float = 0.0
    usual_s: float = 0.0
    certainty: Certainty = Certainty.NONE

    @property
    def concurrency(self) -> float:
        """What it serves at once at that rate, by Little's law."""
        return self.rate * self.usual_s


@final
class Learner:
    """Of one service with an objective."""

    def __init__(self, objective_s: float) -> None:
        self.objective_s = objective_s
        self._rate = 0.0  # the capacity, or while it is not known the most that went well
        self._proven = 0.0  # the same when things last went well
        self._usual_s = 0.0
        self._is_known = False
        self._late_in_a_row = 0
        self._endpoints = 0
        self._fresh = 0  # slices for which endpoints still count as new

    def estimate(self) -> Estimate:
        """What is believed now."""
        if not self._rate:
            return Estimate()
        rate = self._rate if self._is_known else self._rate * ASSUMED
        return Estimate(rate, self._usual_s, Certainty.LEARNED if self._is_known else Certainty.ASSUMED)

    def learn(self, seen: Slice) -> None:
        """From one slice. Those without replies, or without endpoints, say nothing and are not given."""
        self._fresh = _FRESH if seen.endpoints > self._endpoints > 0 else max(self._fresh - 1, 0)
        self._endpoints = seen.endpoints
        each = seen.served / seen.endpoints
        if seen.late_s <= self.objective_s:
            self._late_in_a_row = 0
            self._know_what_is_usual(seen.mean_s)
            self._good(seen, each)
            return
        self._late_in_a_row += 1
        if self._late_in_a_row > 1:
            self._late(seen, each)

    def _good(self, seen: Slice, each: float) -> None:
        if not self._is_known:
            self._rate = max(self._rate, each)
            if seen.mean_s > _QUEUEING * self._usual_s and seen.late_s > _NEAR * self.objective_s:
                self._rate, self._is_known = each / _NEARLY, True
        elif each > self._rate:
            self._rate += _FOLLOW * (each - self._rate)
        elif each > _BUSY * self._rate and seen.mean_s < _AT_EASE * self._usual_s:
            self._rate *= _CREEP
        self._proven = self._rate

    def _late(self, seen: Slice, each: float) -> None:
        """What is done while late is all that can be done: unless old queues are emptied, or new endpoints warm up."""
        is_piling = seen.arrivals > _PILING * seen.served
        is_emptying = seen.served > _PILING * seen.arrivals
        if is_emptying or (self._fresh and not is_piling):
            return
        self._usual_s = self._usual_s or min(seen.mean_s, self.objective_s)
        known = self._rate if self._is_known else each
        followed = known + _FOLLOW * (each - known)
        self._rate = followed if is_piling else max(followed, _FLOOR * self._proven)
        self._is_known = True

    def _know_what_is_usual(self, mean_s: float) -> None:
        """The mean latency of an endpoint at ease: the least of late, which a slower app raises in an hour or so."""
        if not self._usual_s:
            self._usual_s = mean_s
        else:
            follow = _USUAL_DOWN if mean_s < self._usual_s else _USUAL_UP
            self._usual_s += follow * (mean_s - self._usual_s)
