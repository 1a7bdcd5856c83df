"""What has happened, as lines for people: "10:02:11 backend b was killed".

Owns the list of the latest. What comes again and again (retries, failures) is one line that counts, for as long as
nothing else happens.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, final

_KEPT: Final = 50


@final
@dataclass(slots=True)
class Event:
    """`clock` is the time of day; `counts` are what a counting line counts, by reason."""

    clock: str
    text: str
    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        if not self.counts:
            return f"{self.clock} {self.text}"
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.counts.most_common())
        return f"{self.clock} {self.text} {self.counts.total():,} ({reasons})"


@final
class Events:
    """The latest, the newest last. `take_new` gives each event once, as it was when it came."""

    def __init__(self) -> None:
        self.latest: deque[Event] = deque(maxlen=_KEPT)
        self._new: list[str] = []

    def add(self, clock: str, text: str) -> None:
        self._append(Event(clock, text))

    def count(self, clock: str, text: str, counts: Mapping[str, int]) -> None:
        """Add to the last line, when it counts the same, or begin one."""
        if not counts:
            return
        if self.latest and self.latest[-1].counts and self.latest[-1].text == text:
            self.latest[-1].counts.update(counts)
        else:
            self._append(Event(clock, text, Counter(counts)))

    def _append(self, event: Event) -> None:
        self.latest.append(event)
        self._new.append(str(event))

    def take_new(self) -> list[str]:
        new, self._new = self._new, []
        return new
