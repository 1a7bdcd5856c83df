"""A rolling update of three pods, twice through, that all end badly in their own way: no request may notice.

One takes no notice of SIGTERM for a second, one stops listening at once, one is gone at once with all that it has in
flight. Before each round one is killed in the middle of its work, without a word to the cluster.
"""

from __future__ import annotations

import asyncio
from typing import Final

from box.box import Box
from box.cluster import Cluster, Delays
from box.gateway import Gateway
from box.near_misses import Retries, ends
from box.options import Options
from box.pods import Pod, What
from box.progress import Progress
from box.report import Report
from box.rollout import Strategy

_MANNERS: Final = ("ignore:1", "close", "die")
_ROUNDS: Final = 2
_WORK_S: Final = 0.02  # that a request takes, so that there always is something in flight


async def run(box: Box, progress: Progress, options: Options) -> Report:
    report = Report(f"a rolling update of three pods, {_ROUNDS} times, under {options.rate:g} requests/s")
    cluster = await box.cluster(Delays(), progress.event)
    cluster.apply(Strategy(3))
    await cluster.settled()
    gateway = await box.gateway()
    load = await box.load(options.rate, gateway.at)
    manners: dict[str, str] = {}
    async with Retries(gateway) as retries:
        for number in range(_ROUNDS):
            progress.say(f"round {number + 1} of {_ROUNDS}")
            await _misbehave(cluster, manners)
            await _crash_one(cluster, cluster.standing[number])
            cluster.restart()
            await cluster.settled()
            await asyncio.sleep(0.5)
    requests = await load.end()
    report.claim_none_failed(requests)
    report.lines += ends(cluster, retries, manners)
    await _compare(report, gateway, len(requests))
    return report


async def _misbehave(cluster: Cluster, manners: dict[str, str]) -> None:
    for pod, manner in zip(cluster.standing, _MANNERS, strict=True):
        await cluster.fault(pod, f"sigterm={manner}&latency={_WORK_S}")
        manners[pod.name] = manner


async def _crash_one(cluster: Cluster, pod: Pod) -> None:
    """And wait until it is back. The container is a new one, and well-behaved, so it gets its fault again."""
    (fault,) = [manner for each, manner in zip(cluster.standing, _MANNERS, strict=True) if each is pod]
    seen = len(cluster.events)
    pod.crash()
    await cluster.until(
        lambda: any((e.pod, e.what, e.is_told) == (pod.name, What.READY, True) for e in cluster.events[seen:]),
        f"{pod.name} is back",
    )
    await cluster.fault(pod, f"sigterm={fault}&latency={_WORK_S}")


async def _compare(report: Report, gateway: Gateway, sent: int) -> None:
    """What the client saw and what Fairlead wrote down must be the same."""
    await gateway.end()
    lines = gateway.access_log()
    odd = [line for line in lines if line["status"] != 200 or line["reason"]]
    again = sum(line["attempts"] > 1 for line in lines)
    report.claim(
        f"the access log has {len(lines)} exchanges for {sent} requests, {len(odd)} of them not good",
        len(lines) == sent and not odd,
    )
    report.say(f"{again} exchanges went to a second endpoint, {sum(line['attempts'] > 2 for line in lines)} to a third")
