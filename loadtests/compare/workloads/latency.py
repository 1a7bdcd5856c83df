"""What a proxy adds to the latency of a request at a fixed rate that leaves everybody time to spare."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import final

from loadtests.compare import openloop
from loadtests.compare.bench import Bench, Plan
from loadtests.compare.figures import NATIVE, Bound, Figure, Sample, Samples, added, medians
from loadtests.compare.openloop import Latencies, Schedule
from loadtests.compare.peers import Peer
from loadtests.compare.upstream import SMALL
from loadtests.compare.verify import WrongReply, verify
from loadtests.compare.workloads.seam import Workload

_RATE = 5000


def generator(schedule: Schedule, core: int) -> Sequence[str]:
    """The command of an open-loop generator on that core."""
    return ["taskset", "-c", str(core), *openloop.command(sys.executable, schedule)]


def latencies(schedule: Schedule, core: int) -> Latencies:
    """Run one to its end. Raises WrongReply when a reply was wrong or never came."""
    limit_s = schedule.warmup_s + schedule.seconds + 30
    done = subprocess.run(generator(schedule, core), capture_output=True, text=True, timeout=limit_s, check=False)
    if done.returncode != 0:
        raise WrongReply(f"{schedule.path} at {schedule.rate}/s: {done.stderr.strip().splitlines()[-1]}")
    return openloop.parse(done.stdout)


@final
class FixedRate(Workload):
    """Latency through the proxy less that of a direct connection."""

    name = "l7-rate"
    title = f"L7 at {_RATE:,} requests/s (open loop)"
    figures = (
        Figure(key="added_p50", title="added p50", unit="µs", bounds=(Bound(1.1, NATIVE),)),
        Figure(key="added_p99", title="added p99", unit="µs", bounds=(Bound(1.1, NATIVE),)),
    )
    details = (
        Figure(key="p50", title="p50", unit="µs"),
        Figure(key="p99", title="p99", unit="µs"),
        Figure(key="lag_p99", title="p99 of the generator's own lag", unit="µs"),
    )
    is_direct_too = True

    def seconds(self, plan: Plan) -> float:
        return plan.warmup_s + plan.seconds + 1.0

    def measure(self, bench: Bench, peer: Peer | None) -> Sample:
        with bench.serving(peer) as proxy:
            schedule = Schedule(
                port=proxy.place.l7,
                path=SMALL.path,
                rate=_RATE,
                warmup_s=bench.plan.warmup_s,
                seconds=bench.plan.seconds,
            )
            verify(schedule.port, SMALL)
            found = latencies(schedule, bench.cores.load)
        return {"p50": found.p50, "p99": found.p99, "lag_p99": found.lag_p99}

    def summary(self, samples: Samples) -> Mapping[str, Sample]:
        return added(medians(samples), ("p50", "p99"))
