"""The seam that every compared proxy fills: how it is configured, started and asked for its version.

Never starts anything that goes on: a peer says with which command, processes.py runs it. Each configuration is the
template NAME beside this file, so that it can be read, and argued with, in the proxy's own language.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final

from loadtests.compare.processes import CompareError

TEMPLATES = Path(__file__).parent


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one run of a proxy takes place: its folder, its ports, what is behind it."""

    directory: Path
    l7: int
    l4: int
    admin: int
    upstreams: tuple[int, int]
    connections: int  # clients that it must be able to hold


class Peer(Protocol):
    """A proxy with one worker, an HTTP listener on `place.l7` and a TCP listener on `place.l4`."""

    @property
    def name(self) -> str: ...

    def missing(self) -> str | None:
        """Why it cannot be run on this machine, and what to do about it; None when it can."""

    def version(self) -> str:
        """As it is to stand in the results."""

    def command(self, place: Place) -> Sequence[str]:
        """Write its configuration to `place.directory` and say how it is started in the foreground."""


def fill(template: str, place: Place, extra: Mapping[str, str] | None = None) -> str:
    """The template with every @NAME@ replaced. An unknown name is an error, not an empty string."""
    values = {
        "L7": str(place.l7),
        "L4": str(place.l4),
        "ADMIN": str(place.admin),
        "UP1": str(place.upstreams[0]),
        "UP2": str(place.upstreams[1]),
        "DIR": str(place.directory),
        "CONNECTIONS": str(place.connections),
        **(extra or {}),
    }

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise CompareError(f"a template names {match[0]}, known are {', '.join(values)}")
        return values[match[1]]

    return re.sub(r"@([A-Z0-9]+)@", value, template)


def write(name: str, place: Place, extra: Mapping[str, str] | None = None) -> Path:
    """Fill the template `name` into the place's folder."""
    path = place.directory / name
    path.write_text(fill((TEMPLATES / name).read_text(), place, extra))
    return path


def said(*command: str) -> str:
    """What a command that only tells its version writes, on either stream."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20, check=False)
    return done.stdout
