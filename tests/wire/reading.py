"""Heads and bodies read in every way that bytes can come: at once, byte by byte, and with more behind them.

What is returned are plain values, so that two readings can be compared.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fairlead.errors import Kind
from modes import Mode

NEXT = b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Refused:
    """A head that is not forwarded. `detail` says why."""

    kind: Kind
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request's head: `sent` is what is forwarded of it, with its empty line; `end` the offset behind it."""

    end: int
    sent: bytes
    method: bytes
    target: bytes
    host: bytes
    minor: int
    keep_alive: bool
    framing: int
    content_length: int
    upgrade: bytes
    expect_continue: bool
    is_head: bool
    is_idempotent: bool
    forwarded_for: bytes | None
    request_id: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Believed:
    """A trusted proxy's request: `sent` is the head that the endpoint gets, `client` whose request it is taken for."""

    end: int
    sent: bytes
    client: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply's head, in the same manner."""

    end: int
    sent: bytes
    status: int
    minor: int
    keep_alive: bool
    framing: int
    content_length: int
    upgrade: bytes
    untouched: bool


@dataclass(frozen=True, slots=True)
class Content:
    """What became of a body: its bytes as sent on, how many were taken, and whether it is done or bad."""

    sent: bytes
    taken: int
    is_done: bool
    is_bad: bool
    detail: str


def read_request(mode: Mode, data: bytes, start: int = 0, **limits: int) -> Request | Refused | None:
    """Parse once; None when there is not enough of it."""
    http1, fields = mode["wire.http1"], mode["wire.fields"]
    head = http1.RequestHead()
    end = http1.parse_request(data, start, head, fields.HeadLimits(**limits))
    if end <= 0:
        return Refused(http1.REJECTIONS[-end], head.detail) if end else None
    names = [name for name in Request.__dataclass_fields__ if name not in ("end", "sent")]
    sent = b"".join(head.parts) + b"\r\n"
    return Request(end=end, sent=sent, **{name: getattr(head, name) for name in names})


def read_trusted(mode: Mode, data: bytes, peer: bytes) -> Believed | None:
    """Parse a trusted proxy's request once; None when there is not enough of it. It must not be refused."""
    http1, fields, forwarded = mode["wire.http1"], mode["wire.fields"], mode["wire.forwarded"]
    trust = forwarded.Trust(("10.0.0.0/8", "2001:db8::/32", "unix"))
    assert trust.holds(peer)
    head = http1.RequestHead()
    head.is_trusted = True
    end = http1.parse_request(data, 0, head, fields.HeadLimits())
    assert end >= 0, head.detail
    if not end:
        return None
    request_id = forwarded.request_id_of(head.request_id) or b"fresh"
    added = forwarded.forwarded_fields(head, peer, b"http") + b"X-Request-Id: " + request_id + b"\r\n\r\n"
    client = trust.client(head.forwarded_for, peer)
    return Believed(end=end, sent=b"".join(head.parts) + added, client=client)


def read_reply(mode: Mode, data: bytes, is_head: bool = False, **limits: int) -> Reply | Refused | None:
    """Parse once; None when there is not enough of it."""
    http1, fields = mode["wire.http1"], mode["wire.fields"]
    head = http1.ReplyHead()
    end = http1.parse_reply(data, 0, head, is_head, fields.HeadLimits(**limits))
    if end <= 0:
        return Refused(http1.REJECTIONS[-end], head.detail) if end else None
    names = [name for name in Reply.__dataclass_fields__ if name not in ("end", "sent")]
    sent = b"".join(head.parts) + b"\r\n"
    return Reply(end=end, sent=sent, **{name: getattr(head, name) for name in names})


def request_in_every_way(mode: Mode, data: bytes, **limits: int) -> Request | Refused | None:
    """The outcome for a whole request, after checking that no way of cutting or continuing the bytes changes it."""
    whole = read_request(mode, data, **limits)
    for size in range(len(data) + 1):
        so_far = read_request(mode, data[:size], **limits)
        if so_far is not None:
            break
    assert so_far == whole
    if isinstance(whole, Request):
        assert size == whole.end
    if whole is not None:
        assert read_request(mode, data + NEXT, **limits) == whole
        assert read_request(mode, data + b"\x00\r\n", **limits) == whole
        moved = replace(whole, end=whole.end + len(NEXT)) if isinstance(whole, Request) else whole
        assert read_request(mode, NEXT + data, len(NEXT), **limits) == moved
    return whole


def reply_in_every_way(mode: Mode, data: bytes, is_head: bool = False, **limits: int) -> Reply | Refused | None:
    """The same for a reply."""
    whole = read_reply(mode, data, is_head, **limits)
    for size in range(len(data) + 1):
        so_far = read_reply(mode, data[:size], is_head, **limits)
        if so_far is not None:
            break
    assert so_far == whole
    if isinstance(whole, Reply):
        assert size == whole.end
    if whole is not None:
        assert read_reply(mode, data + b"\x00HTTP/1.1 200 OK\r\n\r\n", is_head, **limits) == whole
    return whole


def take(mode: Mode, pieces: Iterable[bytes], framing: int, length: int = 0, rechunk: bool = True) -> Content:
    """Give a body the pieces one after the other until it is done or bad."""
    body = mode["wire.body"].Body()
    body.begin(framing, length, rechunk)
    out: list[bytes] = []
    taken = 0
    for piece in pieces:
        end = body.take(piece, 0, out)
        assert 0 <= end <= len(piece)
        taken += end
        if body.is_done or body.is_bad:
            break
        assert end == len(piece)
    return Content(b"".join(out), taken, body.is_done, body.is_bad, body.detail)


def dechunk(sent: bytes) -> tuple[bytes, bytes | None]:
    """The content of a chunked body of our own, and its trailers; None for them when the last chunk is missing."""
    content = b""
    while sent:
        line, _, sent = sent.partition(b"\r\n")
        size = int(line, 16)
        if not size:
            assert sent.endswith(b"\r\n")
            return content, sent[:-2]
        assert sent[size : size + 2] == b"\r\n"
        content += sent[:size]
        sent = sent[size + 2 :]
    return content, None
