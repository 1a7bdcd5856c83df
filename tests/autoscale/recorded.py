"""What a real aggregation layer and HPA controller sent and accepted, and how to send it again."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoscale.authority import SERVER_NAME

FOLDER = Path(__file__).parents[1] / "recordings"
LIMIT_S = 20.0
Header = tuple[str, str]


@dataclass(frozen=True)
class Request:
    """A request line, all headers in their order, and the answer that was accepted or refused."""

    line: str
    headers: tuple[Header, ...]
    answer: Any

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 (whatever was sent)
        return json.loads(self.body)


def lines(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(FOLDER / f"{name}.jsonl.gz", "rt") as file:
        for line in file:
            yield json.loads(line)


def requests(name: str) -> list[Request]:
    """Each request of a recording, once for each shape of its headers; the last answer to it."""
    found: dict[tuple[str, tuple[str, ...]], Request] = {}
    for line in lines(name):
        if "request" in line:
            headers = tuple((key, value) for key, value in line["headers"])
            known = (line["request"], tuple(name for name, _ in headers))
            found[known] = Request(line["request"], headers, line["answer"])
    return list(found.values())


class Connection:
    """One connection over TLS, on which requests are sent byte for byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, line: str, headers: Iterable[Header]) -> Reply:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self._writer.write(f"{line}\r\n{head}\r\n".encode())
        async with asyncio.timeout(LIMIT_S):
            received = (await self._reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
            fields = dict(field.split(": ", 1) for field in received[1:] if field)
            body = await self._reader.readexactly(int(fields["Content-Length"]))
        return Reply(int(received[0].split(" ")[1]), fields, body)

    async def close(self) -> None:
        self._writer.transport.abort()
        await asyncio.sleep(0)


async def connect(port: int, context: ssl.SSLContext, server_name: str = SERVER_NAME) -> Connection:
    async with asyncio.timeout(LIMIT_S):
        return Connection(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=server_name))
