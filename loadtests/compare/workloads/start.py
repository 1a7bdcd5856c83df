"""How long it takes from the command to the first right reply."""

from __future__ import annotations

from typing import final

from loadtests.compare.bench import Bench, Plan
from loadtests.compare.figures import Bound, Figure, Sample
from loadtests.compare.peers import Peer
from loadtests.compare.workloads.seam import Workload


@final
class Start(Workload):
    """The bench measures it at each start; here nothing else is done, and every file has been read before."""

    name = "start"
    title = "start to first reply"
    figures = (Figure(key="start", title="time", unit="s", bounds=(Bound(1.0),)),)

    def seconds(self, plan: Plan) -> float:
        return 0.7

    def measure(self, bench: Bench, peer: Peer | None) -> Sample:
        with bench.serving(peer) as proxy:
            return {"start": proxy.start_s}
