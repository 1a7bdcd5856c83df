"""The seam that every source of endpoints fills: it is watched, and tells what it has found whenever that changes.

Owns the words that sources share, and the rule that what was good stays: a source that fails keeps the endpoints of
its last success. Never logs and never raises for what the outside world does: a problem is part of what was found, and
whoever watches decides what to say of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol, final

from fairlead.model import Endpoint


@final
@dataclass(frozen=True, slots=True)
class Found:
    """What a source knows now. `problem` says why that is not fresh or not whole; "" when it is.

    With a problem the endpoints are the last good ones: none for a source that has never found any.
    """

    endpoints: tuple[Endpoint, ...]
    problem: str = ""


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

    def update(self, endpoints: tuple[Endpoint, ...] | None, problem: str = "") -> Found | None:
        """What to yield after a look, or None when nothing has changed. `endpoints` is None when it found nothing."""
        if endpoints is None:
            endpoints = self._found.endpoints if self._found else ()
        found = Found(endpoints, problem)
        if found == self._found:
            return None
        self._found = found
        return found
