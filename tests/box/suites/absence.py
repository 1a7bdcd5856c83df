"""All pods are deleted at once, and their successors come: what can be said meanwhile is said, and nothing hangs.

Between the end of the last pod and the word of it requests meet nobody: that is said of the endpoint. From the word on
there is no endpoint, and that is said at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from box.box import Box
from box.cluster import Cluster, Delays
from box.gateway import Gateway
from box.load import Request, failures
from box.options import Options
from box.pods import What
from box.progress import Progress
from box.report import Report
from box.rollout import Strategy

_WITHIN_S: Final = 0.1
_AT_ONCE_S: Final = 1.0  # for a reply of Fairlead's own, on a machine that is starting three pods
_HONEST: Final = {"503 no-endpoint", "502 connect-failed", "504 connect-timeout", "502 upstream-reset"}


async def run(box: Box, progress: Progress, options: Options) -> Report:
    report = Report(f"all pods deleted and brought back, under {options.rate:g} requests/s")
    cluster = await box.cluster(Delays(), progress.event)
    cluster.apply(Strategy(3))
    await cluster.settled()
    gateway = await box.gateway()
    for pod in cluster.standing:
        await cluster.fault(pod, "sigterm=close")
    old = {pod.name for pod in cluster.pods}
    load = await box.load(options.rate, gateway.at)
    await asyncio.sleep(1)
    cluster.delete_pods()
    await cluster.settled()
    await asyncio.sleep(1)
    requests = await load.end()
    gone, back = _gone(cluster, old), _back(cluster, old)
    _judge(report, requests, gone, back)
    await _claim_nothing_is_left(report, gateway)
    return report


def _gone(cluster: Cluster, old: set[str]) -> float:
    """When the API had told of the end of the last of them."""
    return max(cluster.told(name, What.UNREADY) for name in old)


def _back(cluster: Cluster, old: set[str]) -> float:
    """When it told that the first of the new ones was ready."""
    return min(e.at for e in cluster.events if e.is_told and e.what is What.READY and e.pod not in old)


def _judge(report: Report, requests: Sequence[Request], gone: float, back: float) -> None:
    bad = failures(requests)
    kinds = {each.failure for each in bad}
    report.claim(f"what could not be served was told so: {', '.join(sorted(kinds))}", bool(kinds) and kinds <= _HONEST)
    empty = [each for each in requests if gone + _WITHIN_S < each.sent < back]
    slowest = max((each.done - each.sent for each in empty), default=0.0)
    report.claim(
        f"with no endpoint for {back - gone:.1f} s, {len(empty)} requests got 503 no-endpoint within "
        f"{1000 * slowest:.0f} ms",
        bool(empty) and slowest < _AT_ONCE_S and {each.failure for each in empty} == {"503 no-endpoint"},
    )
    first = min(each.sent for each in requests if not each.failure and each.sent >= back)
    report.claim(f"the first success was {1000 * (first - back):.0f} ms after the word", first <= back + _WITHIN_S)
    later = [each for each in requests if each.sent > back + _WITHIN_S]
    report.claim(f"of {len(later)} requests after that {len(failures(later))} failed", not failures(later))


async def _claim_nothing_is_left(report: Report, gateway: Gateway) -> None:
    in_flight = await gateway.metric("fairlead_requests_in_flight")
    stuck = int(sum(in_flight.values()))
    report.claim(f"{stuck} requests are left in flight", not stuck)
