"""A service whose endpoints are checked: where each of them stands, what is said of it, and what is counted.

Owns the state of the endpoints. Never makes a check and never looks at a clock: outcomes and times are given. What has
to be said anew is collected until `words` is asked for it, because saying it costs as much for one endpoint as for all
of a service. Invariant: an endpoint that is gone is forgotten with all that is known of it; one that stays keeps it,
whatever changes around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from fairlead.engine.address import Address
from fairlead.health.checks import wording
from fairlead.health.checks.probe import Probe, Question
from fairlead.health.checks.results import CheckFigures, LastCheck, Outcome, Result
from fairlead.health.checks.settings import CheckSettings
from fairlead.health.checks.standing import Standing, begun, delay_s
from fairlead.health.checks.wording import Grounds
from fairlead.health.verdicts import Verdict
from fairlead.model import Endpoint, State
from fairlead.observe.histogram import Histogram
from fairlead.observe.totals import Durations


@final
class Target:
    """One endpoint of one service. What is `asked` may be another port of it than the one that serves."""

    __slots__ = (
        "address",
        "asked",
        "grounds",
        "history",
        "is_gone",
        "last",
        "probe",
        "since",
        "state",
        "to",
        "watched",
    )

    def __init__(self, watched: Watched, endpoint: Endpoint, now: float) -> None:
        self.watched = watched
        self.address = endpoint.address
        self.state = endpoint.state  # as its source says
        self.history = begun(watched.settings)
        self.since = now  # Unix time at which it came to stand where it does
        self.grounds: Grounds | None = None  # why it does
        self.last: LastCheck | None = None
        self.probe: Probe | None = None  # the check that is under way
        self.is_gone = False
        self.aim()

    def aim(self) -> None:
        """Take on what is to be asked of it."""
        self.asked = _with_port(self.address, self.watched.settings.port)
        self.to = Address(self.asked)

    @property
    def is_used_before(self) -> bool:
        """Whether it may get traffic before a check has passed."""
        return self.history.standing is Standing.UNKNOWN and self.state is State.READY


@final
@dataclass(frozen=True, slots=True)
class Turn:
    """An endpoint has begun to fail its checks, or to pass them again."""

    service: str
    address: str
    is_up: bool
    was_used: bool  # its source calls it ready
    reason: str
    until: str
    details: Mapping[str, object]


@final
class Watched:
    """See the module."""

    def __init__(self, name: str, settings: CheckSettings, question: Question) -> None:
        self.name = name
        self.settings = settings
        self.question = question
        self.targets: dict[str, Target] = {}
        self.have_all_failed = False  # of those that would be used if they were not checked
        self._endpoints: tuple[Endpoint, ...] = ()
        self._counts = dict.fromkeys(Result, 0)
        self._duration = Histogram()
        self._unsaid: set[str] = set()  # addresses of which something else is to be said than before

    def configure(self, settings: CheckSettings, question: Question) -> None:
        """Other settings for the same endpoints, which stand where they do."""
        self.settings = settings
        self.question = question
        self._unsaid.update(self.targets)
        for target in self.targets.values():
            target.aim()

    def follow(self, endpoints: tuple[Endpoint, ...], now: float) -> tuple[list[Target], list[Target]]:
        """These are the endpoints now. Returns those that have come and those that are gone."""
        if endpoints == self._endpoints:
            return [], []
        self._endpoints = endpoints
        come: list[Target] = []
        present = {endpoint.address for endpoint in endpoints}
        gone = [target for address, target in self.targets.items() if address not in present]
        for target in gone:
            target.is_gone = True
            del self.targets[target.address]
        for endpoint in endpoints:
            known = self.targets.get(endpoint.address)
            target = known or Target(self, endpoint, now)
            if known is None:
                self.targets[target.address] = target
                come.append(target)
            target.state = endpoint.state
        self._unsaid.update(target.address for target in (*come, *gone))
        return come, gone

    def take(self, target: Target, outcome: Outcome, now: float) -> Turn | None:
        """A check has ended. Returns what is to be told of it, if that is anything."""
        self._counts[outcome.result] += 1
        if outcome.result is Result.SKIPPED:
            self._note(target, outcome, now)
            return None
        self._duration.record(outcome.took_us)
        before = target.history
        passed = outcome.result is Result.PASSED
        target.history = before.after(passed, self.settings.fall, self.settings.rise)
        self._note(target, outcome, now)
        if target.history.standing is before.standing:
            return None
        target.since = now
        target.grounds = wording.grounds(passed, outcome, self.settings)
        self._unsaid.add(target.address)
        if passed and before.standing is not Standing.DOWN:
            return None  # that a new endpoint comes up is what everybody expects
        return self._turn(target, target.grounds, passed)

    def delay_s(self, target: Target) -> float:
        """From the start of its last check to the next."""
        return delay_s(target.history, self.settings)

    @property
    def is_ignored(self) -> bool:
        """Whether all have failed, and are used nevertheless."""
        return self.have_all_failed and self.settings.all_failed == "use-all"

    @property
    def has_news(self) -> bool:
        """Whether `words` has anything."""
        return bool(self._unsaid)

    def words(self) -> dict[str, Verdict | None]:
        """Address -> what is said of it from now on, of those of which that may be something new."""
        have_all_failed = self._is_nobody_left()
        if have_all_failed is not self.have_all_failed:
            self.have_all_failed = have_all_failed
            self._unsaid.update(self.targets)
        unsaid, self._unsaid = self._unsaid, set()
        return {address: self._word(address) for address in unsaid}

    def figures(self) -> CheckFigures:
        pairs = self._duration.sparse()
        counts = dict(zip(pairs[::2], pairs[1::2], strict=True))
        return CheckFigures(
            kind=self.settings.kind,
            counts=dict(self._counts),
            duration=Durations(counts=counts, sum_us=self._duration.sum_us),
            last={address: target.last for address, target in self.targets.items() if target.last is not None},
            is_ignored=self.is_ignored,
        )

    def _note(self, target: Target, outcome: Outcome, now: float) -> None:
        target.last = LastCheck(target.history.standing, target.history.in_a_row, outcome, now)

    def _word(self, address: str) -> Verdict | None:
        target = self.targets.get(address)
        if target is None or self.is_ignored:
            return None
        return wording.verdict(target.history.standing, target.grounds, self.settings, target.since)

    def _is_nobody_left(self) -> bool:
        states = (State.READY, State.UNREADY) if self.settings.readiness == "replace" else (State.READY,)
        used = [each for each in self.targets.values() if each.state in states]
        return bool(used) and all(each.history.standing is Standing.DOWN for each in used)

    def _turn(self, target: Target, grounds: Grounds, is_up: bool) -> Turn:
        return Turn(
            service=self.name,
            address=target.address,
            is_up=is_up,
            was_used=target.state is State.READY,
            reason=grounds.reason,
            until="" if is_up else wording.rise(self.settings),
            details={"address": target.address, "asked": target.asked, **grounds.details},
        )


def _with_port(address: str, port: int) -> str:
    """The address with another port; a Unix socket has none, and is asked itself."""
    if not port or address.startswith("unix:"):
        return address
    return f"{address.rpartition(':')[0]}:{port}"
