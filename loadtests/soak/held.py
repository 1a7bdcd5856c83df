"""What a worker holds, as the kernel counts it. Used by every load test that asks whether all was given back."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Held:
    """What the worker holds: its process id, open descriptors, and the memory that it has allocated, in KB.

    That is its proportional set size without mapped files, whose share changes whenever anybody on the machine starts
    or ends a program with the same libraries.
    """

    worker: int
    descriptors: int
    memory_kb: int


def held(supervisor: int) -> Held:
    """Of the only worker of this supervisor."""
    (worker,) = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    rollup = Path(f"/proc/{worker}/smaps_rollup").read_text()
    memory_kb = sum(int(size) for size in re.findall(r"^Pss_(?:Anon|Shmem):\s+(\d+)", rollup, re.MULTILINE))
    return Held(int(worker), len(os.listdir(f"/proc/{worker}/fd")), memory_kb)
