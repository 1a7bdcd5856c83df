"""The machine that figures were taken on, in the words of a result."""

from __future__ import annotations

import os
import platform
import shutil
from datetime import UTC, datetime
from pathlib import Path


def missing_tools() -> list[str]:
    """The commands that the comparison itself needs and this machine lacks."""
    return [tool for tool in ("wrk", "taskset", "setpriv") if shutil.which(tool) is None]


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def describe() -> dict[str, str]:
    """Kernel, processor and date. The load average tells whether somebody else was at work."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "kernel": f"{platform.system()} {platform.release()}",
        "processor": f"{cpu_model()}, {len(os.sched_getaffinity(0))} usable cores",
        "load before the run": load,
    }
