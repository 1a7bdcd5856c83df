"""What the texts in the settings of checks mean: bytes that are written with escapes, and ranges of statuses.

Pure. Needs no compiled code, so that a configuration can be checked anywhere.
"""

from __future__ import annotations

import re
from typing import Final

_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.?))", re.DOTALL)
_STATUSES: Final = re.compile(r"(\d{3})(?:-(\d{3}))?", re.ASCII)
_NAMED: Final = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}


def unescaped(text: str) -> bytes:
    r"""The bytes that a text means: \r, \n, \t, \0, \\ and \xHH are one byte, everything else is itself in UTF-8.

    A configuration has no other way to say what cannot be seen. Raises ValueError saying what is wrong.
    """
    out: list[bytes] = []
    position = 0
    for match in _ESCAPE.finditer(text):
        out.append(text[position : match.start()].encode())
        out.append(bytes.fromhex(match[1]) if match[1] else _named(match[2]))
        position = match.end()
    out.append(text[position:].encode())
    return b"".join(out)


def _named(letter: str) -> bytes:
    if letter not in _NAMED:
        raise ValueError(rf"has \{letter}, which means nothing; use \r, \n, \t, \0, \xHH, or \\ for a backslash")
    return _NAMED[letter]


def status_range(text: str) -> range:
    """The statuses that "200" or "200-399" means. Raises ValueError saying what is wrong."""
    match = _STATUSES.fullmatch(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 200 <= first <= last <= 599:
        raise ValueError(f"is {text[:60]!r}, and must be a status from 200 to 599, or two of them as 200-399")
    return range(first, last + 1)
