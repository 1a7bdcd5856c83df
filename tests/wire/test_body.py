"""Bodies: where they end and what is sent on of them, however the bytes come, compiled and interpreted."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modes import BOTH, COMPILED, INTERPRETED, Mode

from wire.cases import BODIES
from wire.reading import NEXT, Content, dechunk, take

LENGTH, CHUNKED, UNTIL_CLOSE = 1, 2, 3
both = pytest.mark.parametrize("mode", BOTH)
thorough = settings(derandomize=True, deadline=None, max_examples=400)


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@both
@pytest.mark.parametrize(("data", "sent"), BODIES.values(), ids=BODIES)
def test_a_chunked_body_is_sent_on_or_cut_off(mode: Mode, data: bytes, sent: bytes | None) -> None:
    whole = take(mode, [data], CHUNKED)
    if sent is None:
        _check_bad(mode, data, whole)
        return
    assert whole == Content(sent, len(data), is_done=True, is_bad=False, detail="")
    assert take(mode, [data + NEXT], CHUNKED) == whole
    cut = take(mode, bytewise(data), CHUNKED)
    assert (cut.taken, cut.is_done, cut.is_bad) == (len(data), True, False)
    assert dechunk(cut.sent) == dechunk(sent)


def _check_bad(mode: Mode, data: bytes, whole: Content) -> None:
    """It is found bad in every cut, and never ended for its receiver."""
    for content in (whole, take(mode, bytewise(data), CHUNKED), take(mode, [data + NEXT], CHUNKED)):
        assert content.is_bad
        assert content.detail
        assert not content.is_done
        assert dechunk(content.sent)[1] is None


@both
@pytest.mark.parametrize(("data", "sent"), BODIES.values(), ids=BODIES)
def test_a_chunked_body_for_a_client_of_http_1_0_is_its_bare_content(
    mode: Mode, data: bytes, sent: bytes | None
) -> None:
    if sent is not None:
        for pieces in ([data], bytewise(data)):
            content = take(mode, pieces, CHUNKED, rechunk=False)
            assert content.is_done
            assert content.sent == dechunk(sent)[0]


@both
def test_a_chunked_body_that_stops_is_neither_done_nor_bad(mode: Mode) -> None:
    data = b"5;a\r\nhello\r\n0\r\nX: y\r\n\r\n"
    for size in range(len(data)):
        content = take(mode, [data[:size]], CHUNKED)
        assert not content.is_done
        assert not content.is_bad
        assert dechunk(content.sent)[1] is None


@both
def test_a_bad_body_takes_no_more(mode: Mode) -> None:
    body = mode["wire.body"].Body()
    body.begin(CHUNKED, 0, True)
    out: list[bytes] = []
    body.take(b"5\r\nhelloX", 0, out)
    assert body.is_bad
    assert body.take(b"\r\n0\r\n\r\n", 0, out) == 0
    assert (body.is_done, out) == (False, [])


@both
def test_extensions_of_a_body_are_limited_in_sum(mode: Mode) -> None:
    chunk = b"1;" + b"a" * 1023 + b"\r\nx\r\n"
    for pieces in ([chunk * 4 + b"0\r\n\r\n"], bytewise(chunk * 4 + b"0\r\n\r\n")):
        assert take(mode, pieces, CHUNKED).is_done
    for pieces in ([chunk * 4 + b"0;\r\n\r\n"], bytewise(chunk * 4 + b"0;\r\n\r\n"), [chunk * 5]):
        assert take(mode, pieces, CHUNKED).is_bad


@both
def test_an_extension_without_end_is_not_kept(mode: Mode) -> None:
    assert take(mode, [b"5;"] + [b"a" * 512] * 10, CHUNKED).detail == "more chunk extensions than the limit"


@both
def test_trailers_are_limited(mode: Mode) -> None:
    line = b"X: " + b"y" * 1019 + b"\r\n"
    last = b"X: " + b"y" * (1019 - 2) + b"\r\n"
    assert take(mode, [b"0\r\n" + line * 7 + last + b"\r\n"], CHUNKED).is_done
    for pieces in ([b"0\r\n" + line * 8 + b"\r\n"], bytewise(b"0\r\n" + line * 8 + b"\r\n"), [b"0\r\n", b"a" * 8193]):
        assert take(mode, pieces, CHUNKED).detail == "more trailers than the limit"


@both
def test_a_body_with_a_length_ends_there(mode: Mode) -> None:
    for pieces in ([b"hello" + NEXT], [b"he", b"llo" + NEXT], bytewise(b"hello")):
        assert take(mode, pieces, LENGTH, 5) == Content(b"hello", 5, is_done=True, is_bad=False, detail="")
    assert not take(mode, [b"hell"], LENGTH, 5).is_done


@both
def test_a_body_is_taken_from_the_middle_of_what_was_read(mode: Mode) -> None:
    for framing, data in ((LENGTH, b"hello"), (CHUNKED, b"5\r\nhello\r\n0\r\n\r\n")):
        body = mode["wire.body"].Body()
        body.begin(framing, 5, False)
        out: list[bytes] = []
        assert body.take(b"head" + data + NEXT, 4, out) == 4 + len(data)
        assert (b"".join(out), body.is_done) == (b"hello", True)


@both
@pytest.mark.parametrize(("framing", "length"), [(0, 0), (LENGTH, 0)])
def test_a_body_without_content_takes_nothing(mode: Mode, framing: int, length: int) -> None:
    body = mode["wire.body"].Body()
    body.begin(framing, length, True)
    out: list[bytes] = []
    assert body.is_done
    assert (body.take(NEXT, 3, out), out) == (3, [])
    assert body.end()


@both
def test_a_body_until_close_ends_with_it(mode: Mode) -> None:
    for rechunk, sent in ((False, b"hello"), (True, b"5\r\nhello\r\n")):
        body = mode["wire.body"].Body()
        body.begin(UNTIL_CLOSE, 0, rechunk)
        out: list[bytes] = []
        assert body.take(b"..hello", 2, out) == 7
        assert not body.is_done
        assert body.end()
        assert (body.is_done, b"".join(out)) == (True, sent)


@both
@pytest.mark.parametrize("framing", [LENGTH, CHUNKED])
def test_a_close_does_not_end_a_body_that_has_an_end(mode: Mode, framing: int) -> None:
    body = mode["wire.body"].Body()
    body.begin(framing, 5, True)
    body.take(b"1\r\nx\r\n"[:4], 0, [])
    assert not body.end()
    assert not body.is_done


@both
def test_a_body_leaves_nothing_for_the_next(mode: Mode) -> None:
    body = mode["wire.body"].Body()
    for bad in (b"5;aaa\r\nhelloX", b"0\r\nX: y\r\nZ", b"4;aa"):
        body.begin(CHUNKED, 0, True)
        body.take(bad, 0, [])
        out: list[bytes] = []
        body.begin(CHUNKED, 0, True)
        assert body.take(b"1\r\nx\r\n0\r\n\r\n", 0, out) == 11
        assert (b"".join(out), body.is_done, body.is_bad) == (b"1\r\nx\r\n0\r\n\r\n", True, False)


@both
def test_large_chunks_pass_through_in_pieces(mode: Mode) -> None:
    data = b"186a0\r\n" + b"x" * 100_000 + b"\r\n0\r\n\r\n"
    content = take(mode, [data[i : i + 4096] for i in range(0, len(data), 4096)], CHUNKED)
    assert content.is_done
    assert dechunk(content.sent) == (b"x" * 100_000, b"")


# Properties.


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """The data in pieces."""
    edges = sorted({0, len(data), *(i % (len(data) + 1) for i in at)})
    return [data[a:b] for a, b in pairwise(edges)]


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A valid chunked body, and its content."""
    pieces = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    extension = st.sampled_from((b"", b"", b";a", b' ;a="\xff\\"";b=c'))
    data = b""
    for piece in pieces:
        zeros = b"0" * draw(st.integers(0, 3))
        data += zeros + draw(st.sampled_from((b"%x", b"%X"))) % len(piece) + draw(extension) + b"\r\n" + piece + b"\r\n"
    trailers = draw(st.lists(st.sampled_from((b"X: y\r\n", b"Cookie:z\r\n", b"A:\tb\xff \r\n")), max_size=3))
    return data + b"0" + draw(extension) + b"\r\n" + b"".join(trailers) + b"\r\n", b"".join(pieces)


_CUTS = st.lists(st.integers(0, 1000), max_size=8)


@thorough
@given(chunked(), _CUTS, st.booleans())
def test_a_chunked_body_has_the_same_content_in_every_cut(
    body: tuple[bytes, bytes], at: list[int], rechunk: bool
) -> None:
    data, content = body
    taken = take(COMPILED, cut(data + NEXT, at), CHUNKED, rechunk=rechunk)
    assert (taken.is_done, taken.taken) == (True, len(data))
    if not rechunk:
        assert taken.sent == content
        return
    assert dechunk(taken.sent) == dechunk(take(COMPILED, [data], CHUNKED).sent)
    assert dechunk(taken.sent)[0] == content
    again = take(COMPILED, [taken.sent], CHUNKED)
    assert (again.is_done, dechunk(again.sent)) == (True, dechunk(taken.sent))


@thorough
@given(chunked(), st.integers(0, 1000), st.sampled_from([b"\r", b"\n", b"\0", b" ", b";", b"0", b"f", b"\xff"]), _CUTS)
def test_a_broken_body_is_judged_the_same_in_every_cut_and_mode(
    body: tuple[bytes, bytes], place: int, byte: bytes, at: list[int]
) -> None:
    data, _ = body
    place %= len(data)
    data = data[:place] + byte + data[place:]
    whole = take(COMPILED, [data], CHUNKED)
    assert take(INTERPRETED, [data], CHUNKED) == whole
    pieces = cut(data, at)
    part = take(COMPILED, pieces, CHUNKED)
    assert take(INTERPRETED, pieces, CHUNKED) == part
    assert (part.is_done, part.is_bad) == (whole.is_done, whole.is_bad)
    if whole.is_done:
        assert part.taken == whole.taken
        assert dechunk(part.sent) == dechunk(whole.sent)


@thorough
@given(st.binary(max_size=60), _CUTS)
def test_bodies_with_a_length_and_until_close_pass_as_they_are(data: bytes, at: list[int]) -> None:
    for mode in (COMPILED, INTERPRETED):
        taken = take(mode, cut(data + NEXT, at), LENGTH, len(data), rechunk=False)
        assert (taken.sent, taken.taken, taken.is_done) == (data, len(data), True) if data else taken.is_done
        taken = take(mode, cut(data, at), UNTIL_CLOSE, rechunk=False)
        assert (taken.sent, taken.is_done) == (data, False)
        taken = take(mode, cut(data, at), UNTIL_CLOSE)
        assert dechunk(taken.sent) == (data, None)
