"""Who goes first on the core that the measuring client shares with the attackers: it does, and its upstream.

A lower nice value would not do: a kernel that groups processes by session weighs the groups (sched(7)), and one that
runs lets nobody in before its slice of 3 ms is over. What is measured would be the attackers' own appetite.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def first() -> Iterator[None]:
    """What is started meanwhile goes before all of normal priority. Without the right to that nothing changes."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)
