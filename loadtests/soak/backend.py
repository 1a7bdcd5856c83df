"""An endpoint that replies as content.py says. `python -m loadtests.soak.backend PORT`; it is made to be killed."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import h11
import uvloop

from loadtests.soak.content import content, digest

_PIECE = 16_384


class Backend(asyncio.Protocol):
    """One connection, spoken by h11: strict, and not our own reading of HTTP."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.SERVER)
        self._target = ""
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._http.receive_data(data)
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return
            if isinstance(event, h11.Request):
                self._target = event.target.decode()
                self._body.clear()
            elif isinstance(event, h11.Data):
                self._body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._reply()

    def eof_received(self) -> None:
        self._transport.close()

    def _reply(self) -> None:
        _, kind, number, *size = self._target.split("/")
        body = content(int(number), int(size[0])) if kind == "bytes" else digest(int(number), b"".join(self._body))
        framing = ("Transfer-Encoding", "chunked") if int(number) % 3 == 0 else ("Content-Length", str(len(body)))
        self._send(h11.Response(status_code=200, headers=[framing]))
        for start in range(0, len(body), _PIECE):
            self._send(h11.Data(data=body[start : start + _PIECE]))
        self._send(h11.EndOfMessage())
        self._http.start_next_cycle()

    def _send(self, event: h11.Event) -> None:
        self._transport.write(self._http.send(event) or b"")


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Backend, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
