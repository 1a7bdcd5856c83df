"""Field names: those that are looked at are known however they are written, and no other is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modes import BOTH, COMPILED, INTERPRETED, Mode

from wire.cases import get, head
from wire.reading import Request, read_request

both = pytest.mark.parametrize("mode", BOTH)
KNOWN: dict[bytes, int] = INTERPRETED["wire.fields"]._KNOWN
DROPPED = (
    "Keep-Alive", "Proxy-Connection", "Upgrade", "TE", "Connection", "X-Forwarded-For", "X-Forwarded-Proto",
    "X-Forwarded-Host", "X-Forwarded-Prefix", "Forwarded", "X-Request-Id",
)  # fmt: skip
SHADOWS = ("X_Forwarded_For", "X-Forwarded_Proto", "X_Request_Id", "Content_Length", "Transfer_Encoding", "Keep_Alive")


def in_any_case(draw: st.DataObject, name: str) -> str:
    upper = draw.draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    return "".join(c.upper() if up else c.lower() for c, up in zip(name, upper, strict=True))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.sampled_from(DROPPED + SHADOWS), st.data())
def test_a_field_that_is_dropped_is_dropped_in_any_case(name: str, draw: st.DataObject) -> None:
    written = in_any_case(draw, name)
    outcome = read_request(COMPILED, get(f"{written}: x", "A: b"))
    assert isinstance(outcome, Request)
    assert outcome.sent == get("A: b")


@both
@pytest.mark.parametrize("name", ["Host", "HOST", "hOST", "host"])
def test_the_host_is_known_in_any_case(mode: Mode, name: str) -> None:
    outcome = read_request(mode, head("GET / HTTP/1.1", f"{name}: a"))
    assert isinstance(outcome, Request)
    assert outcome.host == b"a"


@both
@pytest.mark.parametrize("name", ["Content-Length", "CONTENT-LENGTH", "cONTENT-lENGTH", "content-length"])
def test_the_length_is_known_in_any_case(mode: Mode, name: str) -> None:
    outcome = read_request(mode, get(f"{name}: 7"))
    assert isinstance(outcome, Request)
    assert (outcome.framing, outcome.content_length) == (1, 7)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.from_regex(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,40}", fullmatch=True))
def test_any_other_name_passes(name: str) -> None:
    plain = name.lower().replace("_", "-")
    outcome = read_request(COMPILED, get(f"{name}: x"))
    if plain.encode() not in KNOWN and not plain.startswith("x-forwarded-"):
        assert isinstance(outcome, Request)
        assert outcome.sent == get(f"{name}: x")


@pytest.mark.parametrize("name", [b"", b"X-Forwarded-", b"x_forwarded_" + b"y" * 60, *KNOWN])
def test_every_name_that_is_looked_at_has_an_interesting_shape(name: bytes) -> None:
    """The table that spares most names a look-up must not spare one that counts."""
    fields = INTERPRETED["wire.fields"]
    for written in (name, name.lower(), name.upper(), name.replace(b"-", b"_")):
        if fields.kind_of(written):
            assert fields._INTERESTING[min(len(written), 31) * 32 + (written[0] & 31)]


def test_replies_have_the_first_kinds_only() -> None:
    own = INTERPRETED["wire.fields"].OWN
    assert {name for name, kind in KNOWN.items() if kind <= own and name.islower()} == {
        b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"content-length", b"upgrade",
        b"fairlead-error",
    }  # fmt: skip


@both
def test_limits_can_be_read(mode: Mode) -> None:
    limits = mode["wire.fields"].HeadLimits(max_head_bytes=1000, max_fields=5, max_line_bytes=0)
    assert (limits.max_head_bytes, limits.max_fields) == (1000, 5)
    assert limits.max_line_bytes >= 1 << 30
