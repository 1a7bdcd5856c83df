"""A rolling update without namespaces: the box at loopback addresses, real pods, a real Fairlead, fewer requests."""

from __future__ import annotations

import asyncio
from pathlib import Path

from box.box import box
from box.cluster import LIMIT_S, Cluster, Delays
from box.gateway import Gateway
from box.load import failures
from box.network import Loopback
from box.pods import Kubelet, What
from box.rollout import Strategy

KUBELET = Kubelet(probe_s=0.05, removes_s=0.02, notices_s=0.05)
MANNERS = ("ignore:0.3", "close", "die")


async def until_all_serve(cluster: Cluster, gateway: Gateway) -> None:
    wanted = {pod.at for pod in cluster.pods}
    async with asyncio.timeout(LIMIT_S):
        while not wanted <= (await gateway.metric("fairlead_requests_total", "endpoint")).keys():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_no_request_is_lost_in_a_rolling_update(tmp_path: Path) -> None:
    async with asyncio.timeout(100), box(Loopback(), tmp_path) as opened:
        cluster = await opened.cluster(Delays((0.0, 0.1), kubelet=KUBELET), lambda _: None)
        cluster.apply(Strategy(3, max_surge=3))
        gateway, _ = await asyncio.gather(opened.gateway(), cluster.settled())
        old = {pod.name for pod in cluster.pods}
        await gateway.until(lambda endpoints: len(endpoints) == len(old), "the old ones are known")
        for pod, manner in zip(cluster.pods, MANNERS, strict=True):
            await cluster.fault(pod, f"sigterm={manner}&latency=0.02")
        load = await opened.load(200, gateway.at)
        await until_all_serve(cluster, gateway)
        cluster.restart()
        await cluster.settled()
        new = {pod.name for pod in cluster.pods}
        await until_all_serve(cluster, gateway)
        requests = await load.end()
        await gateway.end()
        assert not failures(requests)
        assert {each.pod for each in requests} == old | new
        assert len(gateway.access_log()) == len(requests)
        ends = [event.pod for event in cluster.events if event.what is What.GONE and not event.is_told]
        assert sorted(ends) == sorted(old) and not old & new
