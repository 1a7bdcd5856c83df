"""What the machine gives this process: cores and file descriptors."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Iterator
from pathlib import Path


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """The cores that this process may use: its affinity, and its control groups' quota rounded up; at least 1."""
    cores = len(os.sched_getaffinity(0))
    quotas = [quota for group in _groups(cgroup, own) if (quota := _quota(group))]
    return max(1, min([cores, *(math.ceil(quota) for quota in quotas)]))


def _groups(cgroup: Path, own: Path) -> Iterator[Path]:
    """The folders of this process's groups and of those above them: each may have a quota (cgroups(7)).

    In a container the root is the container's own group; as a systemd unit a group far below it is.
    """
    lines = own.read_text().splitlines() if own.exists() else []
    for line in lines or ["0::/"]:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = cgroup / "cpu" if controllers else cgroup
        inside = root / path.lstrip("/")
        yield from (group for group in (inside, *inside.parents) if group.is_relative_to(root))


def _quota(group: Path) -> float:
    """Cores of the CPU quota of a control group (version 2, then 1); 0 when there is none."""
    try:
        limit, period = (group / "cpu.max").read_text().split()
        return 0.0 if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        pass
    try:
        quota = int((group / "cpu.cfs_quota_us").read_text())
        period_us = int((group / "cpu.cfs_period_us").read_text())
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
