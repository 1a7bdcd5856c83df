"""What can be chosen of a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    rate: float = 1000.0  # requests a second
    outage_s: float = 15.0  # how long the API is away
    changes_s: float = 20.0  # how long a thousand services change
