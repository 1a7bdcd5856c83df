"""However the bytes of a request and its reply are cut on their way, the other side gets the same."""

import asyncio
import itertools

import uvloop
from dataplane.stage import Peer, Stage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

REQUESTS = [
    b"GET /a HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
    b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-T: 1\r\n\r\n",
    b"PUT http://b/d?e HTTP/1.1\r\nHost: a\r\nConnection: x-hop\r\nX-Hop: 1\r\n"
    b"X-Odd:  2\t\r\nContent-Length: 2\r\n\r\nab",
]
REPLIES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nreply",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrep\r\n2\r\nly\r\n0\r\nX-T: 2\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 No\r\nX-A:b \r\nContent-Length: 1\r\n\r\nn",
    b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
]


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted({i % len(data) for i in at} - {0}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


async def told(peer: Peer) -> tuple[bytes, list[tuple[bytes, bytes]], bytes, bytes]:
    """A message, without what differs from one time to the next."""
    message = await peer.message()
    fields = [(name, value) for name, value in message.fields if name != b"X-Request-Id"]
    return message.line, fields, message.body, message.trailers


async def send(peer: Peer, pieces: list[bytes]) -> None:
    """Send each piece after the plane had its turns to read the one before."""
    for piece in pieces:
        await peer.send(piece)
        for _ in range(4):
            await asyncio.sleep(0)


async def passage(request: list[bytes], reply: list[bytes]) -> list[object]:
    """What endpoint and client get."""
    got: list[object] = []
    async with Stage() as stage:
        stand = stage.stand()
        stage.play(stand)
        client = await stage.client()
        sending = asyncio.ensure_future(send(client, request))
        server = await stand.accept()
        got.append(await told(server))
        await sending
        replying = asyncio.ensure_future(send(server, reply))
        if reply[0].startswith(b"HTTP/1.0"[: len(reply[0])]) and b"until the end" in b"".join(reply):
            await replying
            server.close()
        while True:
            message = await told(client)
            got.append(message)
            if message[0].split()[1] != b"103":
                break
        await replying
        got.append(stage.counts())
    return got


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    request=st.sampled_from(REQUESTS),
    reply=st.sampled_from(REPLIES),
    cuts=st.tuples(st.lists(st.integers(1, 400), max_size=12), st.lists(st.integers(1, 400), max_size=12)),
)
def test_cutting_changes_nothing(request: bytes, reply: bytes, cuts: tuple[list[int], list[int]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        whole = runner.run(passage([request], [reply]))
        in_pieces = runner.run(passage(cut(request, cuts[0]), cut(reply, cuts[1])))
    assert in_pieces == whole


def test_cutting_everywhere_changes_nothing() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for request, reply in zip([*REQUESTS, REQUESTS[0]], REPLIES, strict=True):
            whole = runner.run(passage([request], [reply]))
            in_bytes = runner.run(
                passage(
                    [request[i : i + 1] for i in range(len(request))], [reply[i : i + 1] for i in range(len(reply))]
                )
            )
            assert in_bytes == whole
