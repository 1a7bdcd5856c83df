"""The attack itself: what is started where, in which order, and what is looked at when.

Owns every process of it. The worker has a core; the attackers share the other with the measuring client and its
upstream, which go first. Kinds of attackers come one after the other, so that it can be told what each costs. All of
it is done twice: what memory the first attack leaves behind must be enough for the second.
"""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final, final

from loadtests.attack import attackers, endpoint, priority
from loadtests.attack.attackers import Orders, State
from loadtests.attack.bounds import BODY_S, HEAD_S, Plan, of_states
from loadtests.compare.bench import Bench, Proxy
from loadtests.compare.figures import Sample
from loadtests.compare.openloop import Latencies, Schedule
from loadtests.compare.peers import Place
from loadtests.compare.peers.fairlead import Fairlead, executable
from loadtests.compare.peers.seam import fill
from loadtests.compare.processes import HOST, Child, CompareError, free_ports, started
from loadtests.compare.upstream import SMALL
from loadtests.compare.verify import WrongReply, first_reply, verify
from loadtests.compare.workloads.latency import latencies
from loadtests.soak.held import Held, held

_TEMPLATE: Final = Path(__file__).with_name("fairlead.yaml")
_START_S: Final = 20.0
_JOIN_S: Final = 4.0  # of a kind: spread, so that its deadlines do not all fall together afterwards either
_JOINED: Final = 0.75  # the share of that time that it takes
_SETTLE_S: Final = 8.0  # what lingers or is idle ends in 2 s, and free memory is given back every 5 s
_SECOND_S: Final = 3.0  # the second attack is only there to be freed again
_CONNECTIONS: Final = 64
_REQUESTS: Final = 500  # on one connection of the client, which the proxy may end after more
Tell = Callable[[str], None]


def seconds(plan: Plan) -> float:
    """How long all of it takes, about."""
    one = 3 * _JOIN_S + BODY_S + 2 + _SETTLE_S
    return 2 * one + 2 * (plan.seconds + 2) + _SECOND_S + 4


@final
class Attacked(Fairlead):
    """Fairlead with short deadlines, and an endpoint for the attackers beside those of everybody."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def command(self, place: Place) -> Sequence[str]:
        extra = {"ATTACKED": str(self._port), "HEAD": f"{HEAD_S:g}", "BODY": f"{BODY_S:g}"}
        config = place.directory / _TEMPLATE.name
        config.write_text(fill(_TEMPLATE.read_text(), place, extra))
        return [*executable(), "run", "-c", str(config)]


@final
@dataclass(frozen=True, slots=True)
class _Force:
    """The attackers of one kind that are under way."""

    orders: Orders
    child: Child
    log: Path

    def states(self) -> list[State]:
        return attackers.parse(self.log.read_text())

    def finish(self) -> list[State]:
        """Wait until all are ended or patience is; what they have told."""
        deadline = time.monotonic() + self.orders.seconds + self.orders.patience_s
        while self.child.is_alive() and time.monotonic() < deadline:
            time.sleep(0.1)
        found = self.states()
        if not found or not found[-1].is_last:
            raise CompareError(f"the attackers failed: {self.child.last_words()}")
        return found


@final
class Stage:
    """A proxy that serves, and what it was like before anybody attacked it."""

    def __init__(self, bench: Bench, proxy: Proxy, directory: Path, plan: Plan, tell: Tell) -> None:
        if proxy.child is None:
            raise CompareError("there is no proxy to attack")
        self._bench = bench
        self._proxy = proxy
        self._child = proxy.child
        self._directory = directory
        self._plan = plan
        self._tell = tell
        self._kernel_mb = 0.0

    def run(self) -> Sample:
        """All of it."""
        port = self._proxy.place.l7
        verify(port, SMALL)
        calm = self._measure("calm")
        before = self._settled(None)
        kernel_mb = kernel_memory_mb()
        sample = dict(self._attack("first attack", calm, before, self._plan.seconds))
        sample["kernel_mb"] = max(self._kernel_mb - kernel_mb, 0.0)
        after = self._settled(before)
        sample |= self._left(before, after)
        again = self._attack("second attack", None, after, _SECOND_S)
        last = self._settled(before)
        sample["grown_mb"] = (last.memory_kb - after.memory_kb) / 1024
        sample |= {key: max(sample[key], again[key]) for key in again if key.endswith(("_longest_s", "_left"))}
        verify(port, SMALL)
        return sample

    def _left(self, before: Held, after: Held) -> Sample:
        return {
            "active_left": active_connections(self._proxy.place.admin),
            "descriptors_left": max(after.descriptors - before.descriptors, 0),
            "left_mb": (after.memory_kb - before.memory_kb) / 1024,
            "deaths": float(after.worker != before.worker),
        }

    def _measure(self, what: str) -> Latencies:
        self._tell(f"measuring, {what}")
        plan = self._plan
        schedule = Schedule(
            port=self._proxy.place.l7,
            path=SMALL.path,
            rate=plan.rate,
            connections=max(ceil(plan.rate * (plan.seconds + 1) / _REQUESTS), _CONNECTIONS),
            seconds=plan.seconds,
        )
        with priority.first():
            return latencies(schedule, self._bench.cores.load)

    def _attack(self, what: str, calm: Latencies | None, before: Held, lasting_s: float) -> Sample:
        """One attack; with `calm` the client measures meanwhile."""
        sample: dict[str, float] = {}
        kinds = list(self._plan.counts().items())
        total_s = len(kinds) * _JOIN_S + lasting_s + 3.0
        memory_kb = before.memory_kb
        resident_kb = begin_peak(before.worker)
        with ExitStack() as stack:
            forces: list[_Force] = []
            for i, (kind, count) in enumerate(kinds):
                self._tell(f"{what}: {count:,} {kind} join")
                forces.append(stack.enter_context(self._force(kind, count, total_s - i * _JOIN_S)))
                self._watch(_JOIN_S)
                memory_kb, joined_kb = self._look().memory_kb, memory_kb
                sample[f"{kind}_kb"] = (memory_kb - joined_kb) / count
            since = time.monotonic()
            if calm is not None:
                sample |= self._measured(calm)
            else:
                self._watch(lasting_s)
            until = time.monotonic()
            self._look()
            self._tell(f"{what}: waiting for the deadlines")
            for force in forces:
                sample |= of_states(force.orders.kind, force.orders.count, force.finish(), since, until)
        sample["peak_mb"] = (peak_kb(before.worker) - resident_kb) / 1024
        return sample

    def _measured(self, calm: Latencies) -> Sample:
        cpu_ns, begun = self._proxy.cpu_ns(), time.monotonic_ns()
        found = {"p50_calm": calm.p50, "p99_calm": calm.p99, "lag_p99_calm": calm.lag_p99}
        try:
            under = self._measure("under attack")
        except WrongReply as error:
            self._tell(f"the well-behaved client failed: {error}")
            return {**found, "errors": 1.0}
        busy = 100 * (self._proxy.cpu_ns() - cpu_ns) / (time.monotonic_ns() - begun)
        return {
            **found,
            "p50": under.p50,
            "p99": under.p99,
            "p50_ratio": under.p50 / calm.p50,
            "p99_ratio": under.p99 / calm.p99,
            "lag_p99": under.lag_p99,
            "errors": 0.0,
            "cpu": busy,
        }

    @contextmanager
    def _force(self, kind: str, count: int, lasting_s: float) -> Iterator[_Force]:
        rate = ceil(count / (_JOIN_S * _JOINED))
        orders = Orders(port=self._proxy.place.l7, kind=kind, count=count, seconds=lasting_s, rate=rate)
        log = self._directory / f"{kind}-{time.monotonic_ns()}.log"
        with started(attackers.command(orders), self._bench.cores.load, log) as child:
            yield _Force(orders, child, log)

    def _watch(self, lasting_s: float) -> None:
        end = time.monotonic() + lasting_s
        while time.monotonic() < end:
            self._look()
            time.sleep(0.5)

    def _look(self) -> Held:
        found = held(self._child.pid)
        self._kernel_mb = max(self._kernel_mb, kernel_memory_mb())
        return found

    def _settled(self, before: Held | None) -> Held:
        """What the worker holds once what lingers or is idle has ended."""
        self._tell("waiting for what is idle to end")
        time.sleep(_SETTLE_S)
        found = self._look()
        for _ in range(20):
            if before is None or found.descriptors <= before.descriptors:
                break
            time.sleep(0.1)
            found = self._look()
        return found


def run(bench: Bench, directory: Path, plan: Plan, tell: Tell) -> Sample:
    """Start everything, attack twice, and end everything."""
    (port,) = free_ports(1)
    with started(endpoint.command(port), bench.cores.load, directory / "endpoint.log") as child:
        if not first_reply(port, endpoint.HUGE, _START_S):
            raise CompareError(f"the attackers' endpoint did not start: {child.last_words()}")
        with ExitStack() as stack:
            with priority.first():
                stack.enter_context(bench.upstreams())
            proxy = stack.enter_context(bench.serving(Attacked(port)))
            return Stage(bench, proxy, directory, plan, tell).run()


def active_connections(admin: int) -> float:
    """Connections of clients that the worker has open, as the metrics tell it."""
    with urllib.request.urlopen(f"http://{HOST}:{admin}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    return sum(float(value) for value in re.findall(r"^fairlead_connections_active\{.*\} (\S+)$", text, re.MULTILINE))


def begin_peak(pid: int) -> int:
    """From now on the kernel notes the peak of this process's memory anew; returns what it has now, in KB."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_kb(pid)


def peak_kb(pid: int) -> int:
    (found,) = re.findall(r"^VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found)


def kernel_memory_mb() -> float:
    """What TCP has in its buffers on the whole machine: both sides of every connection here, since both are here."""
    text = Path("/proc/net/sockstat").read_text()
    pages = re.findall(r"^TCP: .* mem (\d+)$", text, re.MULTILINE)
    return int(pages[0]) * 4096 / 1e6 if pages else 0.0
