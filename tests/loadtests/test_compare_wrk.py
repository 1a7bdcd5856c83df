"""What wrk's output means, and which of it fails a measurement."""

from dataclasses import replace

import pytest

from loadtests.compare.processes import CompareError
from loadtests.compare.upstream import LARGE, REPLIES, SMALL, Reply, loopback
from loadtests.compare.verify import WrongReply, check
from loadtests.compare.wrk import Load, command, parse, require_right

OUTPUT = """Running 2s test @ http://127.0.0.1:7301/small
  1 threads and 64 connections
Requests/sec:  61862.57
result requests=124054 bytes=20592964 duration_us=2005372 connect=0 read=0 write=0 status=0 timeout=0 wrong=0
"""
LOAD = Load(port=8080, reply=SMALL, headers=("Accept: */*",), connections=16)


def test_the_result_line_is_read() -> None:
    counts = parse(OUTPUT)
    assert (counts.requests, counts.bytes, counts.wrong) == (124054, 20592964, 0)
    assert counts.rate == pytest.approx(61860.84, abs=0.01)
    require_right(counts, LOAD)


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:7101 Connection refused\n"])
def test_wrk_that_did_not_run_says_why(output: str) -> None:
    with pytest.raises(CompareError, match="Connection refused" if output else "it wrote nothing"):
        parse(output)


@pytest.mark.parametrize("kind", ["connect", "read", "write", "status", "timeout", "wrong"])
def test_a_single_error_fails_the_measurement(kind: str) -> None:
    counts = parse(OUTPUT.replace(f"{kind}=0", f"{kind}=1"))
    with pytest.raises(WrongReply, match=f"1 {kind}"):
        require_right(counts, LOAD)


def test_no_reply_at_all_fails_the_measurement() -> None:
    with pytest.raises(WrongReply, match="not one request"):
        require_right(replace(parse(OUTPUT), requests=0), LOAD)


def test_the_command_asks_for_the_reply_and_its_size() -> None:
    words = " ".join(command(LOAD, 4))
    assert "-c16 -d4 " in words
    assert "-H Accept: */* http://127.0.0.1:8080/small -- 100" in words


@pytest.mark.parametrize("reply", REPLIES, ids=lambda reply: reply.path)
def test_a_whole_reply_is_right(reply: Reply) -> None:
    assert check(reply.message, reply) == len(reply.message)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (SMALL.message.replace(b"200 OK", b"503 No"), "503"),
        (SMALL.message.replace(b"Content-Length: 100", b"Content-Length: 99"), "Content-Length: 100"),
        (SMALL.message[:-1], "99 bytes"),
        (SMALL.message + b"x", "101 bytes"),
        (SMALL.message[:-1] + b"X", "are not the 100"),
    ],
)
def test_a_reply_that_is_not_quite_right_is_wrong(data: bytes, why: str) -> None:
    with pytest.raises(WrongReply, match=why):
        check(data, SMALL)


def test_replies_are_told_apart_by_a_letter_and_have_their_size() -> None:
    assert len({reply.path[1] for reply in REPLIES}) == len(REPLIES)
    assert [len(reply.body) for reply in REPLIES] == [reply.size for reply in REPLIES]
    assert LARGE.body[36:72] == LARGE.body[:36]


def test_loopback_has_an_address_for_each_endpoint() -> None:
    found = {loopback(i, 80) for i in range(200_000)}
    assert len(found) == 200_000
    assert all(0 <= int(part) <= 255 for address in found for part in address.partition(":")[0].split("."))
