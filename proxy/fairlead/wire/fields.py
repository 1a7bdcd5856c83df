"""The field section of an HTTP/1.1 message: validated byte by byte, and cut into what is forwarded.

Owns the strict reading of field lines (RFC 9112 5, RFC 9110 5) and the removal of what belongs to one connection only
(RFC 9110 7.6.1). Consecutive lines that are forwarded as they are and already have the form "Name: value" CRLF are kept
as one slice, a run: the output is the same as if each line were written anew from its parsed form.

Every index into the data is compared with its length first; that is what allows the loops to go without bounds checks.
"""

from __future__ import annotations

from socket import AF_INET6, inet_pton

import cython

from fairlead.errors import Kind

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize

# What parse_request and parse_reply return for a head that is refused: minus the index here. 0 asks for more data.
# The last three are of a body (body.py).
REJECTIONS: tuple[Kind, ...] = (
    Kind.BAD_REQUEST,  # not used: 0 is no rejection
    Kind.BAD_REQUEST,
    Kind.HEAD_TOO_LARGE,
    Kind.URI_TOO_LONG,
    Kind.VERSION,
    Kind.NOT_IMPLEMENTED,
    Kind.METHOD,
    Kind.BAD_REPLY,
    Kind.EXTENSIONS_TOO_LARGE,
    Kind.TRAILERS_TOO_LARGE,
    Kind.BODY_TOO_LARGE,
)
BAD, TOO_LARGE, TOO_LONG, VERSION, NOT_IMPLEMENTED, METHOD, BAD_REPLY, EXTENSIONS, TRAILERS, BODY = range(1, 11)

NEED_MORE = 0


class Framing:
    """How the end of a message's content is found (RFC 9112 6.3)."""

    NONE = 0  # there is no content
    LENGTH = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3  # replies only


# Kinds of fields that are looked at; the others pass. Replies have the first six only. From SHADOW on they claim who
# the client is: SHADOW by a name that CGI would take for one that is looked at; FORWARDED is sent on as it is when a
# trusted proxy says it.
(CONNECTION, HOP, TRANSFER_ENCODING, CONTENT_LENGTH, UPGRADE, OWN,
 HOST, TE, EXPECT, MAX_FORWARDS, DEBUG,
 SHADOW, FORWARDED, FORWARDED_FOR, FORWARDED_PROTO, FORWARDED_HOST, REQUEST_ID) = range(1, 18)  # fmt: skip

_KNOWN: dict[bytes, int] = {
    b"connection": CONNECTION,
    b"keep-alive": HOP,
    b"proxy-connection": HOP,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"content-length": CONTENT_LENGTH,
    b"upgrade": UPGRADE,
    b"fairlead-error": OWN,
    b"fairlead-debug": DEBUG,
    b"host": HOST,
    b"te": TE,
    b"expect": EXPECT,
    b"x-forwarded-for": FORWARDED_FOR,
    b"x-forwarded-proto": FORWARDED_PROTO,
    b"x-forwarded-host": FORWARDED_HOST,
    b"forwarded": FORWARDED,
    b"x-request-id": REQUEST_ID,
    b"max-forwards": MAX_FORWARDS,
}
_KNOWN |= {b"-".join(word.capitalize() for word in name.split(b"-")): kind for name, kind in _KNOWN.items()} | {
    b"TE": TE
}
# Fields that nobody can have removed by naming them in Connection (HTTP desync, "hop-by-hop abuse"): what frames,
# routes, authenticates or describes the content is meant for whoever receives the message.
_EXEMPT = {
    b"host", b"content-length", b"content-type", b"content-encoding", b"content-range", b"transfer-encoding",
    b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"origin", b"expect", b"cache-control",
    b"forwarded", b"via", b"max-forwards", b"x-request-id", b"x-real-ip", b"fairlead-error", b"date", b"location",
}  # fmt: skip
_NO_LIMIT = 1 << 30


def _table(legal: bytes) -> bytes:
    return bytes(1 if byte in legal else 0 for byte in range(256))


_HEX_DIGITS = b"0123456789abcdefABCDEF"
_ALNUM = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN = _table(_ALNUM + b"!#$%&'*+-.^_`|~")  # RFC 9110 5.6.2
_VALUE = _table(b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100)))  # RFC 9110 5.5, obs-text included
# RFC 3986 3.2.2 without the comma, which joins two Hosts; 2 is for the % of an encoded byte.
_HOST = bytes(2 * (byte == ord("%")) or mark for byte, mark in enumerate(_table(_ALNUM + b"-._~!$&'()*+;=")))


def _interesting() -> bytes:
    """By (length, first letter): may a name of this shape be one that is looked at? Lengths over 31 count as 31."""
    table = bytearray(32 * 32)
    for name in _KNOWN:
        table[len(name) * 32 + (name[0] & 31)] = 1
    for size in range(12, 32):  # X-Forwarded-*
        table[size * 32 + (ord("x") & 31)] = 1
    return bytes(table)


_INTERESTING = _interesting()

# What Connection says, as bits. The usual spellings cost a lookup.
CLOSE, KEEP_ALIVE, UPGRADES, NAMES_TE = 1, 2, 4, 8
_CONNECTIONS: dict[bytes, int] = {
    b"keep-alive": KEEP_ALIVE,
    b"Keep-Alive": KEEP_ALIVE,
    b"close": CLOSE,
    b"Upgrade": UPGRADES,
    b"upgrade": UPGRADES,
    b"keep-alive, Upgrade": KEEP_ALIVE | UPGRADES,
}
_OPTIONS = {b"close": CLOSE, b"keep-alive": KEEP_ALIVE, b"upgrade": UPGRADES, b"te": NAMES_TE}


class HeadLimits:
    """How large a head may be: all of it and its first line in bytes, the number of its fields. 0 means no limit."""

    def __init__(self, max_head_bytes: int = 32768, max_fields: int = 100, max_line_bytes: int = 16384) -> None:
        self.max_head_bytes = max_head_bytes or _NO_LIMIT
        self.max_fields = max_fields or _NO_LIMIT
        self.max_line_bytes = max_line_bytes or _NO_LIMIT


class Head:
    """What the heads of requests and replies have in common. Reused: everything is set by a parse."""

    def __init__(self) -> None:
        self.clear(0, 0)
        self.detail = ""

    def clear(self, start: int, end: int) -> None:
        """Begin a head that lies in data[start:end] at most."""
        self.parts: list[bytes] = []
        self.minor = 1
        self.keep_alive = True
        self.framing = 0
        self.content_length = 0
        self.upgrade = b""
        self.is_changed = False
        self._end = end
        self._run = start
        self._fields = 0
        self._has_length = False
        self._codings: bytes | None = None
        self._connection = 0
        self._nominated: set[bytes] | None = None
        self._protocol = b""
        self._wants_trailers = False

    def reject(self, rejection: int, detail: str) -> int:
        self.detail = detail
        return -rejection

    def scan(self, data: bytes, i: int, limits: HeadLimits, is_reply: bool) -> int:
        """Read field lines from `i` to the empty line; returns the offset behind it, NEED_MORE or a rejection."""
        while True:
            i = self._read_name(data, i, is_reply)
            if i <= 0:
                return i
            if self._name_end == self._name:
                if self._name > self._run:
                    self.parts.append(cut(data, self._run, self._name))
                return i
            i = self._read_value(data, i)
            if i <= 0:
                return i
            self._fields += 1
            if self._fields > limits.max_fields:
                return self.reject(TOO_LARGE, "more fields than are allowed")
            kind = self._kind(data)
            if kind == 0 or (is_reply and kind > OWN):
                self.keep(data)
            else:
                result = self.known(kind, data)
                if result < 0:
                    return result

    @cython.boundscheck(False)
    @cython.wraparound(False)
    @cython.nonecheck(False)
    def _read_name(self, data: bytes, i: int, is_reply: bool) -> int:
        """A field name and its colon, or the empty line. The offset behind it, NEED_MORE or a rejection."""
        n = self._end
        token = _TOKEN
        self._name = i
        while i < n and token[data[i]]:
            i += 1
        self._name_end = i
        if i >= n:
            return 0
        if data[i] == 58 and i > self._name:
            self._is_canonical = True
            return i + 1
        if i == self._name:
            if data[i] != 13:
                return self.reject(BAD, "a field line starts with no field name")
            if i + 1 >= n:
                return 0
            return i + 2 if data[i + 1] == 10 else self.reject(BAD, "a bare CR")
        # RFC 9112 5.1: a proxy removes whitespace before the colon of a reply's field.
        while is_reply and i < n and (data[i] == 32 or data[i] == 9):
            i += 1
        if i >= n:
            return 0
        self._is_canonical = False
        if data[i] != 58:
            return self.reject(BAD, "a field name holds an illegal byte or is not followed by a colon")
        return i + 1

    @cython.boundscheck(False)
    @cython.wraparound(False)
    @cython.nonecheck(False)
    def _read_value(self, data: bytes, i: int) -> int:
        """A field value, the whitespace around it and its CRLF. The offset behind it, NEED_MORE or a rejection."""
        n = self._end
        legal = _VALUE
        start = i
        while i < n and (data[i] == 32 or data[i] == 9):
            i += 1
        self._value = i
        if i != start + 1 or data[start] != 32:
            self._is_canonical = False
        # Four at a time, as values are most of a head: 1.05 us instead of 1.25 for one of 596 bytes.
        while i + 3 < n and legal[data[i]] & legal[data[i + 1]] & legal[data[i + 2]] & legal[data[i + 3]]:
            i += 4
        while i < n and legal[data[i]]:
            i += 1
        if i >= n:
            return 0
        if data[i] != 13:
            return self.reject(BAD, "a field value holds a control character or ends with a bare LF")
        if i + 1 >= n:
            return 0
        if data[i + 1] != 10:
            return self.reject(BAD, "a bare CR")
        self._line_end = i + 2
        while i > self._value and (data[i - 1] == 32 or data[i - 1] == 9):
            self._is_canonical = False
            i -= 1
        self._value_end = i
        return self._line_end

    @cython.boundscheck(False)
    @cython.wraparound(False)
    @cython.nonecheck(False)
    def _kind(self, data: bytes) -> int:
        """The kind of the field that was read, 0 for one that just passes."""
        size = self._name_end - self._name
        if not _INTERESTING[(size if size < 31 else 31) * 32 + (data[self._name] & 31)]:
            return 0
        return kind_of(cut(data, self._name, self._name_end))

    def known(self, kind: int, data: bytes) -> int:
        """Take account of a field that is looked at. Overridden by requests and replies; 0 or a rejection."""
        raise NotImplementedError

    def keep(self, data: bytes) -> None:
        """Forward the field that was read: within the run when it is canonical, else written anew."""
        if not self._is_canonical:
            self.drop(data)
            name = cut(data, self._name, self._name_end)
            self.parts.append(name + b": " + cut(data, self._value, self._value_end) + b"\r\n")

    def drop(self, data: bytes) -> None:
        """Do not forward the field that was read: the run ends before it and another begins after it."""
        self.is_changed = True
        if self._name > self._run:
            self.parts.append(cut(data, self._run, self._name))
        self._run = self._line_end

    def take_length(self, value: bytes) -> int:
        """Content-Length: digits and nothing else, once (RFC 9110 8.6)."""
        if self._has_length:
            return self.reject(BAD, "more than one Content-Length")
        self.content_length = decimal(value, 0, len(value), 18)
        if self.content_length < 0:
            return self.reject(BAD, "Content-Length is not a plain number below 10**18")
        self._has_length = True
        return 0

    def take_codings(self, value: bytes) -> int:
        if self._codings is not None:
            return self.reject(BAD, "more than one Transfer-Encoding")
        self._codings = value.lower()
        return 0

    def take_connection(self, value: bytes) -> None:
        """Connection: options, and names of fields that belong to this connection only (RFC 9110 7.6.1)."""
        known = _CONNECTIONS.get(value)
        if known is not None:
            self._connection |= known
            return
        for option in value.lower().split(b","):
            option = option.strip(b" \t")
            if option in _OPTIONS:
                self._connection |= _OPTIONS[option]
            elif option and option not in _EXEMPT and not option.startswith(b"x-forwarded-"):
                if self._nominated is None:
                    self._nominated = set()
                self._nominated.add(option)

    def chunked(self) -> int:
        """Judge Transfer-Encoding: `chunked` alone is understood (RFC 9112 6.1). 0, or a rejection."""
        value = self._codings or b""
        if value == b"chunked":
            return 0
        codings = [coding.strip(b" \t") for coding in value.split(b",")]
        if codings[-1] != b"chunked" or b"chunked" in codings[:-1] or b"" in codings:
            return self.reject(BAD, "chunked is not the final transfer coding, or the list has an empty member")
        return self.reject(NOT_IMPLEMENTED, "a transfer coding other than chunked")

    def drop_nominated(self) -> None:
        """Remove the fields that Connection named. Rare, so it may read the lines again."""
        if self._nominated is None:
            return
        lines = b"".join(self.parts).splitlines(keepends=True)  # no line holds another CR or LF
        nominated = self._nominated
        kept = [line for line in lines[1:] if line.partition(b":")[0].lower() not in nominated]
        self.is_changed = self.is_changed or len(kept) + 1 < len(lines)
        self.parts = [lines[0], *kept]


def cut(data: bytes, start: int, end: int) -> bytes:
    """data[start:end] at a quarter of the cost: both were compared with the length when they were found."""
    if cython.compiled:
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + start, end - start)
    else:
        return data[start:end]


@cython.boundscheck(False)
@cython.wraparound(False)
@cython.nonecheck(False)
def decimal(text: bytes, start: int, end: int, most: int) -> int:
    """The number that text[start:end] spells with at most `most` digits and nothing else; -1 when it does not."""
    number = 0
    if start >= end or end - start > most:
        return -1
    while start < end:
        digit = text[start] - 48
        if digit < 0 or digit > 9:
            return -1
        number = number * 10 + digit
        start += 1
    return number


def kind_of(name: bytes) -> int:
    """The kind of a field by its name; SHADOW for one that CGI would take for a field that is looked at.

    Underscores are hyphens to CGI and its heirs, so X_Forwarded_For and Content_Length could shadow what we vouch for.
    """
    kind = _KNOWN.get(name)
    if kind is not None:
        return kind
    name = name.lower()
    kind = _KNOWN.get(name)
    if kind is not None:
        return kind
    plain = name.replace(b"_", b"-")
    if plain in _KNOWN or plain.startswith(b"x-forwarded-"):
        return FORWARDED if plain == name else SHADOW
    return 0


@cython.boundscheck(False)
@cython.wraparound(False)
@cython.nonecheck(False)
def is_host(value: bytes) -> bool:
    """Whether this is host[:port] with a registered name, an IPv4 address or an IPv6 literal (RFC 3986 3.2.2)."""
    i = 0
    n = len(value)
    marks = 0
    table = _HOST
    while i < n and table[value[i]]:
        marks |= table[value[i]]
        i += 1
    if i == 0:
        return n > 0 and value[0] == 91 and _is_ipv6(value)
    if i < n and not (value[i] == 58 and _is_port(value, i + 1)):
        return False
    return marks < 2 or _is_encoded(cut(value, 0, i))


def _is_port(value: bytes, start: int) -> bool:
    """Whether value[start:] is a port, which may be empty (RFC 3986 3.2.3)."""
    return start == len(value) or 0 <= decimal(value, start, len(value), 5) <= 65535


def _is_encoded(name: bytes) -> bool:
    """Whether each % is followed by two hexadecimal digits."""
    return all(len(part) >= 2 and not part[:2].strip(_HEX_DIGITS) for part in name.split(b"%")[1:])


def _is_ipv6(value: bytes) -> bool:
    """Whether this is [address] or [address]:port. Zones are for one machine only, so they are no host (RFC 6874 3)."""
    literal, bracket, port = value.partition(b"]")
    address = literal[1:]
    if not bracket or address.strip(_HEX_DIGITS + b":."):
        return False
    if port and not (port.startswith(b":") and _is_port(port, 1)):
        return False
    try:
        inet_pton(AF_INET6, address.decode())
    except OSError:
        return False
    return True
