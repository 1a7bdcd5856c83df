"""The content of one message in one direction: where it ends, and how it is sent on (RFC 9112 6 and 7).

Owns the chunked coding: what comes in is read strictly, what goes out has chunks of our own, so that no slip of a
parser can reach the next one. Keeps no content: at most the line of a trailer. Invariant: a body that broke a rule is
never ended for its receiver.
"""

from __future__ import annotations

import re

import cython

if cython.compiled:
    from cython.cimports.fairlead.wire.fields import _TOKEN, _VALUE
else:
    from fairlead.wire.fields import _TOKEN, _VALUE

from fairlead.wire.fields import BAD, BODY, EXTENSIONS, TRAILERS

# States of the chunked coding, in `_state`: what is expected next. Literals below, so that they are C constants.
# 0 digits of a size · 1 extensions · 2 the LF of a size line · 3 data · 4 its CR · 5 its LF · 6 trailers
_HEX = bytes(int(chr(c), 16) if chr(c) in "0123456789abcdefABCDEF" else 255 for c in range(256))
# chunk-ext of RFC 9112 7.1.1; each part ends where the next may start, so that nothing is tried twice.
_TOKEN_PATTERN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED_PATTERN = rb'"(?:[^"\\]|\\.)*"'
_EXTENSIONS = re.compile(
    rb"(?:[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?)*" % (_TOKEN_PATTERN, _TOKEN_PATTERN, _QUOTED_PATTERN)
)
_FRAMING = frozenset({b"transfer-encoding", b"content-length", b"host"})  # in trailers: an attempt at smuggling
# RFC 9110 6.5.1: fields that frame, route, authenticate or describe the content have no meaning in trailers.
_FORBIDDEN = frozenset({
    b"connection", b"keep-alive", b"te", b"trailer", b"upgrade",
    b"authorization", b"proxy-authorization", b"proxy-authenticate", b"www-authenticate", b"cookie", b"set-cookie",
    b"content-encoding", b"content-type", b"content-range", b"cache-control", b"expect", b"range", b"max-forwards",
    b"forwarded", b"x-request-id", b"proxy-connection", b"location", b"retry-after", b"vary", b"age", b"expires",
    b"date", b"fairlead-error",
})  # fmt: skip
# C integers when compiled.
_BROKEN, _OVER_EXTENSIONS, _OVER_TRAILERS, _OVER_BODY = int(BAD), int(EXTENSIONS), int(TRAILERS), int(BODY)
_NO_LIMIT = 1 << 62
_FORBIDDEN_PREFIXES = (b"x-forwarded-", b"sec-", b"if-", b"access-control-")


class BodyLimits:
    """How much one body may hold: of content, chunk extensions and trailers, in bytes. 0 means no limit."""

    def __init__(
        self, max_body_bytes: int = 0, max_chunk_extension_bytes: int = 4096, max_trailer_bytes: int = 8192
    ) -> None:
        self.max_body_bytes = max_body_bytes or _NO_LIMIT
        self.max_chunk_extension_bytes = max_chunk_extension_bytes or _NO_LIMIT
        self.max_trailer_bytes = max_trailer_bytes or _NO_LIMIT


class Body:
    """Reused from message to message. Extensions are dropped (RFC 9112 7.1.1), and counted against `limits`.

    `is_done`: complete; `is_bad`: it broke a rule, said in `detail`; `rejection`: as which of REJECTIONS."""

    def __init__(self) -> None:
        self.detail = ""
        self.rejection = _BROKEN
        self.limits = BodyLimits()
        self.begin(0, 0, False)

    def begin(self, framing: int, content_length: int, rechunk: bool) -> None:
        """A new body. `rechunk`: the receiver gets the chunked coding, else the bare bytes of a chunked body."""
        self._framing = framing
        self._rechunk = rechunk
        self._left = content_length
        self.is_bad = False
        self.is_done = framing == 0 or (framing == 1 and content_length == 0)
        if framing == 1 and content_length > self.limits.max_body_bytes:
            self._over(_OVER_BODY, "a Content-Length above the limit", 0)
        if framing == 2:
            self._size = 0
            self._state = 0
            self._digits = 0
            self._left = 0
            self._extension_size = 0
            self._line = b""
            self._trailer_size = 0
            self._trailers: list[bytes] = []

    def take(self, data: bytes, start: int, out: list[bytes]) -> int:
        """Take what of data[start:] belongs to the body, append what is to be sent on to `out`.

        Returns the offset of the first byte that was not taken: below len(data) when the body is done or bad.
        """
        n = len(data)
        if self.is_done or self.is_bad or start == n:
            return start
        if self._framing == 1:
            size = n - start
            if size > self._left:
                size = self._left
            self._left -= size
            self.is_done = self._left == 0
            out.append(data if size == n else data[start : start + size])
            return start + size
        if self._framing == 2:
            return self._take_chunked(data, start, out)
        if self._rechunk:
            out.append(b"%x\r\n" % (n - start))
            out.append(data if start == 0 else data[start:])
            out.append(b"\r\n")
        else:
            out.append(data if start == 0 else data[start:])
        return n

    def end(self) -> bool:
        """The sender closed its side. True when that ends the body; re-chunked, the last chunk is then still owed."""
        if self._framing == 3:
            self.is_done = True
        return self.is_done

    @cython.boundscheck(False)
    @cython.wraparound(False)
    def _take_chunked(self, data: bytes, start: int, out: list[bytes]) -> int:
        i = start
        n = len(data)
        pieces: list[bytes] = []
        size = 0
        while i < n and self._state != 6 and not self.is_bad:
            if self._state == 3:
                end = i + self._left if self._left < n - i else n
                pieces.append(data[i:end])
                size += end - i
                self._left -= end - i
                i = end
                if self._left == 0:
                    self._state = 4
            elif self._state == 4:
                if data[i] != 13:
                    return self._bad("chunk data longer than its size", i)
                self._state = 5
                i += 1
            elif self._state == 5:
                if data[i] != 10:
                    return self._bad("chunk data not followed by CRLF", i)
                self._state = 0
                self._digits = 0
                i += 1
            else:
                i = self._take_size(data, i)
        if self.is_bad:
            return i
        if size:
            if self._rechunk:
                out.append(b"%x\r\n" % size)
                out.extend(pieces)
                out.append(b"\r\n")
            else:
                out.extend(pieces)
        if self._state == 6 and i < n:
            i = self._take_trailers(data, i, out)
        return i

    @cython.boundscheck(False)
    @cython.wraparound(False)
    def _take_size(self, data: bytes, i: int) -> int:
        """chunk-size [chunk-ext] CRLF: hexadecimal digits and nothing around them."""
        n = len(data)
        while i < n:
            c = data[i]
            if self._state == 2:
                if c != 10:
                    return self._bad("a bare CR in a chunk's size line", i)
                if self._line and not self._take_extensions():
                    return i
                i += 1
                self._size += self._left
                if self._size > self.limits.max_body_bytes:
                    return self._over(_OVER_BODY, "chunks of more content than the limit", i)
                self._state = 3 if self._left else 6
                return i
            if c == 13 and (self._digits or self._state == 1):
                self._state = 2
            elif self._state == 1:
                i = self._read_extensions(data, i)
                if self.is_bad:
                    return i
                continue
            elif _HEX[c] < 16:
                self._digits += 1
                if self._digits > 15:  # below 2**60, so the sum cannot overflow
                    return self._bad("a chunk size of more than 15 digits", i)
                self._left = self._left * 16 + _HEX[c]
            elif self._digits and (c == 59 or c == 32 or c == 9):
                self._state = 1
                continue
            else:
                return self._bad("a chunk size that is not hexadecimal", i)
            i += 1
        return i

    @cython.boundscheck(False)
    @cython.wraparound(False)
    def _read_extensions(self, data: bytes, i: int) -> int:
        """Keep the text of chunk extensions until its line has ended."""
        n = len(data)
        start = i
        while i < n and _VALUE[data[i]]:
            i += 1
        self._extension_size += i - start
        if self._extension_size > self.limits.max_chunk_extension_bytes:
            return self._over(_OVER_EXTENSIONS, "more chunk extensions than the limit", i)
        if i < n and data[i] != 13:
            return self._bad("a control character in a chunk extension", i)
        self._line = self._line + data[start:i]
        return i

    def _take_extensions(self) -> bool:
        """Judge the extensions and drop them."""
        line = self._line
        self._line = b""
        if _EXTENSIONS.fullmatch(line) is None:
            self._bad("what follows a chunk's size is no extension", 0)
        return not self.is_bad

    def _take_trailers(self, data: bytes, i: int, out: list[bytes]) -> int:
        """Trailer fields up to the empty line; those that may be sent on follow the last chunk."""
        n = len(data)
        while i < n:
            end = data.find(b"\n", i) + 1
            if end == 0:
                end = n
            room = self.limits.max_trailer_bytes - self._trailer_size
            is_over = end - i > room
            if is_over:
                end = i + room  # what is behind the limit is not looked at, however the bytes were cut
            self._trailer_size += end - i
            self._line = self._line + data[i:end]
            i = end
            if not self._line.endswith(b"\n"):
                if b"\r" in self._line[:-1]:
                    return self._bad("a bare CR in a trailer", i)
                if is_over:
                    return self._over(_OVER_TRAILERS, "more trailers than the limit", i)
                break
            line = self._line
            self._line = b""
            if line == b"\r\n":
                self._end_trailers(out)
                break
            self._trailer(line)
            if self.is_bad:
                break
        return i

    def _trailer(self, line: bytes) -> None:
        name, colon, value = line[:-2].partition(b":")
        if not line.endswith(b"\r\n") or not colon or not name or name.strip(_TOKEN_BYTES) or value.strip(_VALUE_BYTES):
            self._bad("a trailer that is no field line", 0)
            return
        lowered = name.lower().replace(b"_", b"-")
        if lowered in _FRAMING:
            self._bad("a trailer that would frame or route", 0)
        elif lowered not in _FORBIDDEN and not lowered.startswith(_FORBIDDEN_PREFIXES):
            self._trailers.append(name + b": " + value.strip(b" \t") + b"\r\n")

    def _end_trailers(self, out: list[bytes]) -> None:
        if self._rechunk:
            out.append(b"0\r\n" + b"".join(self._trailers) + b"\r\n")
        self.is_done = True

    def _bad(self, detail: str, offset: int) -> int:
        return self._over(_BROKEN, detail, offset)

    def _over(self, rejection: int, detail: str, offset: int) -> int:
        self.is_bad = True
        self.rejection = rejection
        self.detail = detail
        return offset


_TOKEN_BYTES = bytes(c for c in range(256) if _TOKEN[c])
_VALUE_BYTES = bytes(c for c in range(256) if _VALUE[c])
