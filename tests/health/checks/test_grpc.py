"""Checks of kind grpc: against a real gRPC server with the health service, and against what is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from fairlead.health.checks.results import Result
from fairlead.health.checks.settings import CheckSettings
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamEnded
from hypothesis import given
from hypothesis import strategies as st

from health.checks.asking import Serve, ask, closed_port, hang, saying, serving

GRPC = CheckSettings(kind="grpc")
PASSED, CLOSED, TIMEOUT, BAD, WRONG = Result.PASSED, Result.CLOSED, Result.TIMEOUT, Result.BAD_REPLY, Result.WRONG_REPLY
SERVING = b"\0\0\0\0\2\x08\x01"
Head = list[tuple[str, str]]
HEAD: Head = [(":status", "200"), ("content-type", "application/grpc")]
ALL_WELL: Head = [("grpc-status", "0")]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a real server, with a service in each state."""
    with ThreadPoolExecutor(2) as pool:
        serving = grpc.server(pool)
        servicer = health.HealthServicer()
        servicer.set("shop", health_pb2.HealthCheckResponse.SERVING)
        servicer.set("broken", health_pb2.HealthCheckResponse.NOT_SERVING)
        servicer.set("new", health_pb2.HealthCheckResponse.UNKNOWN)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, serving)
        port = serving.add_insecure_port("127.0.0.1:0")
        serving.start()
        yield f"127.0.0.1:{port}"
        serving.stop(None).wait()


@pytest.mark.parametrize(
    ("service", "result", "detail"),
    [
        ("", PASSED, ""),
        ("shop", PASSED, ""),
        ("broken", WRONG, "'broken' is NOT_SERVING"),
        ("new", WRONG, "'new' is UNKNOWN"),
        ("nobody", WRONG, "gRPC status NOT_FOUND"),
        ("x" * 1000, WRONG, "gRPC status NOT_FOUND"),
    ],
)
async def test_a_real_server(server: str, service: str, result: Result, detail: str) -> None:
    outcome = await ask(CheckSettings(kind="grpc", grpc_service=service, timeout_s=5), server)
    assert (outcome.result, outcome.detail) == (result, detail)


async def test_a_real_server_without_the_health_service() -> None:
    with ThreadPoolExecutor(1) as pool:
        serving = grpc.server(pool)
        port = serving.add_insecure_port("127.0.0.1:0")
        serving.start()
        outcome = await ask(CheckSettings(kind="grpc", timeout_s=5), f"127.0.0.1:{port}")
        await asyncio.to_thread(serving.stop(None).wait)
    assert (outcome.result, outcome.detail) == (WRONG, "gRPC status UNIMPLEMENTED")


def answering(reply: Callable[[H2Connection], None]) -> Serve:
    """A server of HTTP/2 that replies so to the request."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http2 = H2Connection(H2Configuration(client_side=False))
        http2.initiate_connection()
        writer.write(http2.data_to_send())
        while data := await reader.read(65536):
            for event in http2.receive_data(data):
                if isinstance(event, StreamEnded):
                    reply(http2)
            writer.write(http2.data_to_send())

    return serve


def saying_frames(head: Head, message: bytes, trailers: Head | None) -> Callable[[H2Connection], None]:
    def reply(http2: H2Connection) -> None:
        http2.send_headers(1, head, end_stream=trailers is None and not message)
        if message:
            http2.send_data(1, message, end_stream=trailers is None)
        if trailers is not None:
            http2.send_headers(1, trailers, end_stream=True)

    return reply


@pytest.mark.parametrize(
    ("reply", "result", "detail"),
    [
        (saying_frames(HEAD, SERVING, ALL_WELL), PASSED, ""),
        (saying_frames([*HEAD, *ALL_WELL], SERVING, None), PASSED, ""),
        (saying_frames([*HEAD, ("grpc-status", "14")], b"", None), WRONG, "gRPC status UNAVAILABLE"),
        (saying_frames([*HEAD, ("grpc-status", "99")], b"", None), WRONG, "gRPC status 99"),
        (saying_frames([*HEAD, ("grpc-status", "a lot")], b"", None), WRONG, "gRPC status that is no number"),
        (saying_frames([(":status", "503")], b"", None), WRONG, "HTTP status 503"),
        (saying_frames(HEAD, SERVING, None), BAD, "an answer without grpc-status"),
        (saying_frames(HEAD, b"\0\0\0\0\2\x08\x07", ALL_WELL), WRONG, "the server is a status that is unknown"),
        (saying_frames(HEAD, b"", ALL_WELL), BAD, "no HealthCheckResponse: not one whole message"),
        (saying_frames(HEAD, b"x" * 5000, ALL_WELL), BAD, "an answer of more than 4096 bytes"),
        (lambda http2: http2.reset_stream(1, 7), CLOSED, "ended by the endpoint: REFUSED_STREAM"),
        (lambda http2: http2.close_connection(11), CLOSED, "ended by the endpoint: ENHANCE_YOUR_CALM"),
    ],
)
async def test_answers(reply: Callable[[H2Connection], None], result: Result, detail: str) -> None:
    async with serving(answering(reply)) as address:
        outcome = await ask(GRPC, address)
    assert (outcome.result, outcome.detail) == (result, detail)


@pytest.mark.parametrize(
    ("parts", "detail"),
    [
        ((b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",), "no HTTP/2 with prior knowledge"),
        ((b"HT", b"TP/1.1 400 Bad Request\r\n"), "no HTTP/2 with prior knowledge"),
        ((b"\0\0\0\4\0\0\0\0\7",), "no good HTTP/2: ProtocolError"),  # SETTINGS on a stream
        ((b"\0\0\0\4\0\0\0\0\0" * 8000,), "an answer of more than 65536 bytes"),
    ],
)
async def test_what_speaks_something_else(parts: tuple[bytes, ...], detail: str) -> None:
    async with serving(saying(*parts)) as address:
        outcome = await ask(GRPC, address)
    assert (outcome.result, outcome.detail) == (BAD, detail)


@given(frames=st.binary(max_size=200))
async def test_any_bytes_have_an_outcome_and_raise_nothing(frames: bytes) -> None:
    async with serving(saying(b"\0\0\0\4\0\0\0\0\0" + frames)) as address:
        assert (await ask(GRPC, address)).result in (BAD, CLOSED)


async def test_no_answer_and_no_listener() -> None:
    async with serving(hang) as address:
        outcome = await ask(CheckSettings(kind="grpc", timeout_s=0.2), address)
    assert (outcome.result, outcome.detail) == (TIMEOUT, "no answer within 0.2 s")
    assert (await ask(GRPC, closed_port())).result is Result.CONNECT_FAILED


async def test_what_is_asked() -> None:
    seen: dict[str, str] = {}

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        for event in http2.receive_data(await reader.read(65536)):
            seen.update(dict(getattr(event, "headers", ())))

    async with serving(note) as address:
        await ask(CheckSettings(kind="grpc", host="shop.example.com", timeout_s=1.5), address)
    assert seen == {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/grpc.health.v1.Health/Check",
        ":authority": "shop.example.com",
        "te": "trailers",
        "content-type": "application/grpc",
        "grpc-timeout": "1500m",
        "user-agent": "fairlead-check",
    }
