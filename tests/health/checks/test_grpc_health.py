"""The messages of grpc.health.v1: against the bytes that protocol buffers ask for, and against any bytes at all."""

from __future__ import annotations

import pytest
from fairlead.health.checks.grpc_health import Serving, request, response
from hypothesis import given
from hypothesis import strategies as st


def framed(message: bytes, flag: int = 0) -> bytes:
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


@pytest.mark.parametrize(
    ("service", "data"),
    [
        ("", framed(b"")),
        ("shop", framed(b"\x0a\x04shop")),
        ("ü", framed(b"\x0a\x02\xc3\xbc")),
        ("x" * 300, framed(b"\x0a\xac\x02" + b"x" * 300)),
    ],
)
def test_requests(service: str, data: bytes) -> None:
    assert request(service) == data


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"", Serving.UNKNOWN),  # proto3 leaves out what is 0
        (b"\x08\x01", Serving.SERVING),
        (b"\x08\x02", Serving.NOT_SERVING),
        (b"\x08\x03", Serving.SERVICE_UNKNOWN),
        (b"\x08\x81\x00", Serving.SERVING),  # longer than need be, and legal
        (b"\x08\x02\x08\x01", Serving.SERVING),  # the last one counts
        (b"\x10\x05\x08\x01", Serving.SERVING),  # unknown fields of every type
        (b"\x12\x03abc\x08\x01", Serving.SERVING),
        (b"\x19" + b"x" * 8 + b"\x08\x01", Serving.SERVING),
        (b"\x25" + b"x" * 4 + b"\x08\x01", Serving.SERVING),
    ],
)
def test_responses(message: bytes, status: Serving) -> None:
    assert response(framed(message)) == status


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not one whole message"),
        (b"\0\0\0\0", "not one whole message"),
        (framed(b"\x08\x01")[:-1], "not one whole message"),
        (framed(b"\x08\x01") + framed(b""), "not one whole message"),
        (framed(b"\x08\x01", 1), "compressed"),
        (framed(b"\x08"), "cut off"),
        (framed(b"\x08\x80"), "cut off"),
        (framed(b"\x12\x05abc"), "cut off"),
        (framed(b"\x19abc"), "cut off"),
        (framed(b"\x0b"), "wire type 3"),
        (framed(b"\x08" + b"\xff" * 11), "more than 64 bits"),
    ],
)
def test_what_is_no_response_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        response(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_number_or_refused(message: bytes) -> None:
    try:
        assert response(framed(message)) >= 0
    except ValueError as error:
        assert str(error)


@given(status=st.integers(0, 2**32 - 1), unknown=st.binary(max_size=20))
def test_a_status_is_found_behind_what_is_not_known(status: int, unknown: bytes) -> None:
    number, out = status, bytearray()
    while True:
        out.append(number & 127 | (128 if number > 127 else 0))
        number >>= 7
        if not number:
            break
    other = b"\x7a" + bytes([len(unknown)]) + unknown
    assert response(framed(other + b"\x08" + bytes(out))) == status
