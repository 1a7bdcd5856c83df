"""The heads of HTTP/1.1 requests and replies: read strictly, and given back as what is sent on (RFC 9112).

Owns every decision of what is refused and what is forwarded; docs/http1.md lists them. Never waits: a parse is a
function of the bytes. Invariant: what is sent on was valid, is framed by exactly one of Content-Length and
Transfer-Encoding, and names its host once.
"""

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.fairlead.wire.fields import _TOKEN, _VALUE, Head, HeadLimits, is_host
else:
    from fairlead.wire.fields import _TOKEN, _VALUE, Head, HeadLimits, is_host

from fairlead.wire.fields import (
    BAD,
    BAD_REPLY,
    CLOSE,
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    FORWARDED,
    FORWARDED_FOR,
    HOP,
    HOST,
    KEEP_ALIVE,
    METHOD,
    NAMES_TE,
    NEED_MORE,
    OWN,
    REJECTIONS,
    REQUEST_ID,
    TE,
    TOO_LARGE,
    TOO_LONG,
    TRANSFER_ENCODING,
    UPGRADE,
    UPGRADES,
    VERSION,
    Framing,
)

__all__ = ["NEED_MORE", "REJECTIONS", "Framing", "ReplyHead", "RequestHead", "parse_reply", "parse_request"]

# RFC 9110 9.2.2; QUERY is safe by RFC draft-ietf-httpbis-safe-method-w-body and PROPFIND, REPORT by RFC 4918 and 3253.
_IDEMPOTENT = (b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PROPFIND", b"REPORT")
_METHODS: dict[bytes, tuple[bytes, bool, bool]] = {
    name: (name, name == b"HEAD", name in _IDEMPOTENT) for name in (*_IDEMPOTENT, b"POST", b"PATCH")
}
_CHUNKED_FIELD = b"Transfer-Encoding: chunked\r\n"


class RequestHead(Head):
    """A request's head; valid until the next parse into it.

    `method`, `target` (origin-form or "*"), `host` (the effective host[:port]), `minor` (of the version), `keep_alive`
    (the client's connection may go on), `framing`, `content_length`, `upgrade` (the protocol asked for, or b""),
    `parts` (request line and fields to send on, each line ended, without the empty line), `detail` (of a rejection).
    """

    def begin(self, start: int) -> None:
        self.clear(start)
        self.method = b""
        self.target = b""
        self.host = b""
        self.expect_continue = False
        self.is_head = False
        self.is_idempotent = False
        self.forwarded_for = b""
        self.request_id = b""
        self._has_host = False
        self._is_absolute = False

    def line(self, data: bytes, start: int, method_end: int, target_end: int) -> int:
        """Take the request line: data[start:method_end] SP data[method_end + 1:target_end] SP version."""
        method = data[start:method_end]
        target = data[method_end + 1 : target_end]
        known = _METHODS.get(method)
        if known is not None:
            self.method, self.is_head, self.is_idempotent = known
        elif method in (b"CONNECT", b"TRACE"):
            return self.reject(METHOD, "CONNECT and TRACE are not for a reverse proxy (RFC 9110 9.3.6, 9.3.8)")
        else:
            self.method = method
        self.target = target
        if target[0] == 47:
            pass
        elif target == b"*":
            if method != b"OPTIONS":
                return self.reject(BAD, "only OPTIONS has the target *")
        else:
            return self.absolute(target)
        return 0

    def absolute(self, target: bytes) -> int:
        """absolute-form: its authority is the host, and the origin-form is sent on (RFC 9112 3.2.2)."""
        scheme, colon, rest = target.partition(b"://")
        if not colon or scheme.lower() not in (b"http", b"https"):
            return self.reject(BAD, "the target is neither a path nor an http URI")
        end = min(i for i in (rest.find(b"/"), rest.find(b"?"), len(rest)) if i >= 0)
        self.host = rest[:end]
        path = rest[end:]
        self._is_absolute = True
        self.target = path if path.startswith(b"/") else b"/" + path
        if not is_host(self.host):
            return self.reject(BAD, "the target's authority is not host[:port]")
        return 0

    def known(self, kind: int, data: bytes, name: int, value: int, end: int, after: int, is_canonical: bool) -> int:
        text = data[value:end]
        if kind == HOST:
            if self._has_host:
                return self.reject(BAD, "more than one Host")
            self._has_host = True
            if not is_host(text):
                return self.reject(BAD, "Host is not host[:port]")
            if self._is_absolute:
                self.drop(data, name, after)
            else:
                self.host = text
                self.keep(data, name, name + 4, value, end, after, is_canonical)
            return 0
        if kind == CONTENT_LENGTH:
            self.keep(data, name, name + 14, value, end, after, is_canonical)
            return self.take_length(text)
        if kind == EXPECT:
            self.expect_continue = text.lower() == b"100-continue"
            self.keep(data, name, name + 6, value, end, after, is_canonical)
            return 0
        if kind == OWN:
            self.keep(data, name, name + 14, value, end, after, is_canonical)
            return 0
        self.drop(data, name, after)
        if kind == CONNECTION:
            self.take_connection(text)
        elif kind == TRANSFER_ENCODING:
            return self.take_codings(text)
        elif kind == UPGRADE:
            self._protocol = text
        elif kind == TE:
            self._wants_trailers = b"trailers" in text.lower()
        elif kind == FORWARDED_FOR:
            self.forwarded_for = self.forwarded_for + b", " + text if self.forwarded_for else text
        elif kind == REQUEST_ID:
            self.request_id = text
        return 0

    def close_head(self) -> int:
        """The whole head is read: decide on host, framing and persistence."""
        result = self.frame()
        if result < 0:
            return result
        if not self._has_host and self.minor == 1:
            return self.reject(BAD, "HTTP/1.1 without Host")
        if not self._has_host or self._is_absolute:
            self.parts.insert(1, b"Host: " + self.host + b"\r\n")
        if self._nominated is not None:
            self.drop_nominated()
        if self.framing == 2:
            self.parts.append(_CHUNKED_FIELD)
        if self._connection & CLOSE or (self.minor == 0 and not self._connection & KEEP_ALIVE):
            self.keep_alive = False
        if self._wants_trailers and self._connection & NAMES_TE:
            self.parts.append(b"TE: trailers\r\n")
        # h2c is never forwarded: the tunnel it opens would carry requests past every check here.
        if self._protocol and self._connection & UPGRADES and self.minor == 1 and b"h2c" not in self._protocol.lower():
            self.upgrade = self._protocol
            self.parts.append(b"Connection: upgrade\r\nUpgrade: " + self._protocol + b"\r\n")
        return 0

    def frame(self) -> int:
        if self._codings is not None:
            if self._has_length:
                return self.reject(BAD, "Transfer-Encoding with Content-Length")
            if self.minor == 0:
                return self.reject(BAD, "Transfer-Encoding in HTTP/1.0")
            result = self.chunked()
            if result < 0:
                return result
            self.framing = 2
        elif self._has_length:
            self.framing = 1
        return 0


class ReplyHead(Head):
    """A reply's head; valid until the next parse into it.

    `status`, `minor`, `keep_alive` (the endpoint's connection may go on), `framing`, `content_length`, `upgrade`,
    `parts` (status line and fields to send on), `untouched` (the head's own bytes are what would be sent on).
    """

    def known(self, kind: int, data: bytes, name: int, value: int, end: int, after: int, is_canonical: bool) -> int:
        if kind == CONTENT_LENGTH:
            if self.status < 200 or self.status == 204:
                self.drop(data, name, after)  # RFC 9110 8.6
            else:
                self.keep(data, name, name + 14, value, end, after, is_canonical)
            return self.take_length(data[value:end])
        if kind in (CONNECTION, HOP, TRANSFER_ENCODING, UPGRADE, OWN):
            self.drop(data, name, after)
            if kind == CONNECTION:
                self.take_connection(data[value:end])
            elif kind == TRANSFER_ENCODING:
                return self.take_codings(data[value:end])
            elif kind == UPGRADE:
                self._protocol = data[value:end]
            return 0
        if not is_canonical:
            name_end = data.index(b":", name)
            while data[name_end - 1] in b" \t":
                name_end -= 1
            self.keep(data, name, name_end, value, end, after, is_canonical)
        return 0

    def close_head(self, request_is_head: bool) -> int:
        """The whole head is read: decide on framing and persistence (RFC 9112 6.3, for replies)."""
        if self._nominated is not None:
            self.drop_nominated()
        if self._codings is not None:
            if self._has_length or self.minor == 0 or self.chunked() < 0:
                return self.reject(BAD_REPLY, "Transfer-Encoding that is not chunked alone")
        if self._connection & CLOSE or (self.minor == 0 and not self._connection & KEEP_ALIVE):
            self.keep_alive = False
        if self.status == 101:
            if not (self._protocol and self._connection & UPGRADES):
                return self.reject(BAD_REPLY, "101 without Upgrade")
            self.upgrade = self._protocol
            self.parts.append(b"Connection: upgrade\r\nUpgrade: " + self._protocol + b"\r\n")
        if request_is_head or self.status < 200 or self.status == 204 or self.status == 304:
            self.framing = 0
        elif self._codings is not None:
            self.framing = 2
            self.parts.append(_CHUNKED_FIELD)
        elif self._has_length:
            self.framing = 1
        else:
            self.framing = 3
            self.keep_alive = False
        self.untouched = not self.is_changed
        return 0


def parse_request(data: bytes, start: int, head: RequestHead, limits: HeadLimits) -> int:
    """Read a request's head from data[start:] into `head`.

    Returns the offset behind it, NEED_MORE (0), or minus an index into REJECTIONS. Call again with more data from the
    same start; it keeps nothing in between.
    """
    i = start
    n = len(data)
    while i + 1 < n and data[i] == 13 and data[i + 1] == 10 and i - start < 8:
        i += 2  # RFC 9112 2.2: empty lines before a request are ignored
    head.begin(i)
    end = _request_line(data, i, head, limits)
    if end > 0:
        end = head.scan(data, end, limits, False)
        if end > 0:
            result = head.close_head()
            if result < 0:
                return result
    if (n if end == 0 else end) - start > limits.max_head_bytes and end >= 0:
        return head.reject(TOO_LARGE, "the head is larger than is allowed")
    return end


def parse_reply(data: bytes, start: int, head: ReplyHead, request_is_head: bool, limits: HeadLimits) -> int:
    """Read a reply's head from data[start:] into `head`; returns as parse_request. `request_is_head`: it has no content."""
    n = len(data)
    head.clear(start)
    end = _status_line(data, start, head)
    if end > 0:
        end = head.scan(data, end, limits, True)
        if end > 0 and head.close_head(request_is_head) < 0:
            return -BAD_REPLY
    if end < 0:
        return -BAD_REPLY
    if (n if end == 0 else end) - start > limits.max_head_bytes:
        return head.reject(BAD_REPLY, "the head is larger than is allowed")
    return end


@cython.boundscheck(False)
@cython.wraparound(False)
def _request_line(data: bytes, i: int, head: RequestHead, limits: HeadLimits) -> int:
    """method SP request-target SP HTTP-version CRLF, with exactly these spaces (RFC 9112 3)."""
    n = len(data)
    start = i
    table = _TOKEN
    while i < n and table[data[i]]:
        i += 1
    if i >= n:
        if n - start > 64:
            return head.reject(BAD, "a method of more than 64 bytes")
        return 0
    if data[i] == 13 and i == start and i + 1 >= n:
        return 0
    if data[i] != 32 or i == start:
        return head.reject(BAD, "the request line does not start with a method and one space")
    method_end = i
    i += 1
    while i < n and 33 <= data[i] < 127 and data[i] != 35:
        i += 1
    if i - method_end > limits.max_target_bytes:
        return head.reject(TOO_LONG, "the target is longer than is allowed")
    if i >= n:
        return 0
    if data[i] != 32 or i == method_end + 1:
        return head.reject(BAD, "the target holds an illegal byte or is not followed by one space and a version")
    target_end = i
    i = _version(data, i + 1, head)
    if i <= 0:
        return i
    if i + 1 >= n and (i >= n or data[i] == 13):
        return 0
    if data[i] != 13 or data[i + 1] != 10:
        return head.reject(BAD, "the request line does not end with CRLF")
    i += 2
    result = head.line(data, start, method_end, target_end)
    if result < 0:
        return result
    if head.minor == 0 or head._is_absolute:
        head.parts.append(head.method + b" " + head.target + b" HTTP/1.1\r\n")
        head._run = i
    elif not head._has_host:
        # One run with the fields; `close_head` inserts Host behind this line only where it is a part of its own.
        head._run = start
    return i


@cython.boundscheck(False)
@cython.wraparound(False)
def _version(data: bytes, i: int, head: Head) -> int:
    """HTTP/1.0 or HTTP/1.1 at data[i:]; the offset behind it, NEED_MORE or a rejection."""
    size = len(data) - i
    if size < 8:
        if b"HTTP/1."[:size] == data[i : i + 7]:
            return 0
    elif data[i : i + 8] == b"HTTP/1.1":
        return i + 8
    elif data[i : i + 8] == b"HTTP/1.0":
        head.minor = 0
        return i + 8
    if data[i : i + 5] != b"HTTP/"[:size]:
        return head.reject(BAD, "the version is not HTTP/1.0 or HTTP/1.1")
    return head.reject(VERSION, "the version is not HTTP/1.0 or HTTP/1.1")


@cython.boundscheck(False)
@cython.wraparound(False)
def _status_line(data: bytes, i: int, head: ReplyHead) -> int:
    """HTTP-version SP status-code SP [reason-phrase] CRLF (RFC 9112 4)."""
    n = len(data)
    start = i
    i = _version(data, i, head)
    if i <= 0:
        return i
    if i + 4 >= n:
        return 0
    if data[i] != 32:
        return head.reject(BAD_REPLY, "the status line has no status code")
    status = 0
    for _ in range(3):
        i += 1
        if data[i] < 48 or data[i] > 57:
            return head.reject(BAD_REPLY, "the status code is not three digits")
        status = status * 10 + data[i] - 48
    i += 1
    if status < 100 or status > 599:
        return head.reject(BAD_REPLY, "the status code is not between 100 and 599")
    head.status = status
    space = i
    table = _VALUE
    if data[i] != 32 and data[i] != 13:
        return head.reject(BAD_REPLY, "the status code is not three digits")
    while i < n and table[data[i]]:
        i += 1
    if i + 1 >= n and (i >= n or data[i] == 13):
        return 0
    if data[i] != 13 or data[i + 1] != 10:
        return head.reject(BAD_REPLY, "the status line does not end with CRLF")
    if head.minor == 0 or space == i:
        head.is_changed = True
        head.parts.append(b"HTTP/1.1 %d " % status + data[space + 1 : i] + b"\r\n")
        head._run = i + 2
    else:
        head._run = start
    return i + 2
