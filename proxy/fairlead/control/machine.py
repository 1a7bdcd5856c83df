"""What the machine gives this process: cores and file descriptors."""

from __future__ import annotations

import os
import resource
from pathlib import Path


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The cores that this process may use: its affinity, and its control group's quota rounded up; at least 1."""
    cores = len(os.sched_getaffinity(0))
    quota = _quota(cgroup)
    return max(1, min(cores, -int(-quota // 1))) if quota else cores


def _quota(cgroup: Path) -> float:
    """Cores of the CPU quota of control groups (version 2, then 1); 0 when there is none."""
    try:
        limit, period = (cgroup / "cpu.max").read_text().split()
        return 0.0 if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        pass
    try:
        quota = int((cgroup / "cpu/cpu.cfs_quota_us").read_text())
        period_us = int((cgroup / "cpu/cpu.cfs_period_us").read_text())
        return quota / period_us if quota > 0 else 0.0
    except (OSError, ValueError, ZeroDivisionError):
        return 0.0


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, for this process and its children; returns what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # the kernel's own bound (fs.nr_open) was lowered below the hard limit
        return soft
    return hard
