"""Quantities: written in the canonical form, read exactly, refused when they are none."""

from __future__ import annotations

import math
import re
from decimal import Decimal

import pytest
from fairlead.autoscale.quantity import MICRO, MILLI, parse, write
from hypothesis import given
from hypothesis import strategies as st

CANONICAL = re.compile(r"0|-?[1-9]\d*[numkMGTPE]?")


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (0, MILLI, "0"),
        (0.25, MILLI, "250m"),
        (200, MILLI, "200"),
        (2000, MILLI, "2k"),
        (2500, MILLI, "2500"),
        (1_000_000, MILLI, "1M"),
        (12.3456, MILLI, "12346m"),
        (0.0004, MILLI, "0"),
        (0.0004, MICRO, "400u"),
        (0.25, MICRO, "250m"),
        (-1.5, MILLI, "-1500m"),
    ],
)
def test_written_in_the_canonical_form(value: float, places: int, text: str) -> None:
    assert write(value, places) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_never_written(value: float) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        write(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("200m", "0.2"),
        ("2e2", "200"),
        ("2E2", "200"),
        ("1E", "1000000000000000000"),
        ("1Ki", "1024"),
        ("1.5Gi", "1610612736"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+3k", "3000"),
        ("-7u", "-0.000007"),
        ("1n", "0.000000001"),
    ],
)
def test_everything_that_the_api_server_reads_is_read(text: str, value: str) -> None:
    assert parse(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "NaN", "+Inf", "1K", "1mi", "m", ".", "--1", "1e", "1e2m", "0x10", "1_0", "\u0661", "1" * 80],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        parse(text)


@given(st.floats(min_value=-1e12, max_value=1e12), st.sampled_from([MILLI, MICRO]))
def test_what_is_written_is_canonical_and_reads_as_the_value(value: float, places: int) -> None:
    text = write(value, places)
    assert CANONICAL.fullmatch(text)
    assert not re.search(r"000[num]?$", text), "a larger suffix would do"
    assert abs(parse(text) - Decimal(value)) <= Decimal(10) ** -places + abs(Decimal(value)) * Decimal("1e-15")


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = parse(text)
    except ValueError:
        return
    assert value.is_finite()
