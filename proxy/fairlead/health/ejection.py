"""Ejection: which endpoints of a service are out because of how they serve, for how long, and how they come back.

Owns the state of each endpoint and the moves between them. Never acts, and never looks at a clock: what has to be done
is returned as decisions, to the supervisor and to the simulator alike. Times are in seconds of any steady clock.

    IN ──a threshold is crossed, and the cap allows it──▶ OUT ──its time is over──▶ PROBING ──a request succeeds──▶ IN
                                                           ▲                          │
                                                           └──── the request fails ───┘

Invariants: never more are out than `allowed`, and never the last that is ready, whatever becomes of the set; an
endpoint that is PROBING counts as out. A time out is twice as long as the one before it, up to a maximum, with jitter,
so that what failed together does not return together; it is halved again for each minute or so of good service.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final, final

from fairlead.health.outliers import Finding, Outliers
from fairlead.model import Ejection, Endpoint, Reason, State, Trigger

_JITTER: Final = 0.2  # a time out is up to so much shorter or longer
_FORGIVEN: Final = 6.0  # times `base` of service after which one ejection counts no longer
_PATIENCE: Final = 3.0  # times `base` that traffic may flow without one request that could be a probe
_SILENT_TIMES: Final = 20  # an endpoint is not silent before it has been for so many times the usual latency
_SAID_S: Final = 10.0  # what changes nothing is said of an endpoint once in so long

_TRIGGERS: Final = {
    Reason.GATEWAY: "gateway",
    Reason.ERRORS: "errors",
    Reason.SUCCESS_RATE: "success_rate",
    Reason.LATENCY: "latency",
    Reason.SILENCE: "latency",
}


class Stage(Enum):
    """Where an endpoint is."""

    IN = "in"
    OUT = "out"
    PROBING = "probing"


class What(StrEnum):
    """A decision. The value is the kind of the event that tells of it."""

    EJECTED = "ejected"
    PROBING = "probing"
    RETURNED = "returned"
    WOULD_EJECT = "would-eject"
    CAPPED = "ejection-capped"


@final
@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done or said. `until` says what has to happen for an endpoint to come back."""

    what: What
    address: str
    reason: Reason
    text: str
    until: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


@final
@dataclass(slots=True)
class _Watched:
    stage: Stage = Stage.IN
    times: int = 0  # that it was ejected and not yet forgiven
    until: float = 0.0  # the end of its time out, or of the patience with a probe; while it is in: the next forgiveness
    since: float = 0.0  # when it was ejected
    slowest_us: float = 0.0  # a probe that takes longer has failed; 0: any time will do
    finding: Finding | None = None
    said: dict[tuple[What, Reason], float] = field(default_factory=dict)


def trigger(settings: Ejection, reason: Reason) -> Trigger:
    """What is to be done about an endpoint for this reason."""
    found: Trigger = getattr(settings, _TRIGGERS[reason])
    return found


def allowed(count: int, max_share: float) -> int:
    """How many of so many endpoints may be out: a share of them, but at least one, and never all."""
    if count < 2:
        return 0
    return min(max(1, int(count * max_share + 1e-9)), count - 1) if max_share > 0 else 0


def time_out_s(settings: Ejection, times: int, chance: float) -> float:
    """For how long an endpoint is out that is ejected for this many times; `chance` is from 0 to 1."""
    whole = settings.base_s * 2.0 ** min(times - 1, 60) * (1 - _JITTER + 2 * _JITTER * chance)
    return min(whole, settings.max_s)


def is_panic(endpoints: Collection[Endpoint], used: Collection[Endpoint], share: float) -> bool:
    """Whether too few are left: of these endpoints, that may serve but for verdicts, only those are used."""
    count = sum(1 for endpoint in used if endpoint.state is State.READY)
    return count < share * len(endpoints)


def silence_us(settings: Ejection, count: int, medians: Sequence[int]) -> int:
    """For how long one of so many endpoints must not be silent, where these latencies are usual; 0: for any time."""
    if settings.latency is Trigger.OFF or count < 2:
        return 0
    usual = sorted(medians)[len(medians) // 2] if medians else 0
    return max(int(settings.silence_s * 1e6), _SILENT_TIMES * usual)


def is_alone_silent(others: Iterable[tuple[int, int]], limit_us: int) -> bool:
    """Whether any other endpoint answers: else it is something that they have in common which hangs.

    Of each: how many requests it owes an answer to, and since when.
    """
    return any(unanswered == 0 or us < limit_us for unanswered, us in others)


def found_by_worker(address: str, reason: Reason, last: str, limit: int) -> Finding:
    """What a worker has found: how many in a row, or for how many milliseconds, and what happened last."""
    match reason:
        case Reason.SILENCE:
            text = f"it has answered nothing for {last} ms, while others did; the threshold is {limit} ms"
            details: dict[str, object] = {"silent_ms": int(last), "limit_ms": limit}
        case Reason.ERRORS:
            text = f"{limit} replies in a row said that it has failed, the last with {last}; the threshold is {limit}"
            details = {"in_a_row": limit, "threshold": limit, "last": last}
        case _:
            text = f"{limit} requests in a row got no reply, the last because of {last}; the threshold is {limit}"
            details = {"in_a_row": limit, "threshold": limit, "last": last}
    return Finding(address, reason, 2.0, text, details)


@final
class Ejections:
    """Of one service. `chance` gives numbers from 0 to 1."""

    def __init__(self, settings: Ejection, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._settings = settings
        self._outliers = Outliers(settings)
        self._watched: dict[str, _Watched] = {}
        self._ready: tuple[str, ...] = ()
        self._flowed = 0  # requests that were observed since the last sweep

    @property
    def probing(self) -> list[str]:
        """The endpoints that wait for the result of a probe."""
        return [address for address, each in self._watched.items() if each.stage is Stage.PROBING]

    @property
    def out(self) -> list[str]:
        """The endpoints that must not be used, those that are probed included."""
        return [address for address, each in self._watched.items() if each.stage is not Stage.IN]

    def configure(self, settings: Ejection) -> None:
        """From now on by these rules. Who is out stays out for the time that was said."""
        self._settings = self._outliers.settings = settings

    def update(self, known: Collection[str], ready: Collection[str], now: float) -> list[Decision]:
        """The service has these endpoints, of which some are ready or would be, were they not out."""
        present = set(known)
        for address in [address for address in self._watched if address not in present]:
            del self._watched[address]
            self._outliers.forget(address)
        self._ready = tuple(ready)
        eldest_first = sorted(self._out_of_ready(), key=lambda address: self._watched[address].since)
        spare = len(eldest_first) - allowed(len(self._ready), self._settings.max_share)
        few = f"too few of the {len(self._ready)} endpoints would be left"
        return [self._return(address, few, now) for address in eldest_first[: max(spare, 0)]]

    def observe(self, address: str, successes: int, failures: int, median_us: int) -> None:
        """A worker has counted this since it told last."""
        self._flowed += successes + failures
        self._outliers.observe(address, successes, failures, median_us)

    def accuse(self, finding: Finding, now: float) -> list[Decision]:
        """A worker says that an endpoint has crossed a threshold which workers look after."""
        return self._judge(finding, now)

    def sweep(self, now: float) -> list[Decision]:
        """To be called once a second."""
        decisions = []
        for address, watched in self._watched.items():
            if watched.stage is Stage.IN and watched.times and now >= watched.until:
                watched.times -= 1
                watched.until = now + self._settings.base_s * _FORGIVEN
            elif watched.stage is Stage.OUT and now >= watched.until:
                decisions.append(self._probe(address, watched, now))
            elif watched.stage is Stage.PROBING and now >= watched.until and self._flowed:
                decisions.append(self._return(address, "no request came that could be a probe", now))
        self._flowed = 0
        used = [address for address in self._ready if self._stage(address) is Stage.IN]
        for finding in self._outliers.sweep(used):
            decisions += self._judge(finding, now)
        return decisions

    def probed(self, address: str, failure: str, took_us: float, now: float) -> list[Decision]:
        """A probe has ended, with a good reply after so long, or by a failure."""
        watched = self._watched.get(address)
        if watched is None or watched.stage is not Stage.PROBING or watched.finding is None:
            return []
        if not failure and watched.slowest_us and took_us > watched.slowest_us:
            failure = f"took {took_us / 1000:.1f} ms, and {watched.slowest_us / 1000:.1f} ms are too long"
        if not failure:
            return [self._return(address, f"a request has succeeded after {took_us / 1000:.1f} ms", now)]
        return [self._eject(watched, watched.finding, now, f"the probe failed: {failure}; before that ")]

    def _judge(self, finding: Finding, now: float) -> list[Decision]:
        address, reason = finding.address, finding.reason
        todo = trigger(self._settings, reason)
        if todo is Trigger.OFF or address not in self._ready or self._stage(address) is not Stage.IN:
            return []
        watched = self._watched.setdefault(address, _Watched())
        if todo is Trigger.DRY_RUN:
            return self._say(watched, What.WOULD_EJECT, finding, f"would be ejected: {finding.text}", now)
        out, most = len(self._out_of_ready()), allowed(len(self._ready), self._settings.max_share)
        if out >= most:
            text = f"not ejected, because {out} of {len(self._ready)} are out and no more than {most} may be"
            return self._say(watched, What.CAPPED, finding, f"{text}: {finding.text}", now)
        return [self._eject(watched, finding, now)]

    def _say(self, watched: _Watched, what: What, finding: Finding, text: str, now: float) -> list[Decision]:
        """What changes nothing, and may be found again every second."""
        if now < watched.said.get((what, finding.reason), now):
            return []
        watched.said[what, finding.reason] = now + _SAID_S
        return [Decision(what, finding.address, finding.reason, text, details=finding.details)]

    def _eject(self, watched: _Watched, finding: Finding, now: float, before: str = "") -> Decision:
        seconds = time_out_s(self._settings, watched.times + 1, self._chance())
        watched.times += 1 if seconds < self._settings.max_s else 0  # what is forgiven later must have counted
        watched.times = max(watched.times, 1)
        watched.stage = Stage.OUT
        watched.since, watched.until = now, now + seconds
        watched.finding = finding
        watched.slowest_us = _number(finding.details.get("threshold_ms")) * 1000
        self._outliers.forget(finding.address)
        until = f"{seconds:.1f} s have passed, and then one request that is safe to send again succeeds there"
        details = {**finding.details, "times": watched.times, "out_s": round(seconds, 1)}
        return Decision(What.EJECTED, finding.address, finding.reason, before + finding.text, until, details)

    def _probe(self, address: str, watched: _Watched, now: float) -> Decision:
        assert watched.finding is not None
        watched.stage = Stage.PROBING
        watched.until = now + self._settings.base_s * _PATIENCE
        finding = watched.finding
        until = "one request that is safe to send again succeeds there; the next one will be sent"
        return Decision(What.PROBING, address, finding.reason, finding.text, until, finding.details)

    def _return(self, address: str, text: str, now: float) -> Decision:
        watched = self._watched[address]
        assert watched.finding is not None
        watched.stage = Stage.IN
        watched.until = now + self._settings.base_s * _FORGIVEN
        self._outliers.forget(address)
        return Decision(What.RETURNED, address, watched.finding.reason, text, details={"times": watched.times})

    def _stage(self, address: str) -> Stage:
        watched = self._watched.get(address)
        return Stage.IN if watched is None else watched.stage

    def _out_of_ready(self) -> list[str]:
        return [address for address in self._ready if self._stage(address) is not Stage.IN]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
