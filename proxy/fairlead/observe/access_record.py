"""The record of one exchange and the line that it becomes: fields are declared here, once.

Pure: no files, no clock. A line is ASCII without control characters: every string is escaped as JSON does, bytes read
as Latin-1 so that nothing is lost and nothing can fail to decode. Long values are cut and then end in "...", so that a
line is at most PIPE_BUF bytes long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote
from typing import Any, Final

# What the data plane records, in the order of FIELDS.
Tried = tuple[tuple[str, str, int], ...]  # (endpoint, what went wrong, microseconds)
Record = tuple[float, str, str, bytes, bytes, bytes, bytes, int, str, int, int, int, int, int, str, bytes, Tried]

_TRIED: Final = 640  # what all attempts may take of a line
_STATUS: Final = "status-"
_TCP: Final = 1  # the status of a TCP session that was served, which has none


def _time(at: float) -> str:
    seconds, us = divmod(round(at * 1_000_000), 1_000_000)
    return f'"{_second(seconds)}.{us:06}Z"'


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _status(status: int) -> str:
    return "null" if status == _TCP else str(status)


def _ms(us: int) -> str:
    return f"{us / 1000:.3f}"


def _text(limit: int) -> Callable[[str], str]:
    """A JSON string of at most `limit` characters, with its quotes."""

    def encode(text: str) -> str:
        if len(text) <= limit - 2:
            encoded = quote(text)
            if len(encoded) <= limit:
                return encoded
        return _cut(text, limit - 5)

    return encode


def _cut(text: str, room: int) -> str:
    encoded = quote(text[:room])
    if len(encoded) > room + 2:
        encoded = quote(text[: room // 12])  # no character needs more than "\ud83d\ude00"
    return encoded[:-1] + '..."'


def _bytes(limit: int) -> Callable[[bytes], str]:
    encode = _text(limit)
    return lambda value: encode(value.decode("latin-1"))


def _within_room(pieces: Iterable[str], separator: str) -> str:
    """As many of the first pieces as fit whole."""
    text = ""
    for piece in pieces:
        longer = text + separator + piece if text else piece
        if len(longer) > _TRIED:
            break
        text = longer
    return text


def _tried(tried: Tried) -> str:
    """A JSON list of objects; the status of a reply that was passed over stands for an error."""
    return "[" + _within_room(map(_attempt, tried), ",") + "]"


def _attempt(attempt: tuple[str, str, int]) -> str:
    endpoint, outcome, us = attempt
    status = outcome.removeprefix(_STATUS)
    what = f'"error":{_outcome(outcome)}' if status == outcome else f'"status":{int(status)}'
    return f'{{"endpoint":{_address(endpoint)},{what},"ms":{_ms(us)}}}'


def _tried_word(tried: Tried) -> str:
    """The same as one word: ENDPOINT=ERROR/MSms, separated by commas."""
    words = (f"{_word(_address(endpoint))}={_word(_outcome(what))}/{_ms(us)}ms" for endpoint, what, us in tried)
    return _within_room(words, ",") or "-"


_address: Final = _text(128)
_outcome: Final = _text(64)

FIELDS: Final[tuple[tuple[str, Callable[[Any], str]], ...]] = (
    ("time", _time),  # when the exchange ended; RFC 3339, UTC
    ("listener", _text(80)),  # names of the configuration have 63
    ("service", _text(80)),
    ("client", _bytes(64)),
    ("method", _bytes(32)),
    ("target", _bytes(2048)),
    ("host", _bytes(256)),
    ("status", _status),
    ("endpoint", _text(128)),  # the path of a Unix socket has 107
    ("attempts", str),
    ("request_bytes", str),
    ("reply_bytes", str),
    ("duration_ms", _ms),
    ("ttfb_ms", _ms),
    ("reason", _text(64)),
    ("request_id", _bytes(130)),  # 128 and the quotes: whole, or it could not be searched for
    ("tried", _tried),  # the attempts before the last; JSON leaves it out when there were none
)

_NAMES: Final = tuple(name for name, _ in FIELDS)
_ENCODERS: Final = tuple(encode for _, encode in FIELDS)
_JSON: Final = "{" + ",".join(f'"{name}":%s' for name in _NAMES[:-1]) + "}\n"
_JSON_TRIED: Final = "{" + ",".join(f'"{name}":%s' for name in _NAMES) + "}\n"
_PLAIN: Final = (
    "%(time)s %(client)s %(listener)s %(service)s %(endpoint)s %(method)s %(host)s %(target)s %(status)s"
    " %(duration_ms)sms ttfb=%(ttfb_ms)sms in=%(request_bytes)s out=%(reply_bytes)s attempts=%(attempts)s"
    " reason=%(reason)s id=%(request_id)s tried=%(tried)s\n"
)


def _json_line(record: Record) -> bytes:
    values = [encode(value) for encode, value in zip(_ENCODERS, record, strict=True)]
    if record[-1]:
        return (_JSON_TRIED % tuple(values)).encode("ascii")
    return (_JSON % tuple(values[:-1])).encode("ascii")


def _text_line(record: Record) -> bytes:
    """Words between spaces, always the same number of them: "-" stands for what is empty, \\u0020 for a space."""
    values = {name: _word(encode(value)) for (name, encode), value in zip(FIELDS[:-1], record[:-1], strict=True)}
    values["tried"] = _tried_word(record[-1])
    return (_PLAIN % values).encode("ascii")


def _word(encoded: str) -> str:
    if encoded in ('""', "null"):
        return "-"
    return encoded[1:-1].replace(" ", "\\u0020") if encoded[0] == '"' else encoded


LINES: Final[Mapping[str, Callable[[Record], bytes]]] = {"json": _json_line, "text": _text_line}
