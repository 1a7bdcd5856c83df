"""The traffic: a fixed number of requests a second, whatever becomes of them, and every reply checked.

Latency counts from when a request was meant to start and not from when a connection was free for it, or a proxy that
stalls would be asked less and look well (coordinated omission). Owns its connections; figures.py keeps the
figures.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Final, final

from fairlead.demo.client import Connection, NoReply, Reply
from fairlead.demo.figures import Outcome, Tally

RATE: Final = 400.0  # requests a second
CONNECTIONS: Final = 64  # as many can be on their way at once

_TIMER_S: Final = 0.0015  # timers count whole milliseconds and come late by up to one: that is not the proxy's doing


@final
class Schedule:
    """When each request starts: every 1/rate seconds from `start`."""

    def __init__(self, start: float, rate: float) -> None:
        self._start = start
        self._rate = rate
        self._number = 0

    def next(self) -> tuple[int, float]:
        """The number of a request that nobody else has taken, and when it is to start."""
        number = self._number
        self._number += 1
        return number, self._start + number / self._rate


@final
class Traffic:
    """Sends requests to one address until cancelled."""

    def __init__(self, host: str, port: int, tally: Tally) -> None:
        self._connections = [Connection(host, port) for _ in range(CONNECTIONS)]
        self._tally = tally

    async def run(self) -> None:
        schedule = Schedule(time.monotonic(), RATE)
        try:
            async with asyncio.TaskGroup() as group:
                for connection in self._connections:
                    group.create_task(self._drive(connection, schedule))
        finally:
            for connection in self._connections:
                connection.close()

    async def _drive(self, connection: Connection, schedule: Schedule) -> None:
        now = time.monotonic  # and not the loop's time: uvloop's counts whole milliseconds
        while True:
            number, intended = schedule.next()
            await asyncio.sleep(intended - now())
            start = begun(intended, now())
            name, problem = await _ask(connection, f"/hello/{number}")
            end = now()
            self._tally.add(Outcome(at=end, took_s=end - start, name=name, problem=problem))


def begun(intended: float, woken: float) -> float:
    """From when a request counts that was meant to start at `intended` and could at `woken`."""
    return woken if woken - intended < _TIMER_S else intended


async def _ask(connection: Connection, target: str) -> tuple[str, str]:
    try:
        return judge(await connection.get(target), target)
    except NoReply as error:
        return "", str(error)


def judge(reply: Reply, target: str) -> tuple[str, str]:
    """Which backend has answered, and what is wrong with the answer, if anything."""
    if reply.status != 200:
        return "", f"{reply.status} {reply.error}".rstrip()
    try:
        said = json.loads(reply.body)
        if said["target"] == target:
            return str(said["backend"]), ""
    except (ValueError, KeyError, TypeError):
        pass
    return "", "the reply of another request"
