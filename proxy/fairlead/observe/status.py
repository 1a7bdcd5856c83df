"""What the supervisor knows of itself and of the workers, as one value: all that the admin server shows.

Owns the shape only. control/supervisor.py fills it; metrics, the admin server and the page read it and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, final

from fairlead.health.checks.results import CheckFigures
from fairlead.health.verdicts import Verdict
from fairlead.model import Snapshot
from fairlead.observe.totals import Totals


class Phase(StrEnum):
    """Where the process is in its life. Only READY makes `/readyz` answer 200."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


@final
@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened and that somebody may ask about: `at` is Unix time in seconds."""

    at: float
    kind: str  # "worker-died", "config-loaded", "config-refused", "source-failed", "source-recovered", ...
    subject: str  # the worker, the file, the service
    text: str
    details: Mapping[str, object] = field(default_factory=dict)  # the same for programs, as JSON can carry it


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """One worker process. `version` is the snapshot that it runs, 0 before its first report."""

    number: int
    pid: int
    version: int
    started: float  # Unix time in seconds
    restarts: int = 0  # how often a worker of this number has died


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """One source of a service: what it is, how many endpoints it gives, and since when it fails and why."""

    text: str
    endpoints: int
    problem: str = ""
    since: float = 0.0  # Unix time in seconds of the last change
    stale_s: float = 0.0  # for how long it has not been known whether the endpoints are still true; 0 while it is
    notes: Sequence[str] = ()  # what else decides which endpoints are used, and how


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything, at one moment."""

    phase: Phase = Phase.STARTING
    reason: str = ""  # why it is not ready
    fairlead: str = ""  # versions of ourselves and of the interpreter, and whether the data plane is compiled
    python: str = ""
    is_compiled: bool = False
    started: float = 0.0
    snapshot: Snapshot = field(default_factory=Snapshot)
    totals: Totals = field(default_factory=Totals)
    addresses: Mapping[str, str] = field(default_factory=dict)  # listener -> what it is really bound to
    sources: Mapping[str, Sequence[SourceStatus]] = field(default_factory=dict)  # by service
    checks: Mapping[str, CheckFigures] = field(default_factory=dict)  # by service, of those that are checked
    verdicts: Mapping[str, Mapping[str, Sequence[Verdict]]] = field(default_factory=dict)  # by service and address
    ejections: Mapping[str, Mapping[tuple[str, str], int]] = field(default_factory=dict)  # service -> endpoint, reason
    objectives: Mapping[str, float] = field(default_factory=dict)  # seconds, of the services that have one
    scaling: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by service, as JSON can carry it
    workers: Sequence[WorkerStatus] = ()
    config: Mapping[str, Any] = field(default_factory=dict)  # the configuration in force, as JSON can carry it
    config_path: str = ""
    config_problems: Sequence[str] = ()  # of the last reload, when it was refused
    config_loaded: float = 0.0  # Unix time in seconds of the last good load
    events: Sequence[Event] = ()  # the latest last
