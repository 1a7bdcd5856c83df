"""How requests were saved while pods ended: the retries of each moment, put beside the end of the pod they belong to.

A retry is counted by its reason only, so a pod's are those of the time from its end to the end of the next, or to when
it is out of the slices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, final

from box.cluster import Cluster, Event
from box.gateway import Gateway
from box.pods import What, now

_LOOK_S: Final = 0.25  # as often as workers can be asked for their counts
_BEGINNINGS: Final = (What.SIGTERM, What.CRASHED)
_ENDS: Final = (What.GONE, What.READY)


@final
class Retries:
    """`fairlead_retries_total` by reason over time, read while this is entered."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._seen: list[tuple[float, Mapping[str, float]]] = []
        self._reading: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        await self._look()
        self._reading = asyncio.ensure_future(self._read())
        return self

    async def __aexit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        assert self._reading is not None
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        await asyncio.sleep(_LOOK_S)
        await self._look()

    async def _read(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            await self._look()

    async def _look(self) -> None:
        self._seen.append((now(), await self._gateway.metric("fairlead_retries_total", "reason")))

    def between(self, start: float, end: float) -> dict[str, int]:
        """How many there were of each reason."""
        first = next((seen for at, seen in reversed(self._seen) if at <= start), self._seen[0][1])
        last = next((seen for at, seen in self._seen if at >= end), self._seen[-1][1])
        counts = {reason: int(count - first.get(reason, 0.0)) for reason, count in last.items()}
        return {reason: count for reason, count in counts.items() if count}

    @property
    def all(self) -> dict[str, int]:
        return self.between(0.0, now())


def ends(cluster: Cluster, retries: Retries, manners: Mapping[str, str]) -> Iterator[str]:
    """A line for each pod that ended or crashed, and the sum."""
    beginnings = [event for event in cluster.events if event.what in _BEGINNINGS and not event.is_told]
    for begun, following in zip(beginnings, [*beginnings[1:], None], strict=True):
        later = [event for event in cluster.events if event.pod == begun.pod and event.at >= begun.at]
        told = _ms(begun, (e for e in later if e.is_told))
        over = next((e.at for e in later if e.is_told and e.what in _ENDS), now())
        over = over if following is None else min(over, following.at)
        how = f"SIGTERM ({manners.get(begun.pod, 'graceful')})" if begun.what is What.SIGTERM else "SIGKILL, unasked"
        saved = ", ".join(f"{count} x {reason}" for reason, count in retries.between(begun.at, over).items())
        yield f"       {begun.pod}: {how}; the API told it {told}; saved by: {saved or 'nothing was needed'}"
    total = ", ".join(f"{count} x {reason}" for reason, count in retries.all.items())
    yield f"       retries in all: {total or 'none'}"


def _ms(begun: Event, told: Iterable[Event]) -> str:
    first = next(iter(told), None)
    return "before" if first is None else f"{1000 * (first.at - begun.at):.0f} ms later"
