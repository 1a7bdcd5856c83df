"""What others read in a stream of messages: h11, and llhttp through httptools. Two readers that share no code with us.

Owns the comparison: `requests_in` and `replies_in` give what both read, and raise Disagreement when they do not read
the same: as many messages, each with the same first line, fields, framing, content and end. Neither reader is lenient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol

import h11
import httptools

_ROOM = 1 << 20  # for a head; the limits are ours, not those of the oracle
_ASKING = [(b"Host", b"a"), (b"Connection", b"upgrade"), (b"Upgrade", b"any")]  # h11 then takes a 101
_LLHTTP_METHODS = frozenset(b"DELETE GET HEAD POST PUT OPTIONS PATCH PROPFIND REPORT".split())


class _Parser(Protocol):
    def feed_data(self, data: bytes) -> None: ...


class Disagreement(AssertionError):
    """One reader does not read what the other reads, or reads nothing at all."""


@dataclass(frozen=True, slots=True)
class Read:
    """One message. `line`: method and target, or the status."""

    line: tuple[bytes, ...]
    fields: tuple[tuple[bytes, bytes], ...]
    content: bytes

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]

    @property
    def framing(self) -> list[tuple[bytes, bytes]]:
        return [pair for pair in self.fields if pair[0] in (b"content-length", b"transfer-encoding")]


@dataclass(frozen=True, slots=True)
class Stream:
    """All messages of a stream that are whole, and whether there is the beginning of another one."""

    messages: tuple[Read, ...]
    is_cut: bool


@lru_cache(maxsize=4096)
def requests_in(data: bytes) -> Stream:
    """The requests that both readers find in what one connection carried."""
    strict, starts = _h11_requests(data)
    plain = data
    known = list(strict.messages)
    for number, start in enumerate(starts):
        start += len(plain) - len(data)
        method, space, _ = plain[start:].partition(b" ")
        if space and method not in _LLHTTP_METHODS:  # it has a list of methods; with a known one it reads on
            plain = plain[:start] + b"POST" + plain[start + len(method) :]
            if number < len(known):
                known[number] = replace(known[number], line=(b"POST", known[number].line[1]))
    _agreed(data, Stream(tuple(known), strict.is_cut), _llhttp(plain, _RequestReader))
    return strict


@lru_cache(maxsize=4096)
def replies_in(data: bytes, methods: tuple[bytes, ...], is_over: bool) -> Stream:
    """The same for the replies to requests with these methods; `is_over` when the connection has ended behind them."""
    strict = _h11_replies(data, methods, is_over)
    if b"HEAD" in methods:
        return strict  # llhttp cannot be told that a reply has no content
    return _agreed(data, strict, _llhttp(data, _ReplyReader, is_over))


def _agreed(data: bytes, one: Stream, other: Stream) -> Stream:
    if one != other:
        raise Disagreement(f"of {data!r}\nh11 reads    {one}\nllhttp reads {other}")
    return one


# h11: a new connection for each message, as its state machine wants every request answered.


def _h11_requests(data: bytes) -> tuple[Stream, list[int]]:
    """And where each message starts, the one that is not whole as well."""
    messages: list[Read] = []
    starts: list[int] = []
    size = len(data)
    while data:
        starts.append(size - len(data))
        message, data = _h11_message(h11.Connection(h11.SERVER, max_incomplete_event_size=_ROOM), data)
        if message is None:
            return Stream(tuple(messages), True), starts
        messages.append(message)
    return Stream(tuple(messages), False), starts


def _h11_replies(data: bytes, methods: Sequence[bytes], is_over: bool) -> Stream:
    messages: list[Read] = []
    asked = list(methods)
    while data:
        reader = h11.Connection(h11.CLIENT, max_incomplete_event_size=_ROOM)
        # What is behind the last reply is a finding; asking once more is what lets h11 read it.
        reader.send(h11.Request(method=asked[0] if asked else b"GET", target=b"/", headers=_ASKING))
        reader.send(h11.EndOfMessage())
        message, data = _h11_message(reader, data, is_over)
        if message is None:
            return Stream(tuple(messages), True)
        messages.append(message)
        if message.line[0] == b"101":
            break  # what follows is no HTTP
        if message.line[0] >= b"200":
            asked = asked[1:]
    return Stream(tuple(messages), False)


def _h11_message(reader: h11.Connection, data: bytes, is_over: bool = False) -> tuple[Read | None, bytes]:
    """The first message of `data` and what follows it; None when it is not whole."""
    try:
        reader.receive_data(data)
        head = reader.next_event()
        if not isinstance(head, h11.Request | h11.Response | h11.InformationalResponse):
            return None, data
        content = None if isinstance(head, h11.InformationalResponse) else _h11_content(reader, is_over)
    except h11.RemoteProtocolError as error:
        raise Disagreement(f"h11: {error} in {data!r}") from error
    if content is None and not isinstance(head, h11.InformationalResponse):
        return None, data
    line = (head.method, head.target) if isinstance(head, h11.Request) else (b"%d" % head.status_code,)
    return Read(line, tuple(head.headers), content or b""), bytes(reader.trailing_data[0])


def _h11_content(reader: h11.Connection, is_over: bool) -> bytes | None:
    """None when it is not whole: its end has not come, or the connection ended before it."""
    content = b""
    while True:
        event = reader.next_event()
        if isinstance(event, h11.Data):
            content += bytes(event.data)
        elif event is h11.NEED_DATA and not (is_over and _ends_with_the_connection(reader)):
            return None
        else:  # h11.EndOfMessage
            return content


def _ends_with_the_connection(reader: h11.Connection) -> bool:
    try:
        reader.receive_data(b"")
        return isinstance(reader.next_event(), h11.EndOfMessage)
    except h11.RemoteProtocolError:
        return False


# llhttp: one parser for the whole stream, as a server has.


@dataclass
class _Reader:
    """Collects the callbacks of httptools."""

    messages: list[Read] = field(default_factory=list)
    is_within: bool = False
    url: bytes = b""

    def on_message_begin(self) -> None:
        self.is_within = True
        self.url = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.content: list[bytes] = []
        self.are_trailers = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.are_trailers:
            self.fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.are_trailers = True
        self.line = self.first_line()

    def on_body(self, body: bytes) -> None:
        self.content.append(body)

    def on_message_complete(self) -> None:
        self.is_within = False
        self.messages.append(Read(self.line, tuple(self.fields), b"".join(self.content)))

    def first_line(self) -> tuple[bytes, ...]:
        raise NotImplementedError


class _RequestReader(_Reader):
    def parser(self) -> _Parser:
        self._parser = httptools.HttpRequestParser(self)
        return self._parser

    def first_line(self) -> tuple[bytes, ...]:
        return self._parser.get_method(), self.url


class _ReplyReader(_Reader):
    def parser(self) -> _Parser:
        self._parser = httptools.HttpResponseParser(self)
        return self._parser

    def first_line(self) -> tuple[bytes, ...]:
        return (b"%d" % self._parser.get_status_code(),)

    def end(self) -> None:
        """The connection has ended: so has a message without a length, which httptools has no call for."""
        if (
            self.is_within
            and self.are_trailers
            and not {b"content-length", b"transfer-encoding"} & dict(self.fields).keys()
        ):
            self.on_message_complete()


def _llhttp(data: bytes, kind: Callable[[], _RequestReader | _ReplyReader], is_over: bool = False) -> Stream:
    reader = kind()
    try:
        while data:
            parser = reader.parser()
            try:
                parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                # What follows a request that asks for an upgrade is another request, until a reply agrees to it.
                data = data[upgrade.args[0] :] if kind is _RequestReader else b""
    except httptools.HttpParserError as error:
        raise Disagreement(f"llhttp: {error} in {data!r}") from error
    if is_over and isinstance(reader, _ReplyReader):
        reader.end()
    return Stream(tuple(reader.messages), reader.is_within)
