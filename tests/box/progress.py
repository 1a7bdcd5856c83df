"""What a run says while it goes on: a line for each thing that happens, with the time since the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from box.cluster import Event
from box.pods import now


@final
class Progress:
    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._start = now()

    def say(self, text: str) -> None:
        self._write(f"{now() - self._start:7.2f} s  {text}")

    def event(self, event: Event) -> None:
        self.say(f"{'the API says: ' if event.is_told else ''}{event.pod} {event.what}")
