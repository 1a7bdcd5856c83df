"""The messages of grpc.health.v1.Health/Check, as bytes: the question, and what an answer says.

Pure. Two messages with one field each, in the wire format of protocol buffers and the framing of gRPC; fields that are
not known are skipped, as the format asks for. Not more of either is here, and a general library would be.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

PATH: Final = "/grpc.health.v1.Health/Check"
OK: Final = b"0"  # of grpc-status
_SERVICE: Final = 1 << 3 | 2  # the key of HealthCheckRequest.service: field 1, length-delimited
_STATUS: Final = 1 << 3 | 0  # of HealthCheckResponse.status: field 1, varint
_PREFIX: Final = 5  # a flag and four bytes of length before each message
_FIXED: Final = {1: 8, 5: 4}  # wire types of a fixed size
_MOST_BITS: Final = 64

CODES: Final = {
    b"1": "CANCELLED", b"2": "UNKNOWN", b"3": "INVALID_ARGUMENT", b"4": "DEADLINE_EXCEEDED", b"5": "NOT_FOUND",
    b"6": "ALREADY_EXISTS", b"7": "PERMISSION_DENIED", b"8": "RESOURCE_EXHAUSTED", b"9": "FAILED_PRECONDITION",
    b"10": "ABORTED", b"11": "OUT_OF_RANGE", b"12": "UNIMPLEMENTED", b"13": "INTERNAL", b"14": "UNAVAILABLE",
    b"15": "DATA_LOSS", b"16": "UNAUTHENTICATED",
}  # fmt: skip


class Serving(IntEnum):
    """HealthCheckResponse.ServingStatus."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


def request(service: str) -> bytes:
    """The framed HealthCheckRequest."""
    name = service.encode()
    message = bytes([_SERVICE]) + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def response(data: bytes) -> int:
    """The status in a framed HealthCheckResponse, a number of Serving or beyond. Raises ValueError for none."""
    if len(data) < _PREFIX or len(data) != _PREFIX + int.from_bytes(data[1:_PREFIX], "big"):
        raise ValueError("not one whole message")
    if data[0] != 0:
        raise ValueError("a compressed message, which was not asked for")
    return _status(data[_PREFIX:])


def _status(message: bytes) -> int:
    status, position = 0, 0
    while position < len(message):
        key, position = _read_varint(message, position)
        if key == _STATUS:
            status, position = _read_varint(message, position)
        else:
            position = _skipped(message, position, key & 7)
    if position != len(message):
        raise ValueError("a field that is cut off")
    return status


def _skipped(message: bytes, position: int, wire_type: int) -> int:
    """The position behind a value that is not known."""
    if wire_type == 0:
        return _read_varint(message, position)[1]
    if wire_type == 2:
        size, position = _read_varint(message, position)
        return position + size
    if wire_type not in _FIXED:
        raise ValueError(f"a field of wire type {wire_type}")
    return position + _FIXED[wire_type]


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """A number and the position behind it."""
    number = 0
    for shift in range(0, _MOST_BITS, 7):
        if position >= len(data):
            raise ValueError("a number that is cut off")
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, position
    raise ValueError("a number of more than 64 bits")
