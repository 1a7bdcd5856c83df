"""Fuzz targets of the heads: requests, replies, the host and the target of a request.

Each takes any bytes and raises when something is wrong. Invariants: a head is judged the same in every cut; what is
forwarded is clean, is forwarded again as it is, and is read the same by h11 and llhttp; of what came, h11 reads the
same as we do, if it takes it at all.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

import h11
from modes import COMPILED
from wire.heads import FRAMING_FIELDS, HOP_BY_HOP, fields_of
from wire.oracles import Read, replies_in, requests_in
from wire.reading import NEXT, Refused, Reply, Request, read_reply, read_request

_CONTENT = {0: b"", 2: b"5\r\nxxxxx\r\n0\r\n\r\n", 3: b"xxxxx"}  # by framing; that with a length is made to measure
_LONGEST = 4096  # content that is made for a head
_NAME = re.compile(rb"(?:[0-9A-Za-z\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+")  # RFC 3986 3.2.2, without the comma
_PORT = re.compile(rb"0*(?:[1-9][0-9]{0,4})?")
_TARGET = re.compile(rb"/[!-\"$-~]*")


def request(data: bytes) -> None:
    outcome = read_request(COMPILED, data)
    _check_cuts([read_request(COMPILED, data[:size]) for size in _cuts(data)], outcome)
    if isinstance(outcome, Request):
        _check_clean(outcome)
        _check_again(outcome)
        _check_request_oracles(data[: outcome.end], outcome)


def _cuts(data: bytes) -> list[int]:
    """Some places to cut at, others for other data."""
    return [len(data) * part // 16 for part in range(1, 16)] + [len(data) - 1] if data else []


def _check_cuts(outcomes: list[Request | Refused | None] | list[Reply | Refused | None], whole: object) -> None:
    """Nothing is decided before it is known, and nothing is decided otherwise later."""
    decided = [outcome for outcome in outcomes if outcome is not None]
    assert all(outcome == whole for outcome in decided)


def _check_clean(outcome: Request) -> None:
    line, fields = fields_of(outcome.sent)
    assert line == outcome.method + b" " + outcome.target + b" HTTP/1.1"
    names = [name for name, _ in fields]
    assert names.count(b"host") == 1
    assert dict(fields)[b"host"] == outcome.host
    assert sum(name in FRAMING_FIELDS for name in names) == (outcome.framing != 0)
    assert outcome.target == b"*" or _TARGET.fullmatch(outcome.target)
    for name, value in fields:
        assert not set(value) & set(b"\r\n\0")
        plain = name.replace(b"_", b"-")
        assert not plain.startswith(b"x-forwarded-")
        assert plain not in (b"x-request-id", b"forwarded")
        assert name == plain or plain not in HOP_BY_HOP | FRAMING_FIELDS


def _check_again(first: Request) -> None:
    if not first.host:
        return  # a request of HTTP/1.0 without Host gets an empty one, which is refused in HTTP/1.1
    again = read_request(COMPILED, first.sent)
    if isinstance(again, Refused) and b"ax-forwards: 0\r\n" in first.sent.lower():
        return  # it has come as far as it may
    assert isinstance(again, Request), again
    for name in ("method", "target", "host", "framing", "content_length", "upgrade", "expect_continue"):
        assert getattr(again, name) == getattr(first, name), name


def _check_request_oracles(data: bytes, outcome: Request) -> None:
    if outcome.content_length > _LONGEST:
        return
    content = b"x" * outcome.content_length if outcome.framing == 1 else _CONTENT[outcome.framing]
    stream = requests_in(outcome.sent + content + NEXT)
    assert len(stream.messages) == 2
    assert not stream.is_cut
    read = stream.messages[0]
    assert read.line == (outcome.method, outcome.target)
    assert list(read.fields) == fields_of(outcome.sent)[1]
    assert len(read.content) == (5 if outcome.framing == 2 else outcome.content_length)
    _check_request_came(data, outcome, read)


def _check_request_came(data: bytes, outcome: Request, read: Read) -> None:
    """h11 takes all that is taken here, and reads the same in it."""
    while data.startswith(b"\r\n"):
        data = data[2:]  # RFC 9112 2.2 allows it, h11 does not
    reader = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    reader.receive_data(data)
    came = reader.next_event()
    assert isinstance(came, h11.Request)
    framing = [(name, value) for name, value in came.headers if name in FRAMING_FIELDS]
    assert came.method == outcome.method
    assert [(name, value.lower()) for name, value in framing] == read.framing
    assert came.target == outcome.target or not came.target.startswith(b"/")


def reply(data: bytes) -> None:
    """HEAD and a space at the beginning say what the request was."""
    is_head = data.startswith(b"HEAD ")
    data = data.removeprefix(b"HEAD ")
    outcome = read_reply(COMPILED, data, is_head)
    _check_cuts([read_reply(COMPILED, data[:size], is_head) for size in _cuts(data)], outcome)
    if not isinstance(outcome, Reply):
        return
    again = read_reply(COMPILED, outcome.sent, is_head)
    assert isinstance(again, Reply), again
    for name in ("sent", "status", "framing", "upgrade"):
        assert getattr(again, name) == getattr(outcome, name), name
    assert outcome.framing != 1 or again.content_length == outcome.content_length
    assert outcome.untouched <= (outcome.sent == data[: outcome.end])
    _check_reply_oracles(outcome, is_head)
    if not re.search(rb"[ \t]:", data[: outcome.end]):  # RFC 9112 5.1 has a proxy remove it, h11 refuses it
        _check_reply_came(data[: outcome.end], outcome)


def _check_reply_came(data: bytes, outcome: Reply) -> None:
    reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    fields = [("Host", "a"), ("Connection", "upgrade"), ("Upgrade", "any")]
    reader.send(h11.Request(method="GET", target="/", headers=fields))
    reader.send(h11.EndOfMessage())
    reader.receive_data(data)
    came = reader.next_event()
    assert isinstance(came, h11.Response | h11.InformationalResponse)
    assert came.status_code == outcome.status


def _check_reply_oracles(outcome: Reply, is_head: bool) -> None:
    if outcome.content_length > _LONGEST:
        return
    content = b"x" * outcome.content_length if outcome.framing == 1 else _CONTENT[outcome.framing]
    stream = replies_in(outcome.sent + content, (b"HEAD" if is_head else b"GET",), outcome.framing == 3)
    assert len(stream.messages) == 1
    assert not stream.is_cut
    read = stream.messages[0]
    assert read.line == (b"%d" % outcome.status,)
    assert list(read.fields) == fields_of(outcome.sent)[1]
    assert len(read.content) == (outcome.content_length if outcome.framing == 1 else 5 * (outcome.framing > 1))


def host(data: bytes) -> None:
    """A value is taken for a host exactly when another reading of the grammar takes it."""
    if set(data) & set(b"\r\n"):
        return
    outcome = read_request(COMPILED, b"GET / HTTP/1.1\r\nHost: " + data + b"\r\n\r\n")
    value = data.strip(b" \t")
    assert isinstance(outcome, Request) == _is_host(value), value
    if isinstance(outcome, Request):
        assert outcome.host == value


def _is_host(value: bytes) -> bool:
    literal = re.fullmatch(rb"\[([0-9A-Fa-f:.]*)\](?::(.*))?", value, re.DOTALL)
    if literal is not None:
        try:
            ipaddress.IPv6Address(literal[1].decode())
        except ValueError:
            return False
        return _is_port(literal[2])
    name, colon, port = value.partition(b":")
    return _NAME.fullmatch(name) is not None and _is_port(port if colon else None)


def _is_port(text: bytes | None) -> bool:
    return text is None or (len(text) <= 5 and _PORT.fullmatch(text) is not None and int(text or b"0") <= 65535)


def target(data: bytes) -> None:
    """What a target leads to is what a URI parser finds in it; nothing that holds two readings is taken."""
    for method in (b"GET", b"OPTIONS"):
        outcome = read_request(COMPILED, method + b" " + data + b" HTTP/1.1\r\nHost: other.example\r\n\r\n")
        if not isinstance(outcome, Request) or b"\r" in data:
            continue  # with a line end in it, it is not the target alone
        assert outcome.target == b"*" or _TARGET.fullmatch(outcome.target)
        if data.startswith(b"/") or data == b"*":
            assert (outcome.target, outcome.host) == (data, b"other.example")
        else:
            _check_absolute(data, method, outcome)
        _check_request_oracles(method + b" " + data + b" HTTP/1.1\r\nHost: other.example\r\n\r\n", outcome)


def _check_absolute(data: bytes, method: bytes, outcome: Request) -> None:
    parts = urlsplit(data)
    assert parts.scheme in (b"http", b"https")
    assert parts.netloc == outcome.host
    assert parts.username is None
    assert _is_host(outcome.host)
    rest = parts.path + (data[data.index(b"?") :] if b"?" in data else b"")
    if not rest and method == b"OPTIONS":
        assert outcome.target == b"*"
    else:
        assert outcome.target == (rest if rest.startswith(b"/") else b"/" + rest)
