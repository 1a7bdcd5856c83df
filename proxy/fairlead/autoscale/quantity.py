"""Numbers as Kubernetes writes them (resource.Quantity): "250m" is a quarter, "2k" two thousand.

Writes the canonical form, as the API server would after decoding: no fraction, the largest suffix that allows that.
Reads everything that the API server reads and nothing else, exactly. Never rounds what it reads, and never writes what
is no number: NaN in an answer makes an autoscaler give up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

_TEXT: Final = re.compile(
    r"([+-]?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30}))(?:([eE][+-]?\d{1,3})|(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]))?", re.ASCII
)
_LONGEST: Final = 64
_DECIMAL: Final[Mapping[str, int]] = MappingProxyType(
    {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
)
_SUFFIX: Final[Mapping[int, str]] = MappingProxyType({exponent: suffix for suffix, exponent in _DECIMAL.items()})
_BINARY: Final[Mapping[str, int]] = MappingProxyType({"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60})
MILLI: Final = 3
MICRO: Final = 6


def write(value: float, places: int = MILLI) -> str:
    """The canonical text of a value, rounded to MILLI or MICRO. Raises ValueError for NaN and infinity."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is no quantity")
    digits, exponent = round(value * 10**places), -places
    if not digits:
        return "0"
    while digits % 1000 == 0 and exponent + 3 in _SUFFIX:
        digits //= 1000
        exponent += 3
    return f"{digits}{_SUFFIX[exponent]}"


def parse(text: str) -> Decimal:
    """The value of a text. Raises ValueError when it is no quantity."""
    parts = _TEXT.fullmatch(text) if len(text) <= _LONGEST else None
    if parts is None:
        raise ValueError(f"{text[:_LONGEST]!r} is no quantity")
    number, exponent, suffix = parts.groups()
    if exponent:
        return Decimal(number + exponent)
    if suffix in _BINARY:
        return Decimal(number) * (1 << _BINARY[suffix])
    return Decimal(number).scaleb(_DECIMAL[suffix or ""])
