"""The heads of HTTP/1.1 requests and replies: read strictly, and given back as what is sent on (RFC 9112).

Owns every decision of what is refused and what is forwarded; docs/http1.md lists them. Never waits: a parse is a
function of the bytes. Invariant: what is sent on was valid, is framed by exactly one of Content-Length and
Transfer-Encoding, and names its host once.
"""

from __future__ import annotations

import cython

if cython.compiled:
    from cython.cimports.fairlead.wire.fields import (
        _TOKEN,
        _VALUE,
        CLOSE,
        CONNECTION,
        CONTENT_LENGTH,
        DEBUG,
        EXPECT,
        FORWARDED,
        FORWARDED_FOR,
        FORWARDED_HOST,
        FORWARDED_PROTO,
        HOST,
        KEEP_ALIVE,
        MAX_FORWARDS,
        NAMES_TE,
        OWN,
        SHADOW,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
        UPGRADES,
        Head,
        HeadLimits,
        cut,
        is_host,
    )
else:
    from fairlead.wire.fields import (
        _TOKEN,
        _VALUE,
        CLOSE,
        CONNECTION,
        CONTENT_LENGTH,
        DEBUG,
        EXPECT,
        FORWARDED,
        FORWARDED_FOR,
        FORWARDED_HOST,
        FORWARDED_PROTO,
        HOST,
        KEEP_ALIVE,
        MAX_FORWARDS,
        NAMES_TE,
        OWN,
        SHADOW,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
        UPGRADES,
        Head,
        HeadLimits,
        cut,
        is_host,
    )

from fairlead.wire.fields import (
    BAD,
    BAD_REPLY,
    METHOD,
    NEED_MORE,
    REJECTIONS,
    TOO_LARGE,
    TOO_LONG,
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
    Who the client is: `forwarded_for`, `forwarded_proto`, `forwarded_host` and `request_id` are what a trusted proxy
    says, lines joined by commas, and None when it says nothing; wire/forwarded.py makes of it what is sent on. They are
    left out of `parts` always.

    `wants_debug`: it has `Fairlead-Debug: 1`, which is never sent on.

    `is_trusted` is for the caller to set before each parse: whether a trusted proxy sends this.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_trusted = False

    def begin(self, start: int, end: int) -> None:
        self.clear(start, end)
        self.method = b""
        self.target = b""
        self.host = b""
        self.expect_continue = False
        self.is_head = False
        self.is_idempotent = False
        self.wants_debug = False
        self.forwarded_for: bytes | None = None
        self.forwarded_proto: bytes | None = None
        self.forwarded_host: bytes | None = None
        self.request_id: bytes | None = None
        self._has_host = False
        self._is_absolute = False

    def line(self, data: bytes, start: int, method_end: int, target_end: int) -> int:
        """Take the request line: data[start:method_end] SP data[method_end + 1:target_end] SP version."""
        method = cut(data, start, method_end)
        target = cut(data, method_end + 1, target_end)
        known = _METHODS.get(method)
        if known is not None:
            self.method, self.is_head, self.is_idempotent = known
        elif method.upper() in (b"CONNECT", b"TRACE"):
            return self.reject(METHOD, "CONNECT and TRACE are not for a reverse proxy (RFC 9110 9.3.6, 9.3.8)")
        else:
            self.method = method
        self.target = target
        if target[0] == 47:
            return 0
        if target != b"*":
            return self.absolute(target)
        return 0 if method == b"OPTIONS" else self.reject(BAD, "only OPTIONS has the target *")

    def absolute(self, target: bytes) -> int:
        """absolute-form: its authority is the host, and the origin-form is sent on (RFC 9112 3.2.2)."""
        scheme, colon, rest = target.partition(b"://")
        if not colon or scheme.lower() not in (b"http", b"https"):
            return self.reject(BAD, "the target is neither a path nor an http URI")
        end = min(i for i in (rest.find(b"/"), rest.find(b"?"), len(rest)) if i >= 0)
        self.host = rest[:end]
        path = rest[end:]
        self._is_absolute = True
        if not path and self.method == b"OPTIONS":
            self.target = b"*"  # RFC 9112 3.2.4: what asked the server as a whole still does
        else:
            self.target = path if path.startswith(b"/") else b"/" + path
        if not is_host(self.host):
            return self.reject(BAD, "the target's authority is not host[:port]")
        return 0

    def known(self, kind: int, data: bytes) -> int:
        if kind >= SHADOW:
            self.take_claim(kind, data)
            return 0
        text = cut(data, self._value, self._value_end)
        if kind == HOST:
            return self.take_host(text, data)
        if kind == CONTENT_LENGTH:
            self.keep(data)
            return self.take_length(text)
        if kind == MAX_FORWARDS:
            return self.take_max_forwards(text, data)
        if kind == OWN:
            self.keep(data)
            return 0
        if kind == EXPECT and self.minor == 1:
            self.expect_continue = text.lower() == b"100-continue"
            self.keep(data)
            return 0
        if kind == DEBUG:  # ours, whoever says it: what is behind us would take it for our own word
            self.wants_debug = text == b"1"
            self.drop(data)
            return 0
        self.drop(data)  # Expect in HTTP/1.0 as well (RFC 9110 10.1.1)
        if kind == CONNECTION:
            self.take_connection(text)
        elif kind == TRANSFER_ENCODING:
            return self.take_codings(text)
        elif kind == UPGRADE:
            self._protocol = text
        elif kind == TE:
            self._wants_trailers = self._wants_trailers or _names_trailers(text)
        return 0

    def take_claim(self, kind: int, data: bytes) -> None:
        """A field that says who the client is: dropped, unless a trusted proxy says so and no shadow does."""
        if not self.is_trusted or kind == SHADOW:
            self.drop(data)
            return
        if kind == FORWARDED:
            self.keep(data)
            return
        self.drop(data)
        text = cut(data, self._value, self._value_end)
        if kind == FORWARDED_FOR:
            self.forwarded_for = _joined(self.forwarded_for, text)
        elif kind == FORWARDED_PROTO:
            self.forwarded_proto = _joined(self.forwarded_proto, text)
        elif kind == FORWARDED_HOST:
            self.forwarded_host = _joined(self.forwarded_host, text)
        else:
            self.request_id = _joined(self.request_id, text)

    def take_host(self, text: bytes, data: bytes) -> int:
        """Host: once, and valid; the authority of an absolute-form target replaces it (RFC 9112 3.2.2)."""
        if self._has_host:
            return self.reject(BAD, "more than one Host")
        self._has_host = True
        if not is_host(text):
            return self.reject(BAD, "Host is not host[:port]")
        if self._is_absolute:
            self.drop(data)
        else:
            self.host = text
            self.keep(data)
        return 0

    def take_max_forwards(self, text: bytes, data: bytes) -> int:
        """Max-Forwards means something to OPTIONS alone, as TRACE is refused (RFC 9110 7.6.2)."""
        if self.method != b"OPTIONS":
            self.keep(data)
            return 0
        if not text.isdigit() or len(text) > 9:
            return self.reject(BAD, "Max-Forwards is not a plain number below 10**9")
        hops = int(text)
        if hops == 0:
            return self.reject(METHOD, "OPTIONS that may go no further: Max-Forwards is 0")
        self.drop(data)
        self.parts.append(b"Max-Forwards: %d\r\n" % (hops - 1))
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
        if self._connection & (NAMES_TE | UPGRADES) and self.minor == 1:
            self.add_connection()
        return 0

    def add_connection(self) -> None:
        """Connection for the endpoint: of what the client's said, TE: trailers and Upgrade go on as ours."""
        options = []
        if self._connection & NAMES_TE and self._wants_trailers:
            options.append(b"TE")  # RFC 9110 10.1.4: TE is named in Connection
            self.parts.append(b"TE: trailers\r\n")
        if self._connection & UPGRADES and self._protocol and not self._has_content() and not _is_http(self._protocol):
            options.append(b"upgrade")
            self.upgrade = self._protocol
            self.parts.append(b"Upgrade: " + self._protocol + b"\r\n")
        if options:
            self.parts.append(b"Connection: " + b", ".join(options) + b"\r\n")

    def _has_content(self) -> bool:
        """Content behind an Upgrade is content to some (RFC 9110 7.8) and the tunnel already to others."""
        return self.framing == 2 or self.content_length > 0

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

    def begin(self, start: int, end: int) -> None:
        self.clear(start, end)
        self.status = 0
        self.untouched = False

    def known(self, kind: int, data: bytes) -> int:
        if kind == CONTENT_LENGTH:
            if self.status < 200 or self.status == 204:
                self.drop(data)  # RFC 9110 8.6
            else:
                self.keep(data)
            return self.take_length(cut(data, self._value, self._value_end))
        self.drop(data)
        if kind == CONNECTION:
            self.take_connection(cut(data, self._value, self._value_end))
        elif kind == TRANSFER_ENCODING:
            return self.take_codings(cut(data, self._value, self._value_end))
        elif kind == UPGRADE:
            self._protocol = cut(data, self._value, self._value_end)
        return 0

    def close_head(self, request_is_head: bool) -> int:
        """The whole head is read: decide on framing and persistence (RFC 9112 6.3, for replies)."""
        if self._nominated is not None:
            self.drop_nominated()
        if self._codings is not None and (self._has_length or self.minor == 0 or self.chunked() < 0):
            return self.reject(BAD_REPLY, "Transfer-Encoding that is not chunked alone")
        if self._connection & CLOSE or (self.minor == 0 and not self._connection & KEEP_ALIVE):
            self.keep_alive = False
        if self.status == 101:
            if not (self._protocol and self._connection & UPGRADES):
                return self.reject(BAD_REPLY, "101 without Upgrade")
            self.upgrade = self._protocol
            self.parts.append(b"Upgrade: " + self._protocol + b"\r\nConnection: upgrade\r\n")
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
    same start; it keeps nothing in between, and what it says of a head does not depend on how the bytes were cut.
    """
    i = start
    n = min(len(data), start + limits.max_head_bytes)  # nothing behind the limit is looked at
    while i + 1 < n and data[i] == 13 and data[i + 1] == 10 and i - start < 8:
        i += 2  # RFC 9112 2.2: empty lines before a request are ignored
    head.begin(i, n)
    end = _request_line(data, i, head, limits)
    if end > 0:
        end = head.scan(data, end, limits, False)
        if end > 0:
            result = head.close_head()
            return end if result == 0 else result
    if end == 0 and len(data) - start > limits.max_head_bytes:
        return head.reject(TOO_LARGE, "the head is larger than is allowed")
    return end


def parse_reply(data: bytes, start: int, head: ReplyHead, request_is_head: bool, limits: HeadLimits) -> int:
    """Read a reply's head from data[start:] into `head`; returns as parse_request. HEAD's has no content."""
    n = min(len(data), start + limits.max_head_bytes)
    head.begin(start, n)
    end = _status_line(data, start, head)
    if end > 0:
        end = head.scan(data, end, limits, True)
        if end > 0 and head.close_head(request_is_head) < 0:
            return -BAD_REPLY
    if end == 0 and len(data) - start > limits.max_head_bytes:
        return head.reject(BAD_REPLY, "the head is larger than is allowed")
    return end if end >= 0 else -BAD_REPLY


@cython.boundscheck(False)
@cython.wraparound(False)
@cython.nonecheck(False)
def _request_line(data: bytes, i: int, head: RequestHead, limits: HeadLimits) -> int:
    """method SP request-target SP HTTP-version CRLF, with exactly these spaces (RFC 9112 3)."""
    n = head._end
    start = i
    table = _TOKEN
    while i < n and table[data[i]]:
        i += 1
    if i - start > 64:
        return head.reject(BAD, "a method of more than 64 bytes")
    if i >= n or (data[i] == 13 and i == start and i + 1 >= n):
        return 0
    if data[i] != 32 or i == start:
        return head.reject(BAD, "the request line does not start with a method and one space")
    method_end = i
    i += 1
    while i < n and 33 <= data[i] < 127 and data[i] != 35:
        i += 1
    if i - start + 9 > limits.max_line_bytes:  # with the space and the version that follow
        return head.reject(TOO_LONG, "the request line is longer than is allowed")
    if i >= n:
        return 0
    if data[i] != 32 or i == method_end + 1:
        return head.reject(BAD, "the target holds an illegal byte or is not followed by one space and a version")
    target_end = i
    i = _version(data, i + 1, head)
    if i <= 0:
        return i
    i = _line_end(data, i, head)
    if i <= 0:
        return i
    result = head.line(data, start, method_end, target_end)
    if result < 0:
        return result
    head._run = start
    if head.minor == 0 or head._is_absolute:
        head.parts.append(head.method + b" " + head.target + b" HTTP/1.1\r\n")
        head._run = i
    return i


@cython.boundscheck(False)
@cython.wraparound(False)
@cython.nonecheck(False)
def _line_end(data: bytes, i: int, head: Head) -> int:
    """CRLF at data[i:]; the offset behind it, NEED_MORE or a rejection."""
    if i < head._end and data[i] != 13:
        return head.reject(BAD, "the first line does not end with CRLF, or holds more than it may")
    if i + 1 >= head._end:
        return 0
    return i + 2 if data[i + 1] == 10 else head.reject(BAD, "a bare CR")


@cython.boundscheck(False)
@cython.wraparound(False)
@cython.nonecheck(False)
def _version(data: bytes, i: int, head: Head) -> int:
    """HTTP/1.0 or HTTP/1.1 at data[i:]; the offset behind it, NEED_MORE or a rejection."""
    name = b"HTTP/1."
    k = 0
    while k < 7 and i + k < head._end and data[i + k] == name[k]:
        k += 1
    if i + k >= head._end:
        return 0
    if k == 7 and 48 <= data[i + 7] <= 49:
        head.minor = data[i + 7] - 48
        return i + 8
    # Anything else, such as HTTP/2.0 or HTTP/1.2, is a version that is not served, or none at all.
    rest = data[i : head._end][:8]
    if rest.translate(_DIGITS_AS_ONE) != b"HTTP/1.1"[: len(rest)]:
        return head.reject(BAD, "what stands for the version is none")
    return head.reject(VERSION, "the version is not HTTP/1.0 or HTTP/1.1") if len(rest) == 8 else 0


_DIGITS_AS_ONE = bytes.maketrans(b"023456789", b"111111111")


@cython.boundscheck(False)
@cython.wraparound(False)
@cython.nonecheck(False)
def _status_line(data: bytes, i: int, head: ReplyHead) -> int:
    """HTTP-version SP status-code SP [reason-phrase] CRLF (RFC 9112 4)."""
    n = head._end
    start = i
    i = _version(data, i, head)
    if i <= 0:
        return i
    if i + 4 >= n:
        return 0
    head.status = _status(data, i)
    i += 4
    if head.status < 100 or head.status > 599 or (data[i] != 32 and data[i] != 13):
        return head.reject(BAD_REPLY, "the status code is not three digits, from 100 to 599")
    space = i
    table = _VALUE
    while i < n and table[data[i]]:
        i += 1
    end = _line_end(data, i, head)
    if end <= 0:
        return end
    head._run = start
    if head.minor == 0 or space == i:
        head.is_changed = True
        head.parts.append(b"HTTP/1.1 %d " % head.status + cut(data, min(space + 1, i), i) + b"\r\n")
        head._run = end
    return end


@cython.boundscheck(False)
@cython.wraparound(False)
@cython.nonecheck(False)
def _status(data: bytes, i: int) -> int:
    """The number in SP 3DIGIT at data[i:], which the caller has found to be there; 0 for anything else."""
    if data[i] != 32:
        return 0
    status = 0
    for k in range(i + 1, i + 4):
        if data[k] < 48 or data[k] > 57:
            return 0
        status = status * 10 + data[k] - 48
    return status


def _joined(before: bytes | None, text: bytes) -> bytes:
    """The lines of a field as one value (RFC 9110 5.3)."""
    return text if before is None else before + b", " + text


def _names_trailers(value: bytes) -> bool:
    """Whether TE has the member `trailers` (RFC 9110 10.1.4)."""
    return b"trailers" in [coding.strip(b" \t") for coding in value.lower().split(b",")]


def _is_http(protocol: bytes) -> bool:
    """Whether Upgrade asks for another HTTP. Never forwarded: the tunnel would carry requests past every check here."""
    protocol = protocol.lower()
    return b"h2" in protocol or b"http" in protocol
