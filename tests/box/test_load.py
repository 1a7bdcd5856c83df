"""The load must see what goes wrong: a client that overlooks failures would find none."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from box.load import Generator, Load, Request, Verdict, failures, judge
from kubernetes.following import until

Handler = Callable[[str], bytes]
_T = TypeVar("_T")


def reply(path: str, pod: str = "a", body: str = "a\n", status: str = "200 OK", more: str = "") -> bytes:
    fields = f"X-Pod: {pod}\r\nX-Path: {path}\r\nContent-Length: {len(body)}\r\n{more}"
    return f"HTTP/1.1 {status}\r\n{fields}\r\n{body}".encode()


def test_a_reply_is_whole_or_not() -> None:
    whole = reply("/r/1")
    assert judge(whole, "/r/1") == Verdict("a", "", True)
    assert all(judge(whole[:end], "/r/1") is None for end in range(len(whole)))


@pytest.mark.parametrize(
    ("data", "failure"),
    [
        (reply("/r/2"), "a reply to something else"),
        (reply("/r/1", body="b\n"), "a reply to something else"),
        (reply("/r/1") + b"x", "a reply to something else"),
        (reply("/r/1", status="500 Broken"), "500 from the pod"),
        (reply("/r/1", status="502 Bad", more="Fairlead-Error: connect-failed\r\n"), "502 connect-failed"),
        (b"HTTP/1.1 200 OK\r\nX-Pod: a\r\nX-Path: /r/1\r\n\r\na\n", "a reply to something else"),
    ],
)
def test_a_wrong_reply_is_a_failure(data: bytes, failure: str) -> None:
    verdict = judge(data, "/r/1")
    assert verdict is not None and verdict.failure == failure


def test_a_connection_that_is_to_close_is_not_used_again() -> None:
    assert judge(reply("/r/1", more="Connection: close\r\n"), "/r/1") == Verdict("a", "", False)


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[str]:
    """A server that gives each path what the handler says; nothing more comes after b"" or what is too short."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                said = handler(head.split()[1].decode())
                writer.write(said)
                if not said.endswith(b"\n") or b"Connection: close" in said:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"


async def sent_to(handler: Handler, number: int = 40) -> list[Request]:
    """What became of so many requests."""
    seen: set[str] = set()
    enough = asyncio.Event()

    def count(path: str) -> bytes:
        seen.add(path)
        if len(seen) >= number:
            enough.set()
        return handler(path)

    async with answering(count) as at:
        load = await Load.start(200, at)
        await within(enough.wait())
        return await within(load.end())


async def within(what: Awaitable[_T]) -> _T:
    return await asyncio.wait_for(what, 30)


async def test_good_replies_are_good_on_both_kinds_of_connections() -> None:
    requests = await sent_to(reply)
    assert len(requests) >= 40 and not failures(requests)
    assert {each.is_fresh for each in requests} == {True, False}
    assert {each.pod for each in requests} == {"a"}
    assert all(each.due <= each.sent <= each.done for each in requests)


async def test_each_wrong_reply_is_counted_once() -> None:
    def handler(path: str) -> bytes:
        number = int(path.rpartition("/")[2])
        if number == 6:
            return b""
        if number == 7:
            return reply(path)[:-3]
        if number == 8:
            return reply("/r/7", more="Connection: close\r\n")
        if number == 9:
            return reply(path, status="503 No", more="Fairlead-Error: no-endpoint\r\n")
        return reply(path)

    requests = await sent_to(handler)
    assert {each.number: each.failure for each in failures(requests)} == {
        6: "closed before the end of a reply",
        7: "closed before the end of a reply",
        8: "a reply to something else",
        9: "503 no-endpoint",
    }


async def test_nobody_there() -> None:
    async with answering(reply) as at:
        pass
    generator = Generator(200)
    commands, end = os.pipe()
    os.write(end, json.dumps([at]).encode() + b"\n")
    running = asyncio.ensure_future(asyncio.to_thread(generator.run, commands))
    await until(lambda: len(generator.requests) > 10, "some are sent")
    os.close(end)
    await within(running)
    os.close(commands)
    assert {each.failure for each in generator.requests} == {"connecting: Connection refused"}


async def test_targets_can_change() -> None:
    seen: list[str] = []

    def pod(name: str) -> Handler:
        def handler(path: str) -> bytes:
            seen.append(name)
            return reply(path, name, f"{name}\n")

        return handler

    async with answering(pod("a")) as a, answering(pod("b")) as b:
        load = await Load.start(200, a)
        await until(lambda: seen.count("a") > 10, "a answers")
        load.aim(b)
        await until(lambda: seen.count("b") > 10, "b answers")
        requests = await within(load.end())
    pods = [each.pod for each in requests]
    assert not failures(requests)
    assert pods == sorted(pods) and set(pods) == {"a", "b"}
