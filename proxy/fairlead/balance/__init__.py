"""How a service chooses an endpoint: the policies by name, and those from a user's own file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fairlead.balance.bounded_hash import BoundedHash
from fairlead.balance.from_file import load_file, pin
from fairlead.balance.least_request import LeastRequest
from fairlead.balance.peak_ewma import PeakEwma
from fairlead.balance.random_choice import RandomChoice
from fairlead.balance.round_robin import RoundRobin
from fairlead.balance.seam import Candidate, Picker, Policy
from fairlead.balance.weighted import Weighted

__all__ = ["POLICIES", "Candidate", "Picker", "Policy", "load", "pinned"]

POLICIES: Final[Mapping[str, Policy]] = {
    "round-robin": RoundRobin,
    "random": RandomChoice,
    "weighted": Weighted,
    "least-request": LeastRequest,
    "peak-ewma": PeakEwma,
    "hash": BoundedHash,
}


def load(spec: str, base_dir: Path | None = None) -> Policy:
    """The policy of that name, or the class in a file: "./mine.py:ShortestQueue", relative to `base_dir`.

    A file is run again when its content has changed, except for a spec that `pinned` has given: that stands for the
    content it was given for, as long as this process has it. Raises ValueError, saying what is wrong and what would be
    right.
    """
    known = POLICIES.get(spec)
    return known or load_file(_checked(spec), base_dir or Path())


def pinned(spec: str, base_dir: Path | None = None) -> str:
    """What stands for this policy as it is now: a name as it is, a file with its path and a digest of its content.

    It is another text when the file has changed, so a configuration that is read again shows the change. Raises
    ValueError, as `load`.
    """
    return spec if spec in POLICIES else pin(_checked(spec), base_dir or Path())


def _checked(spec: str) -> str:
    path, _, name = spec.rpartition(":")
    if not path.endswith(".py") or not name:
        raise ValueError(f"{spec!r} is no policy: use {', '.join(POLICIES)}, or FILE.py:CLASS for one of your own")
    return spec
