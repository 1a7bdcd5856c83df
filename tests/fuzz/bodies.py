"""The fuzz target of chunked bodies, as requests and replies have them.

Invariants: a body is judged the same in every cut, has the same content in each, and ends at the same byte; what is
sent on is read the same by h11 and llhttp, and nothing that is not done ever ends for them.
"""

from __future__ import annotations

import re
import zlib

import h11
from modes import COMPILED
from wire.oracles import requests_in
from wire.reading import NEXT, Content, take

_CHUNKED = 2
_SPACED = re.compile(rb"[0-9A-Fa-f][ \t]+;")  # RFC 9112 7.1.1 allows it, h11 does not
_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def pieces_of(data: bytes) -> list[bytes]:
    """The data in pieces, cut in other places for other data."""
    pieces = []
    seed = zlib.crc32(data)
    while data:
        size = 1 + (seed & 7) ** 2
        seed = seed >> 3 | (seed & 7) << 29
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def body(data: bytes) -> None:
    whole = take(COMPILED, [data], _CHUNKED)
    bare = take(COMPILED, [data], _CHUNKED, rechunk=False)
    assert (bare.taken, bare.is_done, bare.is_bad) == (whole.taken, whole.is_done, whole.is_bad)
    for pieces in (pieces_of(data), [data[i : i + 1] for i in range(len(data))]):
        part = take(COMPILED, pieces, _CHUNKED, rechunk=False)
        assert (part.is_done, part.is_bad) == (whole.is_done, whole.is_bad)
        if whole.is_done:
            assert (part.taken, part.sent) == (whole.taken, bare.sent)
    _check_sent(take(COMPILED, pieces_of(data), _CHUNKED), bare.sent)
    _check_sent(whole, bare.sent)
    _check_came(data[: whole.taken], whole, bare.sent)


def _check_sent(outcome: Content, content: bytes) -> None:
    """Both oracles find the end where there is one, with the content before it, and no end where there is none."""
    stream = requests_in(_HEAD + outcome.sent + (NEXT if outcome.is_done else b""))
    assert len(stream.messages) == 2 * outcome.is_done
    if outcome.is_done:
        assert stream.messages[0].content == content
    else:
        assert stream.is_cut


def _check_came(data: bytes, whole: Content, content: bytes) -> None:
    """h11 takes all that is taken here, and reads the same in it."""
    reader = h11.Connection(h11.SERVER)
    read = b""
    try:
        reader.receive_data(_HEAD + data)
        reader.next_event()
        while isinstance(event := reader.next_event(), h11.Data):
            read += bytes(event.data)
    except h11.RemoteProtocolError:
        assert not whole.is_done or _SPACED.search(data)
        return
    if whole.is_done:
        assert isinstance(event, h11.EndOfMessage)
        assert read == content
        assert reader.trailing_data[0] == b""
    elif not whole.is_bad:
        assert event is h11.NEED_DATA
