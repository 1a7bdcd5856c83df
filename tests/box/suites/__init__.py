"""The suites of the box, by name, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from box.box import Box
from box.options import Options
from box.progress import Progress
from box.report import Report
from box.suites import absence, many, outage, replacement, rolling_update, scale

Suite = Callable[[Box, Progress, Options], Awaitable[Report]]

SUITES: Final[Mapping[str, Suite]] = {
    "rolling-update": rolling_update.run,
    "scale": scale.run,
    "absence": absence.run,
    "outage": outage.run,
    "many": many.run,
    "replacement": replacement.run,
}
