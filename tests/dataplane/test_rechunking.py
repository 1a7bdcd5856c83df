"""Any stream of requests and any reply, good or hostile, ends the same however it is cut on its way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from dataplane.passages import Answer, Passages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wire.heads import replies, requests

thorough = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each passage leaves nothing behind
)
ASK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BODIES = (
    b"", b"", b"hello", b"abc", b"5\r\nhello\r\n0\r\n\r\n", b"1;a=b\r\nx\r\n2\r\nyz\r\n0\r\nX: y\r\n\r\n", b"0\r\n\r\n",
    b"5\r\nhello", b"5\r\nhelloX\r\n0\r\n\r\n", b"0\r\nHost: b\r\n\r\n", b"g\r\n", b"hel",
)  # fmt: skip
SURPLUS = (b"", b"", b"", b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen", b"x")
messages = st.tuples(requests(), st.sampled_from(BODIES)).map(b"".join)
streams = st.lists(messages, min_size=1, max_size=3).map(b"".join)
answers = st.tuples(replies(), st.sampled_from(BODIES), st.sampled_from(SURPLUS)).map(b"".join)
cuts = st.lists(st.integers(1, 1000), max_size=10)


@pytest.fixture
def passages() -> Iterator[Passages]:
    with Passages() as passages:
        yield passages


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(i % len(data) for i in at)})
    return [data[a:b] for a, b in pairwise(edges)]


@thorough
@given(stream=streams, at=cuts)
def test_a_stream_of_requests_ends_the_same_in_every_cut(passages: Passages, stream: bytes, at: list[int]) -> None:
    assert passages.play(cut(stream, at)) == passages.play([stream])


@thorough
@given(answer=answers, at=cuts, then_close=st.booleans(), method=st.sampled_from([b"GET", b"HEAD", b"POST"]))
def test_a_reply_ends_the_same_in_every_cut(
    passages: Passages, answer: bytes, at: list[int], then_close: bool, method: bytes
) -> None:
    ask = ASK.replace(b"GET", method)
    in_pieces = passages.play([ask], [Answer(cut(answer, at), then_close)])
    assert in_pieces == passages.play([ask], [Answer([answer], then_close)])


def test_every_byte_of_a_stream_may_come_alone(passages: Passages) -> None:
    stream = ASK + b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n" + ASK
    seen = passages.play([stream[i : i + 1] for i in range(len(stream))])
    assert seen == passages.play([stream])
    assert [asked.content for asked in seen.asked] == [b"", b"ab", b""]
