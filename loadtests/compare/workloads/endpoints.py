"""10,000 endpoints in one service: a pick, a snapshot, and the slowest request while snapshots arrive.

The endpoints are 10,000 addresses of loopback, all of them the same upstream, which answers on the whole network. They
are listed in a file that is rewritten with other weights again and again while an open-loop generator asks; only runs
in which the worker really took on new snapshots count.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import final

from loadtests.compare import openloop
from loadtests.compare.bench import Bench, Plan, Proxy
from loadtests.compare.figures import Bound, Figure, Sample
from loadtests.compare.openloop import Latencies, Schedule
from loadtests.compare.peers import Peer, Place
from loadtests.compare.peers.fairlead import Fairlead
from loadtests.compare.processes import HOST, CompareError, free_ports
from loadtests.compare.upstream import SMALL, loopback
from loadtests.compare.verify import WrongReply
from loadtests.compare.workloads.latency import generator
from loadtests.compare.workloads.seam import Workload

_COUNT = 10_000
_RATE = 1000
_LIVE_S = 12.0
_QUICK_LIVE_S = 5.0
_POLL_S = 0.2
_REPORT_S = 2.0  # a worker tells its version once a second


@final
class Many(Fairlead):
    """Fairlead with the file of endpoints beside its configuration."""

    def __init__(self, port: int) -> None:
        super().__init__("many-endpoints.yaml")
        self._port = port

    def command(self, place: Place) -> Sequence[str]:
        write_endpoints(place.directory / "endpoints.yaml", self._port, turn=0)
        return super().command(place)


@final
class ManyEndpoints(Workload):
    """Measured for Fairlead only: the others would be restarted or read another file."""

    name = "endpoints"
    title = f"{_COUNT:,} endpoints in one service"
    figures = (
        Figure(key="pick", title="one pick, slowest policy", unit="µs", bounds=(Bound(1.0),)),
        Figure(key="apply", title="applying a snapshot, slowest policy", unit="ms", bounds=(Bound(50.0),)),
        Figure(key="slowest", title="slowest request meanwhile", unit="ms", bounds=(Bound(100.0),)),
    )
    details = (
        Figure(key="p99", title="p99 meanwhile", unit="ms"),
        Figure(key="applied", title="snapshots applied meanwhile", unit=""),
    )
    is_of_fairlead_only = True

    def seconds(self, plan: Plan) -> float:
        return 10.0 + (_QUICK_LIVE_S if plan.is_quick else _LIVE_S)

    def measure(self, bench: Bench, peer: Peer | None) -> Sample:
        return {**self._cost(bench), **self._live(bench)}

    def _cost(self, bench: Bench) -> Sample:
        command = [sys.executable, "-m", "loadtests.compare.endpoints_cost"]
        words = ["taskset", "-c", str(bench.cores.proxy), *command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise CompareError(f"the cost of endpoints cannot be measured: {done.stderr.strip()[-400:]}")
        cost: Sample = json.loads(done.stdout)
        return cost

    def _live(self, bench: Bench) -> Sample:
        port = free_ports(1)[0]
        with bench.upstream([port], is_everywhere=True), bench.serving(Many(port)) as proxy:
            schedule = Schedule(
                port=proxy.place.l7,
                path=SMALL.path,
                rate=_RATE,
                warmup_s=bench.plan.warmup_s,
                seconds=_QUICK_LIVE_S if bench.plan.is_quick else _LIVE_S,
            )
            found, applied = _asking_while_changing(schedule, bench.cores.load, proxy, port)
        if applied == 0:
            raise CompareError("no changed list of endpoints reached the worker while it was asked")
        return {"slowest": found.max / 1000, "p99": found.p99 / 1000, "applied": applied}


def _asking_while_changing(schedule: Schedule, core: int, proxy: Proxy, port: int) -> tuple[Latencies, int]:
    """Rewrite the file as soon as the worker has the last version of it, until the generator is done."""
    time.sleep(_REPORT_S)  # the version that the endpoints of the start came with is one that counts for nothing
    first = version = snapshot_version(proxy.place.admin)
    turn = 0
    with subprocess.Popen(
        generator(schedule, core), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as asking:
        try:
            while asking.poll() is None:
                if turn == 0 or snapshot_version(proxy.place.admin) > version:
                    version = snapshot_version(proxy.place.admin)
                    turn += 1
                    write_endpoints(proxy.place.directory / "endpoints.yaml", port, turn)
                time.sleep(_POLL_S)
            output, errors = asking.communicate()
        finally:
            asking.kill()
    if asking.returncode != 0:
        raise WrongReply(f"while endpoints changed: {errors.strip().splitlines()[-1]}")
    return openloop.parse(output), int(version - first)


def write_endpoints(path: Path, port: int, turn: int) -> None:
    """The whole list with weights that differ from turn to turn, in one step: no reader ever sees half of it."""
    lines = [f"- {{address: '{loopback(i, port)}', weight: {1 + (i + turn) % 7}}}\n" for i in range(_COUNT)]
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(lines))
    os.replace(fresh, path)


def snapshot_version(admin: int) -> float:
    """The version that the worker has applied, as the metrics tell it."""
    with urllib.request.urlopen(f"http://{HOST}:{admin}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    found = re.search(r"^fairlead_snapshot_version\{.*\} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0
