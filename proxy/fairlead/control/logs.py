"""What the processes say on stderr: one line for each thing that happened, in one form.

Never on the path of a request; what could come with every request goes through `Seldom`.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

_QUIET_S: Final = 10.0  # the same fault is told again after this, with how often it came meanwhile


def configure_logging(level: int = logging.INFO) -> None:
    """Send what `fairlead` loggers say to stderr, with the time in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logger = logging.getLogger("fairlead")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


class Seldom:
    """Tells a fault once, then counts it for a while: a bug that every request meets must not fill the log."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._told: dict[str, tuple[float, int]] = {}  # what -> (when it was told last, how often since)

    def error(self, what: str, error: BaseException) -> None:
        """An exception that cost one connection."""
        key = f"{what}: {type(error).__name__} {_place(error)}"
        now = time.monotonic()
        when, since = self._told.get(key, (0.0, 0))
        if when and now - when < _QUIET_S:
            self._told[key] = (when, since + 1)
            return
        if len(self._told) > 100:
            self._told.clear()
        self._told[key] = (now, 0)
        self._logger.error("%s (%d more since the last line)", what, since, exc_info=error)


def _place(error: BaseException) -> str:
    """Where it was raised. Its text would not do to know it again: there may be another address in each."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
