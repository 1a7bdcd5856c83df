"""The seam that every source of endpoints fills: it is watched, and tells what it has found whenever that changes.

Owns the words that sources share, and the rule that what was good stays: a source that fails keeps the endpoints of
its last success. Never logs and never raises for what the outside world does: a problem is part of what was found, and
whoever watches decides what to say of it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Protocol, final

from fairlead.model import Endpoint


@final
@dataclass(frozen=True, slots=True)
class Found:
    """What a source knows now. `problem` says why that is not fresh or not whole; "" when it is.

    With a problem the endpoints are the last good ones: none for a source that has never found any. `notes` say what
    else decides, for whoever wonders. `stale_since` is when the endpoints were last known to be true, on the monotonic
    clock, and 0 while they are; it is no part of what makes two findings equal.
    """

    endpoints: tuple[Endpoint, ...]
    problem: str = ""
    notes: tuple[str, ...] = ()
    stale_since: float = field(default=0.0, compare=False)


class Source(Protocol):
    """Where endpoints come from. A frozen value: two that are equal watch the same thing."""

    @property
    def text(self) -> str:
        """What the user wrote, in its canonical form."""

    @property
    def weight(self) -> int:
        """The weight of the endpoints that have none of their own."""

    def watch(self) -> AsyncGenerator[Found, None]:
        """What is found at first, good or not, and then each change of it, until the generator is closed."""


@final
class LastGood:
    """The memory of a watch: makes what it yields of each look."""

    def __init__(self) -> None:
        self._found: Found | None = None

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The last good ones."""
        return self._found.endpoints if self._found else ()

    def update(
        self,
        endpoints: tuple[Endpoint, ...] | None,
        problem: str = "",
        notes: tuple[str, ...] = (),
        stale_since: float = 0.0,
    ) -> Found | None:
        """What to yield after a look, or None when nothing has changed. `endpoints` is None when it found nothing."""
        before = self._found or Found(())
        if endpoints is None:
            endpoints = before.endpoints
            stale_since = stale_since or before.stale_since or time.monotonic()
        found = Found(endpoints, problem, notes, stale_since)
        if found == self._found:
            return None
        self._found = found
        return found
