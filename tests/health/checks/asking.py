"""One check against a server of the test's own, and servers that misbehave in every way that is known."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from fairlead.engine.address import Address
from fairlead.engine.reactor import Reactor
from fairlead.health.checks.results import Outcome
from fairlead.health.checks.run import question_of
from fairlead.health.checks.settings import CheckSettings

LIMIT_S = 20.0  # for anything that is waited for; a test that needs it fails

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def ask(settings: CheckSettings, address: str) -> Outcome:
    """The outcome of one check; afterwards nothing is open."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Outcome] = loop.create_future()
    reactor = Reactor(loop)
    failures: list[BaseException] = []
    reactor.on_error = lambda _, error: failures.append(error)
    reactor.open()
    try:
        probe = question_of(settings).probe(reactor, address, told.set_result)
        probe.begin(Address(address))
        outcome = await asyncio.wait_for(told, LIMIT_S)
        assert reactor.members() == []
        assert failures == []
        return outcome
    finally:
        reactor.close()


@asynccontextmanager
async def serving(serve: Serve, path: str = "") -> AsyncIterator[str]:
    """The address of a server that treats each connection so; whatever it is doing ends with the block."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError):
                await serve(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()

    if path:
        server = await asyncio.start_unix_server(accept, path)
        address = f"unix:{path}"
    else:
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield address
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def saying(*parts: bytes, request_ends: bytes = b"\r\n\r\n") -> Serve:
    """Read a request, say the parts one after the other, and close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request_ends:
            await reader.readuntil(request_ends)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        writer.write_eof()
        await reader.read()

    return serve


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take whatever comes, and say nothing."""
    await reader.read()


async def half_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send no more from the first moment on, and go on reading."""
    writer.write_eof()
    await reader.read()


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection with a reset as soon as something was asked."""
    await reader.read(1)
    given = writer.get_extra_info("socket")
    given.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def closed_port() -> str:
    """The address of a port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"
