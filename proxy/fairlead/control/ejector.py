"""Ejection over all workers: what they accuse endpoints of and report, decided, and given out as verdicts.

Owns for each service the decisions of health/ejection.py, which worker may probe which endpoint, and the counts of
ejections. Never publishes: a verdict changes the service, and that is published. Invariants: one worker at a time may
probe an endpoint; what a worker keeps away from is either ejected for all, or given back to it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from fairlead.health.ejection import Decision, Ejections, What, found_by_worker
from fairlead.health.verdicts import Judge, Verdict, Verdicts
from fairlead.model import Reason, Service, State
from fairlead.observe.samples import GONE_LIMIT

_TURN_S: Final = 2.5  # a worker that may probe has so long to find a request for it; then it is another's turn
_PROBE_S: Final = 60.0  # one that has begun has so long to say how it went

Message = Mapping[str, Any]
Tell = Callable[[str, str, str, Mapping[str, object]], None]  # kind, subject, text and details of an event


class Worker(Protocol):
    """What is needed of one."""

    number: int

    def send(self, message: dict[str, Any]) -> None: ...


class _Probe:
    """Whose turn it is, and until when."""

    def __init__(self) -> None:
        self.turn = -1  # the place of the worker
        self.until = 0.0


class _Ejected:
    """Of one service."""

    def __init__(self, service: Service) -> None:
        self.service: Service | None = None
        self.ejections = Ejections(service.ejection, random.random)
        self.probes: dict[str, _Probe] = {}
        self.counts: dict[tuple[str, str], int] = {}  # by endpoint and reason

    def count(self, address: str, reason: str) -> None:
        """It was ejected, or would have been."""
        self.counts[address, reason] = self.counts.get((address, reason), 0) + 1

    def prune(self, present: Iterable[str]) -> None:
        """Forget all but the latest of the endpoints that have gone."""
        here = set(present)
        gone = list(dict.fromkeys(address for address, _ in self.counts if address not in here))
        for address in gone[: max(len(gone) - GONE_LIMIT, 0)]:
            for key in [key for key in self.counts if key[0] == address]:
                del self.counts[key]


class Ejector:
    """`services` are as they are now, verdicts applied; `workers` the supervisor's own."""

    def __init__(
        self, verdicts: Verdicts, services: Mapping[str, Service], workers: Sequence[Worker], tell: Tell
    ) -> None:
        self._verdicts = verdicts
        self._services = services
        self._workers = workers
        self._tell = tell
        self._ejected: dict[str, _Ejected] = {}
        self._panicking: set[str] = set()
        self._may_probe: dict[int, Message] = {}  # by worker, as it was told

    def counts(self) -> dict[str, dict[tuple[str, str], int]]:
        """How often each endpoint was ejected and for what, by service."""
        return {name: dict(each.counts) for name, each in self._ejected.items() if each.counts}

    # What workers say.

    def take(self, report: Message) -> None:
        """The outcomes in a report. Raises KeyError, TypeError or ValueError when they are none."""
        told = {
            name: [(str(address), int(good), int(bad), int(us)) for address, good, bad, us in raw.get("outcomes", ())]
            for name, raw in report["services"].items()
        }
        for name, outcomes in told.items():
            if ejected := self._of(name):
                for outcome in outcomes:
                    ejected.ejections.observe(*outcome)

    def accuse(self, worker: Worker, message: Message) -> None:
        """A worker keeps away from an endpoint, and says why."""
        name, address, reason = str(message["service"]), str(message["endpoint"]), Reason(message["reason"])
        ejected = self._of(name)
        if ejected is None:
            return
        finding = found_by_worker(address, reason, str(message["last"]), int(message["limit"]))
        self._act(name, ejected, ejected.ejections.accuse(finding, time.monotonic()))
        if address not in ejected.ejections.out:
            worker.send({"type": "refuse", "service": name, "endpoint": address})

    def probed(self, message: Message) -> None:
        """A worker has begun a probe, or says how it went."""
        name, address, failure = str(message["service"]), str(message["endpoint"]), message["failure"]
        ejected = self._of(name)
        if ejected is None or address not in ejected.probes:
            return
        now = time.monotonic()
        if failure is None:
            ejected.probes[address].until = now + _PROBE_S
        else:
            decisions = ejected.ejections.probed(address, str(failure), int(message["took_us"]), now)
            self._act(name, ejected, decisions)

    def started(self, worker: Worker) -> None:
        """It knows nothing yet, and whatever its predecessor had begun is over."""
        self._may_probe.pop(worker.number, None)
        for ejected in self._ejected.values():
            for probe in ejected.probes.values():
                if self._holds(worker, probe):
                    probe.until = 0.0

    # What follows.

    def tick(self) -> None:
        """To be called once a second."""
        for name in self._ejected.keys() - self._services.keys():
            del self._ejected[name]
        for name in list(self._services):
            ejected = self._of(name)
            if ejected is not None:
                self._act(name, ejected, ejected.ejections.sweep(time.monotonic()))
            self._watch_panic(name)
        self._tell_probes(time.monotonic())

    def _of(self, name: str) -> _Ejected | None:
        """A service, with the endpoints that it has at this moment; None when it has gone."""
        service = self._services.get(name)
        if service is None:
            return None
        ejected = self._ejected.get(name)
        if ejected is None:
            ejected = self._ejected[name] = _Ejected(service)
        if ejected.service is not service:
            ejected.service = service
            ejected.ejections.configure(service.ejection)
            known = [e.address for e in service.endpoints]
            ready = [e.address for e in service.endpoints if e.state in (State.READY, State.EJECTED)]
            before = set(ejected.ejections.out)
            self._act(name, ejected, ejected.ejections.update(known, ready, time.monotonic()))
            for address in before.difference(known):
                self._verdicts.lift(name, address, Judge.EJECTION)
            ejected.prune(known)
        return ejected

    def _act(self, name: str, ejected: _Ejected, decisions: Iterable[Decision]) -> None:
        for decision in decisions:
            if decision.what is What.EJECTED:
                ejected.count(decision.address, decision.reason)
            elif decision.what is What.WOULD_EJECT:
                ejected.count(decision.address, f"{decision.reason}-dry-run")
            self._say(name, decision)
            self._judge(name, decision)
        ejected.probes = {address: ejected.probes.get(address) or _Probe() for address in ejected.ejections.probing}

    def _say(self, name: str, decision: Decision) -> None:
        about = {"service": name, "endpoint": decision.address, "reason": decision.reason.value}
        details = {**about, **decision.details, **({"until": decision.until} if decision.until else {})}
        self._tell(decision.what, f"{name} {decision.address}", decision.text, details)

    def _judge(self, name: str, decision: Decision) -> None:
        if decision.what is What.RETURNED:
            self._verdicts.lift(name, decision.address, Judge.EJECTION)
        elif decision.what in (What.EJECTED, What.PROBING):
            verdict = Verdict(
                judge=Judge.EJECTION,
                state=State.EJECTED,
                reason=f"{decision.reason}: {decision.text}",
                since=self._since(name, decision),
                until=decision.until,
                details={"reason": decision.reason.value, **decision.details},
            )
            self._verdicts.give(name, decision.address, verdict)
            if decision.what is What.EJECTED and decision.reason is Reason.SILENCE:
                for worker in self._workers:
                    worker.send({"type": "silent", "service": name, "endpoint": decision.address})

    def _since(self, name: str, decision: Decision) -> float:
        """A probe does not begin the verdict anew."""
        given = [each for each in self._verdicts.of(name).get(decision.address, ()) if each.judge is Judge.EJECTION]
        return given[0].since if given and decision.what is What.PROBING else time.time()

    def _watch_panic(self, name: str) -> None:
        service = self._services[name]
        if service.is_panicking and name not in self._panicking:
            self._panicking.add(name)
            share = service.ejection.panic
            text = f"fewer than {share:.0%} of its endpoints can be used: all are, whatever is said of them"
            self._tell("panic", name, text, {"service": name, "threshold": share})
        elif not service.is_panicking and name in self._panicking:
            self._panicking.discard(name)
            self._tell("panic-over", name, "enough of its endpoints can be used again", {"service": name})

    # Probes.

    def _tell_probes(self, now: float) -> None:
        """Give each endpoint that is to be probed to one worker, and to the next when that finds no request for it."""
        endpoints: dict[int, dict[str, list[str]]] = {worker.number: {} for worker in self._workers}
        for name, ejected in self._ejected.items():
            for address, probe in ejected.probes.items():
                if now >= probe.until:
                    probe.turn += 1
                    probe.until = now + _TURN_S
                holder = self._workers[probe.turn % len(self._workers)]
                endpoints[holder.number].setdefault(name, []).append(address)
        for worker in self._workers:
            message = {"type": "probe", "endpoints": endpoints[worker.number]}
            if message != self._may_probe.get(worker.number, {"type": "probe", "endpoints": {}}):
                self._may_probe[worker.number] = message
                worker.send(message)

    def _holds(self, worker: Worker, probe: _Probe) -> bool:
        return probe.turn >= 0 and self._workers[probe.turn % len(self._workers)] is worker
