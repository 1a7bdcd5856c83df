"""A keep-alive HTTP/1.1 connection that asks and reads: for the traffic, and for the proxy's admin server.

Knows GET and replies with a Content-Length, which is all that the demo meets. Invariant: a connection on which
anything went wrong is closed, and the next request opens another; so no reply can be taken for that of another request.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, final

_ANSWER_S: Final = 5.0  # a reply that takes longer has failed


@final
@dataclass(frozen=True, slots=True)
class Reply:
    """`error` is the value of `Fairlead-Error`: the proxy itself has answered."""

    status: int
    error: str
    body: bytes


class NoReply(Exception):
    """There was no reply, or it was cut; says how."""


@final
class Connection:
    """Connects when it is first needed."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, target: str) -> Reply:
        """Raises NoReply."""
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await self._get(target)
        except TimeoutError:
            self.close()
            raise NoReply(f"no reply within {_ANSWER_S:g} s") from None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, KeyError) as error:
            self.close()
            raise NoReply(_words(error)) from error
        except BaseException:
            self.close()
            raise

    async def _get(self, target: str) -> Reply:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n\r\n".encode())
        status, fields = parse_head(await reader.readuntil(b"\r\n\r\n"))
        body = await reader.readexactly(int(fields["content-length"]))
        if fields.get("connection", "").lower() == "close":
            self.close()
        return Reply(status, fields.get("fairlead-error", ""), body)

    def close(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and fields, by lower-case name, of a whole head. Raises ValueError."""
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    version, _, rest = first.partition(" ")
    if version != "HTTP/1.1":
        raise ValueError("not an HTTP/1.1 reply")
    pairs = (line.partition(":") for line in lines)
    return int(rest[:3]), {name.lower(): value.strip() for name, _, value in pairs}


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, asyncio.IncompleteReadError | ConnectionResetError):
        return "connection closed before the whole reply"
    return f"bad reply ({type(error).__name__})"
