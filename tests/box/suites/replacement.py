"""Fairlead's own pods are replaced, one by one, behind a Service that sends to those that are ready.

The Service hears of readiness by probes, and late; it does not know of terminations, which is less than a real one
does. Nothing may fail: neither what comes before it is known that a pod is going, nor what is in flight for longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, final

import aiohttp
from box.box import Box
from box.cluster import Delays
from box.gateway import Gateway
from box.load import Load, Request
from box.options import Options
from box.pods import now
from box.progress import Progress
from box.report import Report
from box.rollout import Strategy

_DELAY_S: Final = 2.0
_LIMIT_S: Final = 6.0
_DRAIN: Final = f"workers: 1\ndrain: {{delay: {_DELAY_S:g}s, limit: {_LIMIT_S:g}s}}"
_PROBE_S: Final = 0.25
_FAILURES: Final = 2
_LAG_S: Final = 0.3
_BEGUN_S: Final = 0.2  # after so long it is in flight
_SLOW_S: Final = 3.0  # a request that is in flight for longer than the delay


@final
class Front:
    """A Service: sends the load to the gateways that are ready, as it has heard."""

    def __init__(self, load: Load, *gateways: Gateway) -> None:
        self._load = load
        self._aimed = [gateway.at for gateway in gateways]
        self._probing = {gateway: asyncio.ensure_future(self._probe(gateway)) for gateway in gateways}
        self.dropped: dict[str, float] = {}  # when the load was told to leave one alone

    def add(self, gateway: Gateway) -> None:
        self._probing[gateway] = asyncio.ensure_future(self._probe(gateway))

    async def _probe(self, gateway: Gateway) -> None:
        failures = 0
        while True:
            is_ready = await gateway.is_ready()
            failures = 0 if is_ready else failures + 1
            if (is_ready and gateway.at not in self._aimed) or (failures == _FAILURES and gateway.at in self._aimed):
                await asyncio.sleep(_LAG_S)
                self._send(gateway.at, is_ready)
            await asyncio.sleep(_PROBE_S)

    def _send(self, at: str, is_ready: bool) -> None:
        self._aimed = [*self._aimed, at] if is_ready else [each for each in self._aimed if each != at]
        self._load.aim(*self._aimed)
        if not is_ready:
            self.dropped[at] = now()

    async def remove(self, gateway: Gateway) -> None:
        task = self._probing.pop(gateway)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def close(self) -> None:
        for gateway in list(self._probing):
            await self.remove(gateway)


async def run(box: Box, progress: Progress, options: Options) -> Report:
    report = Report(f"two Fairleads replaced one after the other, under {options.rate:g} requests/s")
    cluster = await box.cluster(Delays(), progress.event)
    cluster.apply(Strategy(3))
    await cluster.settled()
    gateways = [await box.gateway(more=_DRAIN), await box.gateway(more=_DRAIN)]
    load = await box.load(options.rate, *(gateway.at for gateway in gateways))
    front = Front(load, *gateways)
    ended: dict[Gateway, float] = {}
    try:
        for old in gateways:
            front.add(await box.gateway(more=_DRAIN))
            await asyncio.sleep(1)
            progress.say(f"{old.at} gets SIGTERM")
            ended[old] = await _replace(report, old)
            progress.say(f"{old.at} has ended")
            await front.remove(old)
            await old.end()
        await asyncio.sleep(1)
    finally:
        await front.close()
    requests = await load.end()
    report.claim_none_failed(requests)
    _say_race(report, requests, front.dropped, ended)
    return report


async def _replace(report: Report, gateway: Gateway) -> float:
    """SIGTERM while a slow request is in flight, and what follows, to the end; gives when it was sent."""
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(_slow(gateway))
        await asyncio.sleep(_BEGUN_S)
        began = now()
        gateway.process.terminate()
        unready = group.create_task(_unready(gateway))
        await gateway.process.wait()
        took, status = now() - began, gateway.process.returncode
    report.claim(
        f"{gateway.at}: not ready {1000 * (unready.result() - began):.0f} ms after SIGTERM, "
        f"over after {took:.1f} s with status {status}",
        status == 0 and _DELAY_S <= took < _DELAY_S + _LIMIT_S,
    )
    report.claim(f"a request of {_SLOW_S:g} s that was in flight ended with {slow.result()}", slow.result() == 200)
    return began


async def _slow(gateway: Gateway) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"http://{gateway.at}/?latency={_SLOW_S}") as reply:
        await reply.read()
        return reply.status


async def _unready(gateway: Gateway) -> float:
    while await gateway.is_ready():  # noqa: ASYNC110 (a probe is all that tells)
        await asyncio.sleep(0.01)
    return now()


def _say_race(
    report: Report, requests: list[Request], dropped: Mapping[str, float], ended: Mapping[Gateway, float]
) -> None:
    """How many requests came to each after its SIGTERM, since nobody knew."""
    for gateway, at in ended.items():
        late = [each for each in requests if each.target == gateway.at and each.sent > at]
        fresh = sum(each.is_fresh for each in late)
        report.say(
            f"{gateway.at}: {len(late)} requests came after SIGTERM, {fresh} of them on fresh connections, "
            f"until it was dropped after {dropped[gateway.at] - at:.1f} s"
        )
