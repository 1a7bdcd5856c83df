"""What a pod does when it is told to end, from exemplary to rude.

graceful[:SECONDS]  says that it is not ready, goes on for so long, then ends what is in flight and closes the rest
ignore:SECONDS      takes no notice for so long, then as graceful:0
close               stops listening at once; what is in flight ends, idle connections are closed
die                 is gone at once, with everything in flight

Pure: `Ending` says what is to be done, the server does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

_GRACE_S: Final = 5.0  # as long as the others of a cluster may need to hear that a pod is going
_LONGEST_S: Final = 3600.0


class Manner(StrEnum):
    """How it ends."""

    GRACEFUL = "graceful"
    IGNORE = "ignore"
    CLOSE = "close"
    DIE = "die"


_WAITS: Final = {Manner.GRACEFUL, Manner.IGNORE}


@final
@dataclass(frozen=True, slots=True)
class Ending:
    """A manner and how long it goes on before it stops listening."""

    manner: Manner = Manner.GRACEFUL
    delay_s: float = _GRACE_S

    @classmethod
    def parse(cls, text: str) -> Ending:
        """Raises ValueError that says what would be right."""
        word, colon, rest = text.partition(":")
        try:
            manner = Manner(word)
        except ValueError:
            raise ValueError(f"{text!r} is none of {', '.join(Manner)}") from None
        if manner not in _WAITS:
            if colon:
                raise ValueError(f"{text!r}: {word} does not wait; write {word}")
            return cls(manner, 0.0)
        if not colon and manner is Manner.IGNORE:
            raise ValueError(f"for how long? write {word}:1 for a second")
        return cls(manner, _seconds(rest) if colon else _GRACE_S)

    def __str__(self) -> str:
        return f"{self.manner}:{self.delay_s:g}" if self.manner in _WAITS else str(self.manner)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _LONGEST_S:
        raise ValueError(f"{text!r} is not a number of seconds from 0 to {_LONGEST_S:g}")
    return value
