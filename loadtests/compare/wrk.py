"""wrk at full speed: how many requests were answered, and that every reply was right, byte for byte.

Owns the command and what its answer means. The comparison is wrk.lua's, on the generator's core.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from loadtests.compare.processes import HOST, CompareError
from loadtests.compare.upstream import Reply
from loadtests.compare.verify import WrongReply

_SCRIPT = Path(__file__).with_name("wrk.lua")
_RESULT = re.compile(r"^result (.*)$", re.MULTILINE)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk is to do: one request over and over, on so many connections."""

    port: int
    reply: Reply
    headers: tuple[str, ...] = ()
    connections: int = 64


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What wrk counted."""

    requests: int
    bytes: int
    duration_us: int
    connect: int  # errors, as the following
    read: int
    write: int
    status: int
    timeout: int
    wrong: int

    @property
    def rate(self) -> float:
        return self.requests * 1e6 / self.duration_us


def parse(output: str) -> Counts:
    """The counts of the line that wrk.lua prints."""
    found = _RESULT.search(output)
    if found is None:
        raise CompareError(f"wrk gave no result: {output.strip()[-400:] or 'it wrote nothing'}")
    return Counts(**{key: int(value) for key, value in (pair.split("=") for pair in found[1].split())})


def run(load: Load, seconds: float, core: int) -> Counts:
    """Run wrk on `core`, for whole seconds as it knows no others. Raises WrongReply unless all went as it should."""
    completed = subprocess.run(
        ["taskset", "-c", str(core), *command(load, max(1, round(seconds)))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=seconds + 30,
        check=False,
    )
    counts = parse(completed.stdout)
    require_right(counts, load)
    return counts


def command(load: Load, seconds: int) -> Sequence[str]:
    headers = [word for header in load.headers for word in ("-H", header)]
    url = f"http://{HOST}:{load.port}{load.reply.path}"
    return [
        *("wrk", "-t1", f"-c{load.connections}", f"-d{seconds}", "--timeout", "5s", "-s", str(_SCRIPT)),
        *headers,
        *(url, "--", str(load.reply.size)),
    ]


def require_right(counts: Counts, load: Load) -> None:
    """Raise unless everything was answered as it should be."""
    errors = {name: getattr(counts, name) for name in ("connect", "read", "write", "status", "timeout", "wrong")}
    if any(errors.values()):
        told = ", ".join(f"{count} {name}" for name, count in errors.items() if count)
        raise WrongReply(f"{load.reply.path}: errors among {counts.requests} requests: {told}")
    if counts.requests == 0:
        raise WrongReply(f"{load.reply.path}: not one request was answered")
