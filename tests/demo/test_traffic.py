"""The traffic of the demo: when requests start, what counts as their latency, and what counts as answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from fairlead.demo.client import Connection, NoReply, Reply, parse_head
from fairlead.demo.traffic import Schedule, begun, judge
from hypothesis import given
from hypothesis import strategies as st

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def test_a_schedule_does_not_wait_for_anybody() -> None:
    schedule = Schedule(start=100.0, rate=4.0)
    assert [schedule.next() for _ in range(3)] == [(0, 100.0), (1, 100.25), (2, 100.5)]


def test_a_request_that_found_no_free_connection_counts_from_when_it_was_meant_to_start() -> None:
    assert begun(intended=100.0, woken=100.5) == 100.0


def test_a_timer_that_is_a_little_late_is_not_held_against_the_proxy() -> None:
    assert begun(intended=100.0, woken=100.001) == 100.001


def body(**said: str) -> bytes:
    return json.dumps(said).encode()


@pytest.mark.parametrize(
    ("reply", "judged"),
    [
        (Reply(200, "", body(backend="a", target="/hello/7")), ("a", "")),
        (Reply(200, "", body(backend="a", target="/hello/8")), ("", "the reply of another request")),
        (Reply(200, "", body(backend="a", target="/hello/7")[:-1]), ("", "the reply of another request")),
        (Reply(200, "", b"[]"), ("", "the reply of another request")),
        (Reply(502, "connect-failed", b""), ("", "502 connect-failed")),
        (Reply(500, "", b""), ("", "500")),
    ],
)
def test_only_the_reply_to_this_request_is_one(reply: Reply, judged: tuple[str, str]) -> None:
    assert judge(reply, "/hello/7") == judged


@given(st.binary())
def test_no_body_is_taken_for_a_reply_by_mistake(body: bytes) -> None:
    assert judge(Reply(200, "", body), "/hello/7") == ("", "the reply of another request")


def test_a_head_gives_its_status_and_fields() -> None:
    head = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\nFairlead-Error:connect-failed \r\n\r\n"
    assert parse_head(head) == (502, {"content-length": "3", "fairlead-error": "connect-failed"})


@given(st.binary())
def test_a_head_is_parsed_or_refused(head: bytes) -> None:
    try:
        status, _ = parse_head(head + b"\r\n\r\n")
    except ValueError:
        return
    assert head.startswith(b"HTTP/1.1 ")
    assert status <= 999


@asynccontextmanager
async def serving(answer: Callable[[int, Streams], Awaitable[None]]) -> AsyncIterator[tuple[Connection, list[int]]]:
    """A server that calls `answer` with the number of the connection for each request; and a client of it."""
    heads: list[int] = []
    handlers: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        number = len(handlers)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                heads.append(number)
                await answer(number, (reader, writer))
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    connection = Connection("127.0.0.1", server.sockets[0].getsockname()[1])
    async with server:
        yield connection, heads
        connection.close()
        await asyncio.gather(*filter(None, handlers))


async def test_a_connection_is_kept() -> None:
    async def answer(_: int, streams: Streams) -> None:
        streams[1].write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with serving(answer) as (connection, heads):
        assert await connection.get("/") == await connection.get("/") == Reply(200, "", b"ok")
        assert heads == [1, 1]


async def test_a_connection_that_the_server_closes_is_replaced() -> None:
    async def answer(_: int, streams: Streams) -> None:
        streams[1].write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")

    async with serving(answer) as (connection, heads):
        await connection.get("/")
        await connection.get("/")
        assert heads == [1, 2]


async def test_a_cut_reply_is_none_and_the_next_request_is_unharmed() -> None:
    async def answer(number: int, streams: Streams) -> None:
        streams[1].write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no" + b"k" * (number - 1))
        if number == 1:
            streams[1].close()

    async with serving(answer) as (connection, _):
        with pytest.raises(NoReply, match="closed before the whole reply"):
            await connection.get("/")
        assert (await connection.get("/")).body == b"ok"


async def test_garbage_is_no_reply() -> None:
    async def answer(_: int, streams: Streams) -> None:
        streams[1].write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    async with serving(answer) as (connection, _):
        with pytest.raises(NoReply, match="bad reply"):
            await connection.get("/")


async def test_nobody_listening_is_no_reply() -> None:
    async with serving(lambda _, __: asyncio.sleep(0)) as (connection, _):
        pass
    with pytest.raises(NoReply, match="refused"):
        await connection.get("/")
