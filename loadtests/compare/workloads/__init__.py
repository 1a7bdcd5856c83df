"""The workloads, in the order in which they are measured and shown. A new one is a class and a line here."""

from __future__ import annotations

from typing import Final

from loadtests.compare.workloads.endpoints import ManyEndpoints
from loadtests.compare.workloads.idle import IdleClients
from loadtests.compare.workloads.latency import FixedRate
from loadtests.compare.workloads.seam import Workload
from loadtests.compare.workloads.start import Start
from loadtests.compare.workloads.throughput import THROUGHPUT

__all__ = ["WORKLOADS", "Workload"]

WORKLOADS: Final[tuple[Workload, ...]] = (*THROUGHPUT, FixedRate(), IdleClients(), ManyEndpoints(), Start())
