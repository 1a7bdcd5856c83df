"""The field section of an HTTP/1.1 message: validated byte by byte, and cut into what is forwarded.

Owns the strict reading of field lines (RFC 9112 5, RFC 9110 5) and the removal of what belongs to one connection only
(RFC 9110 7.6.1). Consecutive lines that are forwarded as they are and already have the form "Name: value" CRLF are kept
as one slice, a run: the output is the same as if each line were written anew from its parsed form.

Every index into the data is compared with its length first; that is what allows the loops to go without bounds checks.
"""

from __future__ import annotations

import cython

from fairlead.errors import Kind

# What parse_request and parse_reply return for a head that is refused: minus the index here. 0 asks for more data.
REJECTIONS: tuple[Kind, ...] = (
    Kind.BAD_REQUEST,  # not used: 0 is no rejection
    Kind.BAD_REQUEST,
    Kind.HEAD_TOO_LARGE,
    Kind.URI_TOO_LONG,
    Kind.VERSION,
    Kind.NOT_IMPLEMENTED,
    Kind.METHOD,
    Kind.BAD_REPLY,
)
BAD, TOO_LARGE, TOO_LONG, VERSION, NOT_IMPLEMENTED, METHOD, BAD_REPLY = range(1, 8)

NEED_MORE = 0


class Framing:
    """How the end of a message's content is found (RFC 9112 6.3)."""

    NONE = 0  # there is no content
    LENGTH = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3  # replies only


# Kinds of fields that are looked at; the others pass.
(HOST, CONNECTION, HOP, TRANSFER_ENCODING, CONTENT_LENGTH, UPGRADE, TE, EXPECT, FORWARDED_FOR, FORWARDED, REQUEST_ID,
 OWN) = range(1, 13)  # fmt: skip

_KNOWN: dict[bytes, int] = {
    b"host": HOST,
    b"connection": CONNECTION,
    b"keep-alive": HOP,
    b"proxy-connection": HOP,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"content-length": CONTENT_LENGTH,
    b"upgrade": UPGRADE,
    b"te": TE,
    b"expect": EXPECT,
    b"x-forwarded-for": FORWARDED_FOR,
    b"forwarded": FORWARDED,
    b"x-request-id": REQUEST_ID,
    b"fairlead-error": OWN,
}
_KNOWN |= {b"-".join(word.capitalize() for word in name.split(b"-")): kind for name, kind in _KNOWN.items()} | {
    b"TE": TE
}
# Fields that a client cannot have removed by naming them in Connection (HTTP desync, "hop-by-hop abuse").
_EXEMPT = {
    b"host", b"content-length", b"content-type", b"authorization", b"via", b"cookie", b"expect", b"forwarded",
    b"x-request-id", b"transfer-encoding", b"proxy-authorization", b"set-cookie", b"date", b"location",
}  # fmt: skip


def _table(legal: bytes) -> bytes:
    return bytes(1 if byte in legal else 0 for byte in range(256))


_ALNUM = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN = _table(_ALNUM + b"!#$%&'*+-.^_`|~")  # RFC 9110 5.6.2
_VALUE = _table(b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100)))  # RFC 9110 5.5, obs-text included
_HOST = _table(_ALNUM + b"-._~%!$&'()*+;=")  # RFC 3986 3.2.2 without the comma, which joins two Hosts


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
    """How large a head may be: all of it and its target in bytes, and the number of its fields."""

    def __init__(self, max_head_bytes: int = 32768, max_fields: int = 100, max_target_bytes: int = 16384) -> None:
        self.max_head_bytes = max_head_bytes
        self.max_fields = max_fields
        self.max_target_bytes = min(max_target_bytes, max_head_bytes)


class Head:
    """What the heads of requests and replies have in common. Reused: everything is set by a parse."""

    def __init__(self) -> None:
        self.clear(0)
        self.detail = ""

    def clear(self, start: int) -> None:
        self.parts = []
        self.minor = 1
        self.keep_alive = True
        self.framing = 0
        self.content_length = 0
        self.upgrade = b""
        self.is_changed = False
        self._run = start
        self._fields = 0
        self._has_length = False
        self._codings = None
        self._connection = 0
        self._nominated = None
        self._protocol = b""
        self._wants_trailers = False

    def reject(self, rejection: int, detail: str) -> int:
        self.detail = detail
        return -rejection

    @cython.boundscheck(False)
    @cython.wraparound(False)
    def scan(self, data: bytes, i: int, limits: HeadLimits, is_reply: bool) -> int:
        """Read field lines from `i` to the empty line; returns the offset behind it, NEED_MORE or a rejection."""
        n = len(data)
        token = _TOKEN
        legal = _VALUE
        interesting = _INTERESTING
        while True:
            if i >= n:
                return 0
            name = i
            while i < n and token[data[i]]:
                i += 1
            if i >= n:
                return 0
            name_end = i
            if name_end == name:
                if data[i] != 13:
                    return self.reject(BAD, "a field line starts with no field name")
                if i + 1 >= n:
                    return 0
                if data[i + 1] != 10:
                    return self.reject(BAD, "a bare CR")
                if name > self._run:
                    self.parts.append(data[self._run : name])
                return i + 2
            if data[i] != 58 and is_reply:
                # RFC 9112 5.1: a proxy removes whitespace before the colon of a reply's field.
                while i < n and (data[i] == 32 or data[i] == 9):
                    i += 1
                if i >= n:
                    return 0
            if data[i] != 58:
                return self.reject(BAD, "a field name holds an illegal byte or is not followed by a colon")
            is_canonical = i == name_end
            i += 1
            value = i
            while value < n and (data[value] == 32 or data[value] == 9):
                value += 1
            if is_canonical:
                is_canonical = value == i + 1 and data[i] == 32
            i = value
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
            end = i
            i += 2
            if end > value and (data[end - 1] == 32 or data[end - 1] == 9):
                is_canonical = False
                while end > value and (data[end - 1] == 32 or data[end - 1] == 9):
                    end -= 1
            self._fields += 1
            if self._fields > limits.max_fields:
                return self.reject(TOO_LARGE, "more fields than are allowed")
            size = name_end - name
            if size > 31:
                size = 31
            kind = 0
            if interesting[size * 32 + (data[name] & 31)]:
                kind = kind_of(data[name:name_end])
            if kind == 0:
                if not is_canonical:
                    self.keep(data, name, name_end, value, end, i, is_canonical)
            else:
                result = self.known(kind, data, name, value, end, i, is_canonical)
                if result < 0:
                    return result

    def known(self, kind: int, data: bytes, name: int, value: int, end: int, after: int, is_canonical: bool) -> int:
        """Take account of a field that is looked at. Overridden by requests and replies; 0 or a rejection."""
        raise NotImplementedError

    def keep(
        self, data: bytes, name: int, name_end: int, value: int, end: int, after: int, is_canonical: bool
    ) -> None:
        """Forward a field line: within the run when it is canonical, else written anew."""
        if is_canonical:
            return
        self.drop(data, name, after)
        self.parts.append(data[name:name_end] + (b": " if end > value else b":") + data[value:end] + b"\r\n")

    def drop(self, data: bytes, name: int, after: int) -> None:
        """Do not forward a field line: the run ends before it and another begins after it."""
        self.is_changed = True
        if name > self._run:
            self.parts.append(data[self._run : name])
        self._run = after

    def take_length(self, value: bytes) -> int:
        """Content-Length: digits and nothing else, once (RFC 9110 8.6)."""
        if self._has_length:
            return self.reject(BAD, "more than one Content-Length")
        if not value.isdigit() or len(value) > 18:
            return self.reject(BAD, "Content-Length is not a plain number below 10**18")
        self._has_length = True
        self.content_length = int(value)
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
        if self._codings == b"chunked":
            return 0
        codings = [coding.strip(b" \t") for coding in self._codings.split(b",")]
        if b"chunked" in codings[:-1] or b"" in codings:
            return self.reject(BAD, "chunked is not the final transfer coding, or the list has an empty member")
        return self.reject(NOT_IMPLEMENTED, "a transfer coding other than chunked")

    def drop_nominated(self) -> None:
        """Remove the fields that Connection named. Rare, so it may read the lines again."""
        if self._nominated is None:
            return
        lines = b"".join(self.parts).splitlines(keepends=True)
        kept = [lines[0]]
        for line in lines[1:]:
            if line.partition(b":")[0].lower() not in self._nominated:
                kept.append(line)
        self.is_changed = self.is_changed or len(kept) < len(lines)
        self.parts = kept


def kind_of(name: bytes) -> int:
    """The kind of a field, 0 for one that just passes. Underscores count as hyphens only for what we vouch for."""
    kind = _KNOWN.get(name)
    if kind is not None:
        return kind
    name = name.lower()
    kind = _KNOWN.get(name)
    if kind is not None:
        return kind
    name = name.replace(b"_", b"-")
    if name.startswith(b"x-forwarded-"):
        return FORWARDED
    if name == b"x-request-id":
        return FORWARDED
    return 0


@cython.boundscheck(False)
@cython.wraparound(False)
def is_host(value: bytes) -> bool:
    """Whether this is host[:port] with a registered name, an IPv4 address or an IPv6 literal (RFC 3986 3.2.2)."""
    i = 0
    n = len(value)
    table = _HOST
    if n == 0:
        return False
    if value[0] == 91:
        i = value.find(b"]") + 1
        if i < 4 or value[1 : i - 1].strip(b"0123456789abcdefABCDEF:.") or b":" not in value[:i]:
            return False
    else:
        while i < n and table[value[i]]:
            i += 1
        if i == 0:
            return False
    if i == n:
        return True
    if value[i] != 58 or n - i > 6:
        return False
    i += 1
    while i < n:
        if value[i] < 48 or value[i] > 57:
            return False
        i += 1
    return True
