"""From three pods to ten and back under load: no request fails, and a new pod is used within 100 ms of its word."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from box.box import Box
from box.cluster import Cluster, Delays
from box.load import Request
from box.options import Options
from box.pods import What
from box.progress import Progress
from box.report import Report
from box.rollout import Strategy

_WITHIN_MS: Final = 100.0
_PAUSE_S: Final = 1.0


async def run(box: Box, progress: Progress, options: Options) -> Report:
    report = Report(f"from three pods to ten and back, under {options.rate:g} requests/s")
    cluster = await box.cluster(Delays(), progress.event)
    cluster.apply(Strategy(3))
    await cluster.settled()
    gateway = await box.gateway()
    load = await box.load(options.rate, gateway.at)
    await asyncio.sleep(_PAUSE_S)
    before = {pod.name for pod in cluster.pods}
    for replicas in (10, 3):
        cluster.scale(replicas)
        await cluster.settled()
        await asyncio.sleep(_PAUSE_S)
    requests = await load.end()
    report.claim_none_failed(requests)
    claim_used_soon(report, cluster, requests, before)
    return report


def claim_used_soon(report: Report, cluster: Cluster, requests: Sequence[Request], before: set[str]) -> None:
    """From when the API told of a pod to when the first request was sent that it answered."""
    waits = sorted(_waits(cluster, requests, before))
    unused = sum(event.what is What.READY and event.is_told for event in cluster.events) - len(before) - len(waits)
    shown = ", ".join(f"{wait:.0f}" for wait in waits)
    report.claim(
        f"{len(waits)} new pods were used within {waits[-1] if waits else 0:.0f} ms of the word of them",
        bool(waits) and waits[-1] <= _WITHIN_MS and not unused,
    )
    report.say(f"ms from the API's word to the first request: {shown}")


def _waits(cluster: Cluster, requests: Sequence[Request], before: set[str]) -> Iterator[float]:
    first: dict[str, float] = {}
    for request in requests:
        if not request.failure:
            first.setdefault(request.pod, request.sent)
    for pod in first.keys() - before:
        yield 1000 * (first[pod] - cluster.told(pod, What.READY))
