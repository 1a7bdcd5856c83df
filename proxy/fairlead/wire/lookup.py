"""A field or a cookie of a request that was read already, for the few services that ask for one.

A request's head is kept as what is sent on, and no field of it has an object of its own. Looking for one costs about
as much as reading the head did; whoever does not ask pays nothing.
"""

from __future__ import annotations


def field(parts: list[bytes], name: bytes) -> bytes:
    """The value of the first field of this name, which is in lower case; b"" when there is none."""
    head = b"".join(parts)
    start = _after_name(head.lower(), name, 0)
    return head[start : head.index(b"\r\n", start)].strip(b" \t") if start else b""


def cookie(parts: list[bytes], name: bytes) -> bytes:
    """The value of the first cookie of this name (RFC 6265 5.4); b"" when there is none."""
    head = b"".join(parts)
    lower = head.lower()
    start = _after_name(lower, b"cookie", 0)
    while start:
        for pair in head[start : head.index(b"\r\n", start)].split(b";"):
            key, _, value = pair.partition(b"=")
            if key.strip(b" \t") == name:
                return value.strip(b" \t")
        start = _after_name(lower, b"cookie", start)
    return b""


def _after_name(lower: bytes, name: bytes, start: int) -> int:
    """The offset behind the colon of a field, looked for from `start` on; 0 when there is none."""
    mark = b"\r\n" + name + b":"
    found = lower.find(mark, start)
    return found + len(mark) if found >= 0 else 0
