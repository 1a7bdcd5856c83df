"""The API's quantities of CPU, as whole millicores. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

_QUANTITY: Final = re.compile(
    r"([0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(n|u|m|k|[MGTPE]|e[+-]?[0-9]{1,2}|)", re.ASCII
)
_SCALES: Final[Mapping[str, int]] = {
    "n": -9,
    "u": -6,
    "m": -3,
    "": 0,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "P": 15,
    "E": 18,
}


def millicores(text: str | float) -> int:
    """ "2" -> 2000, "250m" -> 250; what is less than a millicore counts as one. Raises ValueError."""
    parts = _QUANTITY.fullmatch(str(text))
    if parts is None:
        raise ValueError(f"{text!r} is no quantity of CPU")
    suffix = parts[2]
    scale = int(suffix[1:]) if suffix.startswith("e") else _SCALES[suffix]
    return math.ceil(Decimal(parts[1]).scaleb(scale + 3))
