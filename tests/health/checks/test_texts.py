"""Texts of settings: bytes with escapes, and statuses."""

from __future__ import annotations

import pytest
from fairlead.health.checks.texts import status_range, unescaped
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", b""),
        ("PING", b"PING"),
        (r"PING\r\n", b"PING\r\n"),
        (r"\x00\xfFend", b"\x00\xffend"),
        (r"\\r\t\0", b"\\r\t\0"),
        ("grün", "grün".encode()),
        (r"\\\\", b"\\\\"),
    ],
)
def test_escapes(text: str, meant: bytes) -> None:
    assert unescaped(text) == meant


@pytest.mark.parametrize("text", ["\\", "end\\", r"\q", r"\x", r"\x1", r"\xzz", r"\N", r"\\\ "])
def test_what_is_no_escape_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"which means nothing; use \\r"):
        unescaped(text)


@given(st.binary(max_size=100))
def test_every_byte_can_be_written(data: bytes) -> None:
    assert unescaped("".join(f"\\x{byte:02x}" for byte in data)) == data


@given(st.text(max_size=100))
def test_what_has_no_backslash_is_itself(text: str) -> None:
    plain = text.replace("\\", "").encode("utf-8", "ignore").decode()
    assert unescaped(plain) == plain.encode()
    assert unescaped(plain.replace("a", "\\\\")) == plain.replace("a", "\\").encode()


@pytest.mark.parametrize(("text", "first", "last"), [("200", 200, 200), ("200-399", 200, 399), ("599-599", 599, 599)])
def test_statuses(text: str, first: int, last: int) -> None:
    assert status_range(text) == range(first, last + 1)


@pytest.mark.parametrize(
    "text", ["", "2", "2xx", "100", "199-200", "600", "300-200", "200-", "-200", "200-300-400", " 200", "٢٠٠", "200\n"]
)
def test_what_is_no_status_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a status from 200 to 599"):
        status_range(text)
