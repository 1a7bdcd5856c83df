"""Looking for a field or a cookie in a head that was read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from modes import BOTH, Mode

both = pytest.mark.parametrize("mode", BOTH)
HEAD = (
    b"GET /?x-user:%20no HTTP/1.1\r\nHost: a\r\nX-User:  ann \r\nx-USER: bob\r\nX-Empty:\r\n"
    b"Cookie: a=1; sid=s1=2 ;b=\r\nCOOKIE: sid=s2; late=yes\r\nLast: \tend\r\n"
)
FIELDS = {b"x-user": b"ann", b"host": b"a", b"x-empty": b"", b"last": b"end", b"user": b"", b"get /?x-user": b""}
COOKIES = {b"a": b"1", b"sid": b"s1=2", b"b": b"", b"late": b"yes", b"SID": b"", b"id": b"", b"s1": b""}


def read(mode: Mode, data: bytes) -> list[bytes]:
    """The parts of a request as they are after the parser has seen it."""
    head = mode["wire.http1"].RequestHead()
    assert mode["wire.http1"].parse_request(data, 0, head, mode["wire.fields"].HeadLimits()) == len(data)
    parts: list[bytes] = head.parts
    return parts


@both
def test_fields_and_cookies_are_found(mode: Mode) -> None:
    lookup = mode["wire.lookup"]
    parts = read(mode, HEAD + b"\r\n")
    assert {name: lookup.field(parts, name) for name in FIELDS} == FIELDS
    assert {name: lookup.cookie(parts, name) for name in COOKIES} == COOKIES


@both
@given(
    names=st.lists(st.sampled_from([b"X-A", b"x-a", b"X-B", b"Cookie"]), max_size=6),
    values=st.lists(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12), min_size=6),
)
def test_the_first_of_the_name_is_given_as_it_was_sent(mode: Mode, names: list[bytes], values: list[str]) -> None:
    lines = [(name, value.encode()) for name, value in zip(names, values, strict=False)]
    parts = read(mode, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"%b: %b\r\n" % line for line in lines) + b"\r\n")
    for name in (b"x-a", b"x-b"):
        sent = [value.strip(b" \t") for key, value in lines if key.lower() == name]
        assert mode["wire.lookup"].field(parts, name) == (sent[0] if sent else b"")
    pairs = [pair.partition(b"=") for key, value in lines if key == b"Cookie" for pair in value.split(b";")]
    crumbs = [value.strip(b" \t") for key, _, value in pairs if key.strip(b" \t") == b"a"]
    assert mode["wire.lookup"].cookie(parts, b"a") == (crumbs[0] if crumbs else b"")
