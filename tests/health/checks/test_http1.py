"""Checks of kind http, against servers of every kind."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from fairlead.health.checks.http1 import HttpQuestion
from fairlead.health.checks.results import Result
from fairlead.health.checks.settings import CheckSettings
from hypothesis import given
from hypothesis import strategies as st

from health.checks.asking import LIMIT_S, Serve, ask, closed_port, half_closed, hang, reset, saying, serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhea\r\n4\r\nlthy\r\n0\r\n\r\n"
HEALTHY = CheckSettings(body="healthy")
PASSED, CLOSED, TIMEOUT, BAD, WRONG = Result.PASSED, Result.CLOSED, Result.TIMEOUT, Result.BAD_REPLY, Result.WRONG_REPLY


def replying(status: int, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


@pytest.mark.parametrize(
    ("reply", "settings", "result", "detail"),
    [
        (OK, CheckSettings(), PASSED, ""),
        (replying(204), CheckSettings(), PASSED, ""),
        (replying(302), CheckSettings(), PASSED, ""),
        (replying(503), CheckSettings(), WRONG, "status 503"),
        (replying(404), CheckSettings(), WRONG, "status 404"),
        (replying(302), CheckSettings(status=("200",)), WRONG, "status 302"),
        (replying(429), CheckSettings(status=("200", "400-499")), PASSED, ""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OK, CheckSettings(), PASSED, ""),
        (b"HTTP/1.1 102 X\r\n\r\n" * 70, CheckSettings(), BAD, "more than 64 interim replies"),
        (b"HTTP/1.1 101 X\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", CheckSettings(), WRONG, "status 101"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", CheckSettings(), PASSED, ""),
        (b"HTTP/1.0 200 OK\r\n\r\n", CheckSettings(), PASSED, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", CheckSettings(method="HEAD"), PASSED, ""),
        (replying(200, b"all healthy!"), HEALTHY, PASSED, ""),
        (replying(200, b"all is lost"), HEALTHY, WRONG, "the body does not hold what is expected"),
        (CHUNKED, HEALTHY, PASSED, ""),  # the text is cut by a chunk
        (b"HTTP/1.0 200 OK\r\n\r\nhealthy", HEALTHY, PASSED, ""),
        (replying(200, b"a\r\nb"), CheckSettings(body=r"a\r\nb"), PASSED, ""),
        (replying(200, b"x" * 65529 + b"healthy"), HEALTHY, PASSED, ""),
        (replying(200, b"x" * 65530 + b"healthy"), HEALTHY, WRONG, "the body does not hold what is expected"),
        (replying(200, b"x" * 1_000_000), CheckSettings(), PASSED, ""),
        (b"", CheckSettings(), CLOSED, "connection closed before the answer was complete"),
        (OK[:-1], CheckSettings(), CLOSED, "connection closed before the answer was complete"),
        (CHUNKED[:-2], CheckSettings(), CLOSED, "connection closed before the answer was complete"),
        (OK[:20], CheckSettings(), BAD, "the connection was closed within the head of the reply"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", CheckSettings(), BAD, "no good HTTP reply: "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", CheckSettings(), BAD, "no good HTTP reply: "),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", CheckSettings(), BAD, "no good HTTP reply: "),
        (CHUNKED.replace(b"3\r\n", b"z\r\n"), CheckSettings(), BAD, "no good HTTP reply: "),
    ],
)
async def test_replies(reply: bytes, settings: CheckSettings, result: Result, detail: str) -> None:
    async with serving(saying(reply)) as address:
        outcome = await ask(settings, address)
    assert outcome.result is result, outcome
    assert outcome.detail.startswith(detail) if detail.endswith(" ") else outcome.detail == detail


@pytest.mark.parametrize("reply", [OK, CHUNKED, b"HTTP/1.1 100 Continue\r\n\r\n" + OK])
async def test_a_reply_may_come_byte_by_byte(reply: bytes) -> None:
    async with serving(saying(*[reply[i : i + 1] for i in range(len(reply))])) as address:
        assert (await ask(CheckSettings(), address)).result is PASSED


@pytest.mark.parametrize(
    ("serve", "result", "detail"),
    [
        (hang, TIMEOUT, "no answer within 0.2 s"),
        (half_closed, CLOSED, "connection closed before the answer was complete"),
        (reset, CLOSED, "connection reset by peer"),
        (saying(OK, request_ends=b""), PASSED, ""),  # spoken out of turn, and an answer all the same
    ],
)
async def test_connections_that_end_badly(serve: Serve, result: Result, detail: str) -> None:
    async with serving(serve) as address:
        outcome = await ask(CheckSettings(timeout_s=0.2), address)
    assert (outcome.result, outcome.detail) == (result, detail)


async def test_a_reply_that_drips_is_not_waited_for_longer_than_the_timeout() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(drip) as address:
        outcome = await ask(CheckSettings(timeout_s=0.2), address)
    assert outcome.result is TIMEOUT
    assert outcome.took_us >= 200_000


@pytest.mark.parametrize("rest", [b"", b"never to be completed"])
async def test_a_wrong_status_is_the_outcome_whatever_becomes_of_the_reply(rest: bytes) -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 X\r\nContent-Length: 1000\r\n\r\n" + rest)
        await reader.read()

    async with serving(stall) as address:
        outcome = await ask(CheckSettings(timeout_s=0.2), address)
    assert (outcome.result, outcome.detail) == (WRONG, "status 503")


@pytest.mark.parametrize("status", [200, 503])
async def test_an_endpoint_is_not_cut_off_within_its_reply(status: int) -> None:
    """Servers log that, and a check may come every second."""
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            for part in (b"HTTP/1.1 %d X\r\nContent-Length: 4\r\n\r\n" % status, b"b", b"o", b"d", b"y"):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.02)
            ended.put_nowait(repr(await reader.read()))
        except ConnectionError as error:
            ended.put_nowait(repr(error))

    async with serving(slowly) as address:
        await ask(CheckSettings(timeout_s=5), address)
        assert await asyncio.wait_for(ended.get(), LIMIT_S) == "b''"


async def test_nobody_listens() -> None:
    outcome = await ask(CheckSettings(), closed_port())
    assert (outcome.result, outcome.detail) == (Result.CONNECT_FAILED, "connection refused")


async def test_a_unix_socket_and_one_that_is_not_there(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    async with serving(saying(OK), path) as address:
        assert (await ask(CheckSettings(), address)).result is PASSED
    outcome = await ask(CheckSettings(), f"unix:{tmp_path}/other.sock")
    assert (outcome.result, outcome.detail) == (Result.CONNECT_FAILED, "no such file or directory")


@pytest.mark.parametrize(
    ("settings", "address", "request_"),
    [
        (
            CheckSettings(),
            "10.0.0.1:80",
            b"GET / HTTP/1.1\r\nHost: 10.0.0.1:80\r\nConnection: close\r\nUser-Agent: fairlead-check\r\n\r\n",
        ),
        (
            CheckSettings(path="/healthz?deep=1", method="HEAD", headers={"user-agent": "me", "X-Token": "a b"}),
            "unix:/run/app.sock",
            b"HEAD /healthz?deep=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nuser-agent: me\r\n"
            b"X-Token: a b\r\n\r\n",
        ),
        (
            CheckSettings(host="shop.example.com"),
            "[::1]:80",
            b"GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\nUser-Agent: fairlead-check\r\n\r\n",
        ),
    ],
)
def test_requests(settings: CheckSettings, address: str, request_: bytes) -> None:
    assert HttpQuestion(settings).request(address) == request_


@given(reply=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=5))
async def test_any_bytes_have_an_outcome_and_raise_nothing(reply: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(reply)]
    parts = [reply[start:end] for start, end in pairwise(places)]
    async with serving(saying(b"HTTP/1.1 200 ", *parts)) as address:
        assert (await ask(CheckSettings(), address)).result in (PASSED, CLOSED, BAD)
