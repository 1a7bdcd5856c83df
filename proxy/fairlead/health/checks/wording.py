"""What the checks say of an endpoint: the verdict for its standing, with the numbers that led to it.

Pure: the time is given. None is a verdict, too: the checks have nothing to say, and the word of the source stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from fairlead.health.checks.results import Outcome
from fairlead.health.checks.settings import CheckSettings
from fairlead.health.checks.standing import Standing
from fairlead.health.verdicts import Judge, Verdict
from fairlead.model import State


@final
@dataclass(frozen=True, slots=True)
class Grounds:
    """Why an endpoint stands where it does, by the settings of that time; `details` is the same for programs."""

    reason: str
    details: Mapping[str, object]


def grounds(passed: bool, outcome: Outcome, settings: CheckSettings) -> Grounds:
    """What so many checks in a row have come to, the last one with this outcome."""
    if passed:
        reason = f"{settings.rise} of {settings.rise} checks passed"
    else:
        reason = f"{settings.fall} of {settings.fall} checks failed: {outcome.detail}"
    details = {
        "kind": settings.kind,
        "result": outcome.result.value,
        "detail": outcome.detail,
        "took_ms": outcome.took_us / 1000,
        "fall": settings.fall,
        "rise": settings.rise,
    }
    return Grounds(reason, details)


def verdict(standing: Standing, why: Grounds | None, settings: CheckSettings, since: float) -> Verdict | None:
    """`why` it stands there, None before anything was decided; `since` is the time of that."""
    if standing is Standing.WAITING:
        reason = "waiting for its first checks"
        return Verdict(judge=Judge.CHECK, state=State.UNREADY, reason=reason, since=since, until=rise(settings))
    if why is None:
        return None
    if standing is Standing.DOWN:
        return Verdict(
            judge=Judge.CHECK,
            state=State.UNREADY,
            reason=why.reason,
            since=since,
            until=rise(settings),
            details=why.details,
        )
    if settings.readiness == "replace":
        return Verdict(judge=Judge.CHECK, state=State.READY, reason=why.reason, since=since, details=why.details)
    return None


def rise(settings: CheckSettings) -> str:
    """What has to happen for an endpoint to be used."""
    return "1 check passes" if settings.rise == 1 else f"{settings.rise} checks in a row pass"
