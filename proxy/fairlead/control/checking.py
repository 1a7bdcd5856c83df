"""Says in the log and in the events what the checks of endpoints have come to, once for each change.

Never decides anything. When hundreds fail in one moment, the first few are told one by one, the others as a number.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol, final

from fairlead.control.chorus import Chorus
from fairlead.control.logs import Seldom
from fairlead.health.checks.watched import Turn

_log = logging.getLogger("fairlead.checks")


class Tell(Protocol):
    """Notes an event."""

    def __call__(self, kind: str, subject: str, text: str, details: Mapping[str, object] | None = None, /) -> None: ...


@final
class CheckVoice:
    """A Voice of health/checks/run.py."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._failed = Chorus(self._sum_up_failures)
        self._passed = Chorus(self._sum_up_passes)
        self._faults = Seldom(_log)

    def turned(self, turn: Turn) -> None:
        if turn.is_up:
            self._pass(turn)
        else:
            self._fail(turn)

    def all_failed(self, service: str, have_all: bool, is_ignored: bool) -> None:
        if not have_all:
            _log.info("service %s: not every endpoint fails its checks any more", service)
            self._tell("checks-all-failed-over", service, "not every endpoint fails its checks any more")
            return
        follows = "they are used as if they were not checked" if is_ignored else "requests get no-endpoint"
        _log.error("service %s: every endpoint fails its checks; %s", service, follows)
        self._tell("checks-all-failed", service, f"every endpoint fails its checks; {follows}")

    def fault(self, what: str, error: BaseException) -> None:
        self._faults.error(what, error)

    def _fail(self, turn: Turn) -> None:
        """What its source does not call ready is nobody's loss: it is noted, and warned of it is not."""
        about = f"service {turn.service}: {turn.reason}"
        if self._failed.is_solo(about):
            level = logging.WARNING if turn.was_used else logging.INFO
            _log.log(level, "service %s: %s is not used: %s", turn.service, turn.address, turn.reason)
            text = f"{turn.address}: {turn.reason}; until {turn.until}"
            self._tell("check-failed", turn.service, text, turn.details)

    def _pass(self, turn: Turn) -> None:
        if self._passed.is_solo(f"service {turn.service}: {turn.reason}"):
            _log.info("service %s: %s passes its checks again: %s", turn.service, turn.address, turn.reason)
            self._tell("check-passed", turn.service, f"{turn.address}: {turn.reason}", turn.details)

    def _sum_up_failures(self, about: str, others: int) -> None:
        _log.warning("%d more endpoints of %s", others, about)
        self._tell("check-failed", "", f"{others} more endpoints of {about}")

    def _sum_up_passes(self, about: str, others: int) -> None:
        _log.info("%d more endpoints of %s", others, about)
        self._tell("check-passed", "", f"{others} more endpoints of {about}")
