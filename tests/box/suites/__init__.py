"""The suites of the box, by name, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from box.box import Box
from box.progress import Progress
from box.report import Report
from box.suites import rolling_update

Suite = Callable[[Box, Progress, float], Awaitable[Report]]

SUITES: Final[Mapping[str, Suite]] = {
    "rolling-update": rolling_update.run,
}
