"""The API goes down in the middle of a rollout, between the end of a pod and the word of it.

What Fairlead knew last serves on, and a pod that is alive loses no request. The one that has ended is still thought to
be there: its address leads nowhere, which is the worst that can happen to a connection.
"""

from __future__ import annotations

import asyncio
from typing import Final

from box.box import Box
from box.cluster import Cluster, Delays
from box.gateway import Gateway
from box.near_misses import Retries, ends
from box.options import Options
from box.pods import What, now
from box.progress import Progress
from box.report import Report
from box.rollout import Strategy

_LATE: Final = (0.3, 0.3)  # the word of a change comes so late that the API is down by then
_CATCHES_UP_S: Final = 2.5
_TOLD_S: Final = 5.0  # from the outage to when it is told as one


async def run(box: Box, progress: Progress, options: Options) -> Report:
    report = Report(f"the API away for {options.outage_s:g} s in a rollout, under {options.rate:g} requests/s")
    cluster = await box.cluster(Delays(lag_s=_LATE), progress.event)
    cluster.apply(Strategy(3))
    await cluster.settled()
    gateway = await box.gateway()
    load = await box.load(options.rate, gateway.at)
    async with Retries(gateway) as retries:
        await asyncio.sleep(1)
        cluster.restart()
        await cluster.until(lambda: any(e.what is What.DELETED for e in cluster.events), "a pod is deleted")
        await cluster.api_down()
        progress.say("the API is down")
        await _endure(report, gateway, options.outage_s)
        await cluster.api_up()
        progress.say("the API is back")
        await _catch_up(report, cluster, gateway)
        await cluster.settled()
        await asyncio.sleep(0.5)
    report.claim_none_failed(await load.end())
    report.lines += ends(cluster, retries, {})
    return report


async def _endure(report: Report, gateway: Gateway, outage_s: float) -> None:
    began, unready = now(), 0
    while now() < began + outage_s:
        unready += not await gateway.is_ready()
        await asyncio.sleep(0.5)
    report.claim(f"/readyz failed {unready} times", not unready)
    stale = sum((await gateway.metric("fairlead_source_stale_seconds")).values())
    report.claim(
        f"fairlead_source_stale_seconds says {stale:.1f} at the end", outage_s - _TOLD_S < stale < outage_s + 5
    )
    told = await gateway.said(r"WARNING .*cannot be reached.*endpoints stand.*")
    report.claim("one line of the log says so", sum("endpoints stand" in line for line in gateway.lines) == 1)
    report.say(told[0])


async def _catch_up(report: Report, cluster: Cluster, gateway: Gateway) -> None:
    back = now()
    ended = {event.pod for event in cluster.events if event.what is What.GONE}
    new = {pod.at for pod in cluster.pods if pod.is_ready and pod.name not in ended}
    seen = await gateway.until(lambda endpoints: new <= endpoints.keys(), f"it knows of {new}")
    report.claim(f"it has caught up {seen - back:.1f} s after the return", seen - back < _CATCHES_UP_S)
