"""Requests at a fixed rate that waits for nobody: who is refused does not come again, who waits holds up nobody.

Owns the connections and the clock of each request, which starts when it was due. There are as many connections as are
needed. Run as `python -m loadtests.overload.load PORT RATE WARMUP_S SECONDS`; prints its result as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import cast, final

import uvloop

from loadtests.compare.figures import quantile

_REQUEST = b"GET / HTTP/1.1\r\nHost: app.example\r\n\r\n"
_GRACE_S = 3.0  # for what is under way at the end


@final
@dataclass(slots=True, kw_only=True)
class Outcome:
    """Of the requests that were due in the measured time: by status, and how long those with 200 took."""

    seconds: float
    statuses: dict[str, int] = field(default_factory=dict)
    p50_ms: float = 0.0
    p99_ms: float = 0.0

    @property
    def goodput(self) -> float:
        return self.statuses.get("200", 0) / self.seconds


class Client(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._came = b""
        self.due: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass of it

    def ask(self, due: float) -> None:
        self.due = due
        self._transport.write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        self._came = b""
        keeps = b"connection: close" not in head.lower()
        self._done(head[9:12].decode())
        if keeps:
            self._load.free.append(self)
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._done("closed")
        if self in self._load.free:
            self._load.free.remove(self)

    def _done(self, status: str) -> None:
        due, self.due = self.due, None
        if due is not None:
            self._load.note(due, status)


@final
class Load:
    """The whole of a run."""

    def __init__(self, port: int, rate: float, warmup_s: float, seconds: float) -> None:
        self.free: list[Client] = []
        self._port = port
        self._rate = rate
        self._warmup_s = warmup_s
        self._outcome = Outcome(seconds=seconds)
        self._took: list[float] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def run(self) -> Outcome:
        loop = asyncio.get_running_loop()
        start = time.monotonic()
        self._measured = start + self._warmup_s
        for number in range(int(self._rate * (self._warmup_s + self._outcome.seconds))):
            due = start + number / self._rate
            if due > time.monotonic():
                await asyncio.sleep(due - time.monotonic())
            if self.free:
                self.free.pop().ask(due)
            else:
                task = loop.create_task(self._ask_anew(due))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
        await asyncio.sleep(_GRACE_S)
        self._took.sort()
        if self._took:
            self._outcome.p50_ms = quantile(self._took, 0.5) * 1000
            self._outcome.p99_ms = quantile(self._took, 0.99) * 1000
        return self._outcome

    async def _ask_anew(self, due: float) -> None:
        try:
            _, client = await asyncio.get_running_loop().create_connection(
                lambda: Client(self), "127.0.0.1", self._port
            )
        except OSError:
            self.note(due, "refused")
        else:
            client.ask(due)

    def note(self, due: float, status: str) -> None:
        if due < self._measured:
            return
        statuses = self._outcome.statuses
        statuses[status] = statuses.get(status, 0) + 1
        if status == "200":
            self._took.append(time.monotonic() - due)


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if rest else 0


if __name__ == "__main__":
    outcome = uvloop.run(Load(int(sys.argv[1]), *(float(each) for each in sys.argv[2:5])).run())
    print(json.dumps({**asdict(outcome), "goodput": outcome.goodput}))
