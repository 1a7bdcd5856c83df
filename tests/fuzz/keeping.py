"""What of a run's inputs is kept: the few that make the data plane go a way that no seed and no kept input does.

A way is a step from one line of its text to another, so it does not depend on how the fuzzer counts. The shortest
inputs come first.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

os.environ["FAIRLEAD_INTERPRETED"] = "1"

import conftest  # noqa: F401 - finds the text of what is also there compiled
from fuzz.targets import CORPUS, TARGETS_BY_NAME, corpus, seeds

if TYPE_CHECKING:
    from _typeshed import TraceFunction

_PLACES = ("/fairlead/wire/", "/fairlead/dataplane/")
Step = tuple[str, int, int]


def steps_of(target: Callable[[bytes], None], data: bytes) -> set[Step]:
    """The steps that a target takes with these bytes."""
    steps: set[Step] = set()
    last: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, argument: object) -> TraceFunction | None:
        if not any(place in frame.f_code.co_filename for place in _PLACES):
            return None
        steps.add((frame.f_code.co_filename, last.get(frame, 0), frame.f_lineno))
        last[frame] = frame.f_lineno
        if event == "return":
            last.pop(frame, None)
        return trace

    sys.settrace(trace)
    try:
        target(data)
    finally:
        sys.settrace(None)
    return steps


def main() -> None:
    name, new = sys.argv[1], Path(sys.argv[2])
    target = TARGETS_BY_NAME[name]
    known: set[Step] = set()
    for data in [*seeds(name), *(path.read_bytes() for path in corpus(name))]:
        known |= steps_of(target, data)
    before = len(known)
    kept = 0
    for path in sorted(new.iterdir(), key=lambda path: (path.stat().st_size, path.name)):
        data = path.read_bytes()
        steps = steps_of(target, data)
        if steps - known:
            known |= steps
            kept += 1
            (CORPUS / name).mkdir(parents=True, exist_ok=True)
            (CORPUS / name / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
    print(f"{name}: {before} steps were known, {len(known) - before} are new, {kept} inputs kept")


if __name__ == "__main__":
    main()
