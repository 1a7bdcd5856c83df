"""Heads of all sorts for properties: most of them valid, many of them hostile, some with a byte put wrong."""

from hypothesis import strategies as st

HOP_BY_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
FRAMING_FIELDS = {b"content-length", b"transfer-encoding"}

_NAMES = (
    "Host", "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Content-Length", "Upgrade",
    "TE", "Expect", "Trailer", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X_Forwarded_For", "Forwarded",
    "X-Request-Id", "x_request_id", "Max-Forwards", "X-Hop", "Content_Length", "Transfer_Encoding", "Accept",
    "Cookie", "Authorization", "Fairlead-Error", "A", "Date", "X-Forwarded-A-Long-One-Of-32+",
)  # fmt: skip
_VALUES = (
    "", "chunked", "chunked, chunked", "gzip, chunked", "identity", "0", "5", "007", "10", "-1", "5, 5", "close",
    "keep-alive", "x-hop", "Host", "TE", "upgrade", "Upgrade, TE, x-hop", "websocket", "h2c", "trailers",
    "gzip, trailers", "100-continue", "a", "a.example", "b:80", "[::1]:80", "u@a", "text/html; q=0.5", "\xe9", "a\tb",
)  # fmt: skip
_TARGETS = (
    "/",
    "/a?b",
    "//a",
    "*",
    "http://b.example",
    "http://b/c?d",
    "https://[::1]:8/",
    "http://u@b/",
    "a:80",
    "/#",
)


def fields_of(sent: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """A forwarded head apart: its first line, and its fields with their names in lower case. Trusts nothing in it."""
    assert sent.endswith(b"\r\n\r\n")
    line, *lines = sent[:-4].split(b"\r\n")
    fields = []
    for text in lines:
        name, colon, value = text.partition(b": ")
        assert colon
        assert value == value.strip(b" \t")
        fields.append((name.lower(), value))
    return line, fields


@st.composite
def _field(draw: st.DrawFn, names: tuple[str, ...], values: tuple[str, ...]) -> bytes:
    name = draw(st.sampled_from(names))
    name = draw(st.sampled_from((name, name.lower(), name.upper(), name.swapcase())))
    value = draw(
        st.sampled_from(values) | st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=6)
    )
    before, after = draw(st.sampled_from(((" ", ""), (" ", ""), ("", ""), ("\t ", " \t"), ("  ", ""), (" ", "  "))))
    return f"{name}:{before}{value}{after}\r\n".encode("latin-1")


def _broken(data: bytes, at: int, byte: bytes) -> bytes:
    at %= len(data)
    return data[:at] + byte + data[at:]


_PLAIN = _field(
    ("A", "Accept", "X-Hop", "Cookie", "Upgrade", "Connection", "TE", "X-Forwarded-For", "x_request_id"), _VALUES
)
_ANY = _field(_NAMES, _VALUES)
_FRAMINGS = (b"", b"", b"Content-Length: 5\r\n", b"content-length:\t3 \r\n", b"Transfer-Encoding:chunked\r\n")
_CONNECTIONS = (b"", b"", b"Connection: Upgrade, TE, x-hop\r\n", b"Upgrade: websocket\r\n", b"TE: trailers\r\n")
_BAD = (b"\r", b"\n", b"\0", b" ", b"\t", b":", b"\x7f", b"\xff", b"\r\n", b"\r\n ", b",")


@st.composite
def _message(draw: st.DrawFn, lines: st.SearchStrategy[str], must: bytes) -> bytes:
    fields = draw(st.lists(_PLAIN, max_size=5))
    fields += [must, draw(st.sampled_from(_FRAMINGS)), *draw(st.lists(st.sampled_from(_CONNECTIONS), max_size=3))]
    if draw(st.integers(0, 3)) == 0:
        fields.append(draw(_ANY))
    data = draw(lines).encode("latin-1") + b"\r\n" + b"".join(draw(st.permutations(fields))) + b"\r\n"
    if draw(st.integers(0, 4)) == 0:
        data = _broken(data, draw(st.integers(1, 10_000)), draw(st.sampled_from(_BAD)))
    return data


def _line(*words: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.tuples(*[st.sampled_from(choice) for choice in words]).map(" ".join)


def requests() -> st.SearchStrategy[bytes]:
    """Heads of requests."""
    methods = ("GET", "GET", "POST", "HEAD", "OPTIONS", "X!")
    versions = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0")
    usual = _line(methods, ("/", "/a?b", "http://b/c?d"), versions)
    odd = _line((*methods, "TRACE"), _TARGETS, (*versions, "HTTP/1.2"))
    return st.one_of(_message(usual, b"Host: a.example\r\n"), _message(odd, b"Host: b\r\n"), _message(odd, b""))


def replies() -> st.SearchStrategy[bytes]:
    """Heads of replies."""
    versions = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.0")
    usual = _line(versions, ("200 OK", "200 OK", "204 ", "304 Not Modified", "103 Early", "404", "599 x"))
    odd = _line(versions, ("101 S", "101 S", "200 OK", "600 x", "99 x", "200OK"))
    return st.one_of(_message(usual, b""), _message(odd, b"Connection: upgrade\r\nUpgrade: x\r\n"))
