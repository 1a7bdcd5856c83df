"""What is said of endpoints beyond what their source says: by checks, by ejection, and by hand.

Owns the verdicts and how they combine with the state that a source gives. Never decides one, and never looks at a
clock: a judge gives a verdict and lifts it. Invariants: a judge has one verdict of an endpoint at a time; an endpoint
of which nobody says anything has the state that its source gives; the most severe word counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, final

from fairlead.model import Endpoint, State

_SEVERITY: Final = {State.READY: 0, State.DRAINING: 1, State.EJECTED: 2, State.UNREADY: 3}


class Judge(StrEnum):
    """Who gives a verdict."""

    CHECK = "check"
    EJECTION = "ejection"
    HAND = "hand"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one judge says of one endpoint.

    READY from a check stands in for the readiness that the source tells of: it lifts UNREADY and nothing else.
    """

    judge: Judge
    state: State
    reason: str  # the numbers that crossed a threshold, and which
    since: float  # Unix time in seconds
    until: str = ""  # what has to happen for the endpoint to be used again
    details: Mapping[str, object] = field(default_factory=dict)  # the same for programs, as JSON can carry it


@final
class Verdicts:
    """`on_change` is called with the service of a verdict that has changed."""

    def __init__(self, on_change: Callable[[str], None]) -> None:
        self._on_change = on_change
        self._given: dict[str, dict[str, dict[Judge, Verdict]]] = {}

    def give(self, service: str, address: str, verdict: Verdict) -> None:
        """The judge's verdict from now on."""
        judged = self._given.setdefault(service, {}).setdefault(address, {})
        if judged.get(verdict.judge) != verdict:
            judged[verdict.judge] = verdict
            self._on_change(service)

    def put(self, service: str, judge: Judge, words: Mapping[str, Verdict | None]) -> bool:
        """The judge's verdicts of several endpoints from now on, None for nothing to say. Whether any has changed.

        Calls nobody: for whoever applies them next by himself.
        """
        given = self._given.setdefault(service, {})
        has_changed = False
        for address, verdict in words.items():
            judged = given.setdefault(address, {})
            if judged.get(judge) != verdict:
                has_changed = True
                if verdict is None:
                    del judged[judge]
                else:
                    judged[judge] = verdict
            if not judged:
                del given[address]
        if not given:
            del self._given[service]
        return has_changed

    def give_all(self, service: str, judge: Judge, words: Mapping[str, Verdict | None]) -> None:
        """`put`, and one call of `on_change` for all of it, which would else cost as much for each of them."""
        if self.put(service, judge, words):
            self._on_change(service)

    def lift(self, service: str, address: str, judge: Judge) -> None:
        """The judge has nothing to say any more, if it had."""
        judged = self._given.get(service, {}).get(address, {})
        if judged.pop(judge, None) is None:
            return
        if not judged:
            del self._given[service][address]
        if not self._given[service]:
            del self._given[service]
        self._on_change(service)

    def keep(self, services: Collection[str]) -> None:
        """Forget all services but these."""
        for name in self._given.keys() - set(services):
            del self._given[name]

    def of(self, service: str) -> dict[str, tuple[Verdict, ...]]:
        """Address -> what is said of it, the most severe first."""
        given = self._given.get(service, {})
        return {address: tuple(sorted(judged.values(), key=_severity)) for address, judged in given.items()}

    def applied(
        self, service: str, endpoints: tuple[Endpoint, ...], judges: Collection[Judge] = tuple(Judge)
    ) -> tuple[Endpoint, ...]:
        """The endpoints with the states that follow from what these judges say. Costs nothing where nobody has."""
        given = self._given.get(service)
        if not given:
            return endpoints
        if len(judges) < len(Judge):
            given = {
                address: {judge: verdict for judge, verdict in judged.items() if judge in judges}
                for address, judged in given.items()
            }
        return tuple([_judged(endpoint, given.get(endpoint.address)) for endpoint in endpoints])


def _judged(endpoint: Endpoint, given: Mapping[Judge, Verdict] | None) -> Endpoint:
    if not given:
        return endpoint
    check = given.get(Judge.CHECK)
    state = endpoint.state
    if state is State.UNREADY and check is not None and check.state is State.READY:
        state = State.READY
    state = max([state, *(verdict.state for verdict in given.values())], key=_SEVERITY.__getitem__)
    return endpoint if state is endpoint.state else replace(endpoint, state=state)


def _severity(verdict: Verdict) -> int:
    return -_SEVERITY[verdict.state]
