"""All fuzz targets by name, each with what it starts from: the cases of tests/wire, not stored twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from dataplane.test_pieces import REPLIES as WHOLE_REPLIES
from dataplane.test_pieces import REQUESTS as WHOLE_REQUESTS
from fuzz.bodies import body
from fuzz.exchanges import CLOSE, EARLY, SEPARATOR, exchange
from fuzz.forwarded import forwarded
from fuzz.heads import host, reply, request, target
from wire.cases import BODIES, HOSTS, REPLIES, REQUESTS, TARGETS, TRUSTED
from wire.reading import NEXT

CORPUS: Final = Path(__file__).parent / "corpus"
TARGETS_BY_NAME: Final[dict[str, Callable[[bytes], None]]] = {
    "request": request,
    "reply": reply,
    "body": body,
    "host": host,
    "target": target,
    "forwarded": forwarded,
    "exchange": exchange,
}


def seeds(name: str) -> list[bytes]:
    """What a target starts from besides its corpus."""
    return [data for data in dict.fromkeys(_SEEDS[name]()) if len(data) <= 2048]


def corpus(name: str) -> list[Path]:
    """The inputs that were kept because they reach what no other does, or because they once found something."""
    return sorted((CORPUS / name).glob("*"))


def _hosts() -> Iterator[bytes]:
    for case in HOSTS.values():
        yield case.given.partition(b"ost: ")[2].partition(b"\r\n")[0]


def _forwarded() -> Iterator[bytes]:
    for case in TRUSTED.values():
        for claim in case.given.split(b"X-Forwarded-For: ")[1:]:
            yield claim.partition(b"\r\n")[0]


def _exchanges() -> Iterator[bytes]:
    for case in REQUESTS.values():
        yield case.given
    for data, _ in BODIES.values():
        yield b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data + NEXT
        yield NEXT + SEPARATOR + b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data
    for reply_case in REPLIES.values():
        yield NEXT + SEPARATOR + reply_case.given
    for sent in WHOLE_REQUESTS:
        for answer in WHOLE_REPLIES:
            yield sent + SEPARATOR + answer + CLOSE
            yield sent + NEXT + SEPARATOR + answer
            yield sent + NEXT + SEPARATOR + EARLY + answer


_SEEDS: Final[dict[str, Callable[[], Iterator[bytes]]]] = {
    "request": lambda: (case.given for case in REQUESTS.values()),
    "reply": lambda: (b"HEAD " * case.is_head + case.given for case in REPLIES.values()),
    "body": lambda: (data for data, _ in BODIES.values()),
    "host": _hosts,
    "target": lambda: (case.given.split(b" ", 2)[1] for case in TARGETS.values() if case.given.count(b" ") > 1),
    "forwarded": _forwarded,
    "exchange": _exchanges,
}
