"""How a check ended, and what is known of the checks of a service: the values that metrics and the API read.

Owns the shape only. health/checks/run.py fills it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from fairlead.health.checks.standing import Standing
from fairlead.observe.totals import Durations


class Result(StrEnum):
    """How a check ended. All but PASSED and SKIPPED speak against the endpoint."""

    PASSED = "passed"
    CONNECT_FAILED = "connect-failed"
    TIMEOUT = "timeout"
    CLOSED = "closed"  # the connection ended before the answer did
    BAD_REPLY = "bad-reply"  # it breaks the rules of its protocol
    WRONG_REPLY = "wrong-reply"  # a good one, that says something else than it should
    SKIPPED = "skipped"  # it could not be made for lack of something of our own: that says nothing of the endpoint


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """One check. `detail` says what was seen, for people: "connection refused", "status 503"."""

    result: Result
    detail: str
    took_us: int


@final
@dataclass(frozen=True, slots=True)
class LastCheck:
    """What is known of one endpoint: where it stands, and its last check."""

    standing: Standing
    in_a_row: int  # checks that ended as the last one did, as far as that matters
    outcome: Outcome
    at: float  # Unix time in seconds


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFigures:
    """The checks of one service since its checks were configured."""

    kind: str
    counts: Mapping[Result, int]
    duration: Durations
    last: Mapping[str, LastCheck] = field(default_factory=dict)  # by the endpoint's address
    is_ignored: bool = False  # all have failed, and are used nevertheless
