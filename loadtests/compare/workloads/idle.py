"""What an idle client costs in memory: as many as the descriptor limit allows, each of which has made one request."""

from __future__ import annotations

import time
from typing import final

from loadtests.compare.bench import Bench, Plan
from loadtests.compare.figures import Bound, Figure, Sample
from loadtests.compare.peers import Peer
from loadtests.compare.processes import CompareError
from loadtests.compare.upstream import SMALL
from loadtests.compare.verify import Client, verify
from loadtests.compare.workloads.seam import Workload

_SETTLE_S = 1.0  # allocators give back what they can
_QUICK_CLIENTS = 1000
_ALLOCATED = ("Pss_Anon", "Pss_Shmem")


@final
class IdleClients(Workload):
    """What each client adds to the proxy's proportional set size. Socket buffers are the kernel's, for all alike."""

    name = "idle"
    title = "idle keep-alive clients"
    figures = (Figure(key="kb", title="memory per connection (PSS)", unit="KB", bounds=(Bound(1.0, ("nginx",)),)),)
    details = (
        Figure(key="clients", title="clients", unit=""),
        Figure(key="base_mb", title="memory without clients", unit="MB"),
    )

    def seconds(self, plan: Plan) -> float:
        return 4.0 if plan.is_quick else 12.0

    def measure(self, bench: Bench, peer: Peer | None) -> Sample:
        count = min(_QUICK_CLIENTS, bench.clients) if bench.plan.is_quick else bench.clients
        clients: list[Client] = []
        with bench.serving(peer) as proxy:
            if proxy.child is None:
                raise CompareError("there is no proxy whose memory could be measured")
            verify(proxy.place.l7, SMALL)
            time.sleep(_SETTLE_S)
            base, before = proxy.child.pss_bytes(), proxy.child.pss_bytes(_ALLOCATED)
            try:
                for _ in range(count):
                    clients.append(Client(proxy.place.l7))
                    clients[-1].ask(SMALL)
                time.sleep(_SETTLE_S)
                grown = proxy.child.pss_bytes(_ALLOCATED) - before
                clients[0].ask(SMALL)  # they are still there, the oldest too
            finally:
                for client in clients:
                    client.abort()
        return {"kb": grown / 1024 / count, "clients": count, "base_mb": base / 1e6}
