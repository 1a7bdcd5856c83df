"""Heads: what is forwarded of them and what is refused, however the bytes come, compiled and interpreted."""

from __future__ import annotations

import h11
import pytest
from fairlead.errors import Kind
from hypothesis import given, settings
from hypothesis import strategies as st
from modes import BOTH, COMPILED, INTERPRETED, IS_BUILT, Mode

from wire.cases import REPLIES, REQUESTS, Case, get, head, ok
from wire.heads import FRAMING_FIELDS, HOP_BY_HOP, fields_of, replies, requests
from wire.reading import (
    NEXT,
    Refused,
    Reply,
    Request,
    read_reply,
    read_request,
    reply_in_every_way,
    request_in_every_way,
)

both = pytest.mark.parametrize("mode", BOTH)
thorough = settings(derandomize=True, deadline=None, max_examples=400)


@both
@pytest.mark.parametrize("case", REQUESTS.values(), ids=REQUESTS)
def test_a_request_is_forwarded_or_refused(mode: Mode, case: Case) -> None:
    outcome = request_in_every_way(mode, case.given)
    _check(outcome, case)


@both
@pytest.mark.parametrize("case", REPLIES.values(), ids=REPLIES)
def test_a_reply_is_forwarded_or_refused(mode: Mode, case: Case) -> None:
    outcome = reply_in_every_way(mode, case.given, case.is_head)
    _check(outcome, case)


def _check(outcome: Request | Reply | Refused | None, case: Case) -> None:
    if case.kind is not None:
        assert isinstance(outcome, Refused), outcome
        assert outcome.kind is case.kind
        assert outcome.detail
        return
    assert isinstance(outcome, Request | Reply), outcome
    assert outcome.sent == (case.sent or case.given)
    assert {name: getattr(outcome, name) for name in case.facts} == case.facts


@both
@pytest.mark.parametrize("case", REQUESTS.values(), ids=REQUESTS)
def test_a_request_that_has_not_ended_is_waited_for(mode: Mode, case: Case) -> None:
    if case.kind is None:
        assert read_request(mode, case.given[:-1]) is None


@both
def test_a_head_may_be_as_large_as_the_limit_and_no_larger(mode: Mode) -> None:
    data = get("A: " + "b" * 100)
    assert isinstance(request_in_every_way(mode, data, max_head_bytes=len(data)), Request)
    refused = request_in_every_way(mode, data, max_head_bytes=len(data) - 1)
    assert isinstance(refused, Refused)
    assert refused.kind is Kind.HEAD_TOO_LARGE
    assert read_request(mode, data[:-1], max_head_bytes=len(data) - 1) is None


@both
def test_empty_lines_before_a_head_count_as_part_of_it(mode: Mode) -> None:
    data = b"\r\n\r\n" + get()
    assert isinstance(request_in_every_way(mode, data, max_head_bytes=len(data)), Request)
    assert isinstance(request_in_every_way(mode, data, max_head_bytes=len(data) - 1), Refused)


@both
def test_what_is_wrong_behind_the_limit_is_not_looked_at(mode: Mode) -> None:
    data = get("A: " + "b" * 100, "C: \x00")
    refused = request_in_every_way(mode, data, max_head_bytes=80)
    assert isinstance(refused, Refused)
    assert refused.kind is Kind.HEAD_TOO_LARGE


@both
def test_a_target_may_be_as_long_as_the_limit_and_no_longer(mode: Mode) -> None:
    assert isinstance(request_in_every_way(mode, head("GET /234 HTTP/1.1", "Host: a"), max_line_bytes=17), Request)
    refused = request_in_every_way(mode, head("GET /2345 HTTP/1.1", "Host: a"), max_line_bytes=17)
    assert isinstance(refused, Refused)
    assert refused.kind is Kind.URI_TOO_LONG


@both
def test_a_target_of_8000_bytes_is_allowed_by_default(mode: Mode) -> None:
    assert isinstance(read_request(mode, head(f"GET /{'a' * 8000} HTTP/1.1", "Host: a")), Request)


@both
def test_there_may_be_as_many_fields_as_the_limit_and_no_more(mode: Mode) -> None:
    assert isinstance(request_in_every_way(mode, get("A: b", "C: d"), max_fields=3), Request)
    refused = request_in_every_way(mode, get("A: b", "C: d"), max_fields=2)
    assert isinstance(refused, Refused)
    assert refused.kind is Kind.HEAD_TOO_LARGE


@both
def test_a_limit_of_0_is_none(mode: Mode) -> None:
    data = head(f"GET /{'a' * 40_000} HTTP/1.1", "Host: a", *["A: b"] * 200)
    assert isinstance(read_request(mode, data, max_head_bytes=0, max_fields=0, max_line_bytes=0), Request)


@both
def test_the_limits_hold_for_replies(mode: Mode) -> None:
    data = ok("A: b", "Content-Length: 0")
    assert isinstance(reply_in_every_way(mode, data, max_head_bytes=len(data), max_fields=2), Reply)
    for refused in (
        reply_in_every_way(mode, data, max_head_bytes=len(data) - 1),
        reply_in_every_way(mode, data, max_fields=1),
    ):
        assert isinstance(refused, Refused)
        assert refused.kind is Kind.BAD_REPLY


@both
def test_a_head_leaves_nothing_for_the_next_one_parsed_into_the_same_object(mode: Mode) -> None:
    http1 = mode["wire.http1"]
    request, limits = http1.RequestHead(), mode["wire.fields"].HeadLimits()
    hop_by_hop = ("Connection: x, upgrade, close, te", "Upgrade: y", "TE: trailers")
    claims = ("X-Forwarded-For: z", "X-Request-Id: i", "X-Forwarded-Proto: https", "X-Forwarded-Host: h")
    first = head("POST http://b/ HTTP/1.0", "Host: a", *hop_by_hop, "Content-Length: 5", *claims)
    request.is_trusted = True
    assert http1.parse_request(first, 0, request, limits) == len(first)
    assert request.forwarded_proto == b"https"
    assert http1.parse_request(NEXT, 0, request, limits) == len(NEXT)
    assert (request.forwarded_proto, request.forwarded_host) == (None, None)
    fresh = read_request(mode, NEXT)
    assert isinstance(fresh, Request)
    assert b"".join(request.parts) + b"\r\n" == fresh.sent
    for name in Request.__dataclass_fields__:
        if name not in ("end", "sent"):
            assert getattr(request, name) == getattr(fresh, name), name


@both
def test_pipelined_requests_are_parsed_one_after_the_other(mode: Mode) -> None:
    data = get("A:b") + NEXT + get()
    ends = []
    end = 0
    while end < len(data):
        outcome = read_request(mode, data, end)
        assert isinstance(outcome, Request)
        end = outcome.end
        ends.append(outcome.host)
    assert ends == [b"a.example", b"next", b"a.example"]


@pytest.mark.parametrize("mode", [COMPILED] if IS_BUILT else [])
def test_the_compiled_parser_takes_bytes_only(mode: Mode) -> None:
    http1 = mode["wire.http1"]
    limits = mode["wire.fields"].HeadLimits()
    for wrong in (None, bytearray(NEXT), "GET"):
        with pytest.raises(TypeError):
            http1.parse_request(wrong, 0, http1.RequestHead(), limits)
    with pytest.raises((TypeError, AttributeError)):
        http1.parse_request(NEXT, 0, None, limits)
    with pytest.raises((TypeError, AttributeError)):
        http1.parse_request(NEXT, 0, http1.RequestHead(), None)


# Properties: for heads of all sorts, most of them valid and some with a byte put wrong.


@thorough
@given(requests(), st.data())
def test_what_is_said_of_a_request_does_not_depend_on_how_it_is_cut(data: bytes, draw: st.DataObject) -> None:
    size = draw.draw(st.integers(0, len(data)))
    whole = read_request(COMPILED, data)
    part = read_request(COMPILED, data[:size])
    assert part is None or part == whole
    assert whole is None or read_request(COMPILED, data + NEXT) == whole


@thorough
@given(replies(), st.booleans(), st.data())
def test_what_is_said_of_a_reply_does_not_depend_on_how_it_is_cut(
    data: bytes, is_head: bool, draw: st.DataObject
) -> None:
    size = draw.draw(st.integers(0, len(data)))
    whole = read_reply(COMPILED, data, is_head)
    part = read_reply(COMPILED, data[:size], is_head)
    assert part is None or part == whole
    assert whole is None or read_reply(COMPILED, data + NEXT, is_head) == whole


@thorough
@given(requests(), replies(), st.booleans())
def test_compiled_and_interpreted_say_the_same(request: bytes, reply: bytes, is_head: bool) -> None:
    assert read_request(COMPILED, request) == read_request(INTERPRETED, request)
    assert read_reply(COMPILED, reply, is_head) == read_reply(INTERPRETED, reply, is_head)


@thorough
@given(requests())
def test_a_forwarded_request_is_clean(data: bytes) -> None:
    outcome = read_request(COMPILED, data)
    if not isinstance(outcome, Request):
        return
    line, fields = fields_of(outcome.sent)
    assert line == outcome.method + b" " + outcome.target + b" HTTP/1.1"
    names = [name for name, _ in fields]
    assert names.count(b"host") == 1
    assert dict(fields)[b"host"] == outcome.host
    assert sum(name in FRAMING_FIELDS for name in names) == (outcome.framing != 0)
    for name, value in fields:
        assert not set(value) & set(b"\r\n\0")
        assert not name.replace(b"_", b"-").startswith((b"x-forwarded-", b"x-request-id", b"forwarded"))
        assert b"_" not in name or name.replace(b"_", b"-") not in HOP_BY_HOP | FRAMING_FIELDS
    _check_hop_by_hop(fields, outcome.upgrade)


def _check_hop_by_hop(fields: list[tuple[bytes, bytes]], upgrade: bytes) -> None:
    """None is left but what Fairlead says itself: TE: trailers, and Upgrade, named by one Connection."""
    left = [(name, value) for name, value in fields if name in HOP_BY_HOP - {b"transfer-encoding"}]
    allowed = [[], [(b"te", b"trailers")]]
    allowed += [[*before, (b"upgrade", upgrade)] for before in allowed if upgrade]
    named = [b", ".join({b"te": b"TE", b"upgrade": b"upgrade"}[name] for name, _ in option) for option in allowed]
    assert left in [[*o, (b"connection", n)] if o else [] for o, n in zip(allowed, named, strict=True)]


@thorough
@given(requests())
def test_a_forwarded_request_is_forwarded_again_as_it_is(data: bytes) -> None:
    first = read_request(COMPILED, data)
    if not isinstance(first, Request) or not first.host:
        return  # a request of HTTP/1.0 without Host gets an empty one, which is refused in HTTP/1.1
    again = read_request(COMPILED, first.sent)
    assert isinstance(again, Request)
    for name in ("sent", "method", "target", "host", "framing", "content_length", "upgrade", "expect_continue"):
        assert getattr(again, name) == getattr(first, name)


@thorough
@given(replies(), st.booleans())
def test_a_forwarded_reply_is_forwarded_again_as_it_is(data: bytes, is_head: bool) -> None:
    first = read_reply(COMPILED, data, is_head)
    if not isinstance(first, Reply):
        return
    again = read_reply(COMPILED, first.sent, is_head)
    assert isinstance(again, Reply)
    for name in ("sent", "status", "framing", "upgrade"):
        assert getattr(again, name) == getattr(first, name)
    assert first.framing != 1 or again.content_length == first.content_length
    assert first.untouched <= (first.sent == data[: first.end])


@thorough
@given(requests())
def test_h11_reads_the_same_in_what_is_forwarded(data: bytes) -> None:
    outcome = read_request(COMPILED, data)
    if not isinstance(outcome, Request):
        return
    content = b"x" * min(outcome.content_length, 5)
    if outcome.framing == 1 and outcome.content_length > 5:
        return  # its end is not reached here; a shorter length is as good an example
    body = {0: b"", 1: content, 2: b"5\r\nxxxxx\r\n0\r\n\r\n"}[outcome.framing]
    oracle = h11.Connection(h11.SERVER)
    oracle.receive_data(outcome.sent + body + NEXT)
    request = oracle.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target, request.http_version) == (outcome.method, outcome.target, b"1.1")
    assert list(request.headers) == fields_of(outcome.sent)[1]
    received = b""
    while isinstance(event := oracle.next_event(), h11.Data):
        received += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert received == (b"xxxxx" if outcome.framing == 2 else content)
    assert oracle.trailing_data[0] == NEXT


@thorough
@given(replies(), st.booleans())
def test_h11_reads_the_same_in_a_forwarded_reply(data: bytes, is_head: bool) -> None:
    outcome = read_reply(COMPILED, data, is_head)
    if not isinstance(outcome, Reply) or outcome.status == 101 or outcome.content_length > 5:
        return
    oracle = h11.Connection(h11.CLIENT)
    method = "HEAD" if is_head else "GET"
    oracle.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    oracle.send(h11.EndOfMessage())
    body = {0: b"", 1: b"x" * outcome.content_length, 2: b"5\r\nxxxxx\r\n0\r\n\r\n", 3: b"yyy"}[outcome.framing]
    oracle.receive_data(outcome.sent + body)
    reply = oracle.next_event()
    assert isinstance(reply, h11.Response | h11.InformationalResponse)
    assert reply.status_code == outcome.status
    assert list(reply.headers) == fields_of(outcome.sent)[1]
    if isinstance(reply, h11.InformationalResponse):
        return
    if outcome.framing == 3:
        oracle.receive_data(b"")
    received = b""
    while isinstance(event := oracle.next_event(), h11.Data):
        received += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    assert received == {0: b"", 1: body, 2: b"xxxxx", 3: b"yyy"}[outcome.framing]
