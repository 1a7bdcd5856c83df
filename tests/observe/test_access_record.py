"""The line of an exchange: whatever a client sends, it is one line of printable ASCII, and JSON when it should be."""

import json
import re
import select
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from fairlead.dataplane.endpoint import TCP
from fairlead.observe.access_record import FIELDS, LINES, Record
from hypothesis import example, given
from hypothesis import strategies as st

GET: Record = (
    1_700_000_000.25,
    "web",
    "shop",
    b"10.0.0.9",
    b"GET",
    b"/a?b=c",
    b"example.com",
    200,
    "10.0.0.1:80",
    2,
    0,
    1024,
    1234,
    1001,
    "",
    b"id-1",
    (),
)

sizes = st.integers(min_value=0, max_value=1 << 62)
names = st.text(max_size=300)
hostile = st.one_of(st.binary(max_size=300), st.binary(min_size=1, max_size=20).map(lambda piece: piece * 500))
BYTES = b"\xff" * 5000
SIZE = 1 << 62
LONGEST: Record = (
    0.0, "\0" * 300, "\U0001f600" * 300, BYTES, BYTES, BYTES, BYTES, 1, '"' * 300, SIZE, SIZE, SIZE, SIZE, SIZE,
    "\\" * 300, b'"' * 999, (("\0" * 300, "\\" * 300, SIZE),) * 9,
)  # fmt: skip

times = st.floats(min_value=0, max_value=4e9)
records = st.tuples(
    times, names, names, hostile, hostile, hostile, hostile, st.integers(min_value=1, max_value=999),
    names, sizes, sizes, sizes, sizes, sizes, names, hostile,
    st.lists(st.tuples(names, names | st.just("status-503"), sizes), max_size=9).map(tuple),
)  # fmt: skip


def replaced(record: Record, **values: object) -> Record:
    names = [name for name, _ in FIELDS]
    return cast(Record, tuple(values.get(name, old) for name, old in zip(names, record, strict=True)))


def test_json() -> None:
    assert LINES["json"](GET) == (
        b'{"time":"2023-11-14T22:13:20.250000Z","listener":"web","service":"shop","client":"10.0.0.9","method":"GET",'
        b'"target":"/a?b=c","host":"example.com","status":200,"endpoint":"10.0.0.1:80","attempts":2,'
        b'"request_bytes":0,"reply_bytes":1024,"duration_ms":1.234,"ttfb_ms":1.001,"reason":"","request_id":"id-1"}\n'
    )


def test_text() -> None:
    assert LINES["text"](GET) == (
        b"2023-11-14T22:13:20.250000Z 10.0.0.9 web shop 10.0.0.1:80 GET example.com /a?b=c 200 1.234ms ttfb=1.001ms"
        b" in=0 out=1024 attempts=2 reason=- id=id-1 tried=-\n"
    )


TRIED = (("10.0.0.2:80", "connect-failed", 1234), ("unix:/run/a b.sock", "status-503", 5))


def test_attempts_that_failed_are_listed() -> None:
    record = replaced(GET, tried=TRIED)
    assert json.loads(LINES["json"](record))["tried"] == [
        {"endpoint": "10.0.0.2:80", "error": "connect-failed", "ms": 1.234},
        {"endpoint": "unix:/run/a b.sock", "status": 503, "ms": 0.005},
    ]
    line = LINES["text"](record)
    assert line.endswith(b" tried=10.0.0.2:80=connect-failed/1.234ms,unix:/run/a\\u0020b.sock=status-503/0.005ms\n")


def test_of_many_attempts_the_first_are_listed_whole() -> None:
    tried = json.loads(LINES["json"](replaced(GET, tried=TRIED * 30)))["tried"]
    assert 8 < len(tried) < 20
    assert [each["endpoint"] for each in tried] == [address for address, _, _ in TRIED * 30][: len(tried)]


def test_a_tcp_session_has_no_status() -> None:
    session = replaced(GET, method=b"", target=b"", host=b"", status=TCP, request_id=b"")
    assert json.loads(LINES["json"](session))["status"] is None
    assert b" 10.0.0.1:80 - - - - 1.234ms " in LINES["text"](session)


@given(records)
@example(
    (
        0.0,
        "\0" * 300,
        "\U0001f600" * 300,
        *[b"\xff" * 5000] * 4,
        1,
        '"' * 300,
        *[1 << 62] * 5,
        "\\" * 300,
        b'"' * 999,
        (),
    )
)
def test_any_record_is_one_json_line_that_a_pipe_takes_whole(record: Record) -> None:
    line = LINES["json"](record)
    assert_one_line(line)
    names = [name for name, _ in FIELDS]
    assert [*json.loads(line)] == (names if record[-1] else names[:-1])


@given(records)
@example(
    (
        0.0,
        "\0" * 300,
        "\U0001f600" * 300,
        *[b"\xff" * 5000] * 4,
        1,
        '"' * 300,
        *[1 << 62] * 5,
        "\\" * 300,
        b'"' * 999,
        (),
    )
)
def test_any_record_is_one_text_line_of_as_many_words(record: Record) -> None:
    line = LINES["text"](record)
    assert_one_line(line)
    assert len(line.split()) == len(line.split(b" ")) == len(FIELDS)


def assert_one_line(line: bytes) -> None:
    assert len(line) <= select.PIPE_BUF
    assert line.endswith(b"\n")
    assert all(32 <= byte < 127 for byte in line[:-1])


@given(st.binary(max_size=340))
def test_nothing_of_a_target_of_usual_size_is_lost(target: bytes) -> None:
    line = LINES["json"](replaced(GET, target=target))
    assert json.loads(line)["target"].encode("latin-1") == target


def test_an_id_that_a_trusted_proxy_may_give_is_there_whole() -> None:
    longest = b"aZ09-._~:/+=@".ljust(128, b"x")
    assert json.loads(LINES["json"](replaced(GET, request_id=longest)))["request_id"] == longest.decode()


def test_a_long_target_is_cut_and_shows_it() -> None:
    target = json.loads(LINES["json"](replaced(GET, target=b"/" + b"x" * 5000)))["target"]
    assert target == "/" + "x" * 2042 + "..."


def test_an_escape_is_never_cut_in_two() -> None:
    for length in range(300, 420):
        line = LINES["json"](replaced(GET, target=b"\xff" * length, host=b"\xff" * length))
        assert json.loads(line)["target"].rstrip(".").strip("\xff") == ""


@given(times)
def test_the_time_is_utc_in_microseconds(at: float) -> None:
    text = json.loads(LINES["json"](replaced(GET, time=at)))["time"]
    assert abs((datetime.fromisoformat(text) - datetime.fromtimestamp(at, UTC)).total_seconds()) <= 1e-6


@pytest.mark.parametrize(
    ("at", "text"), [(0.9999996, "1970-01-01T00:00:01.000000Z"), (59.5, "1970-01-01T00:00:59.500000Z")]
)
def test_a_time_that_rounds_up_carries_into_the_seconds(at: float, text: str) -> None:
    assert json.loads(LINES["json"](replaced(GET, time=at)))["time"] == text


def test_the_operations_guide_describes_every_field() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    table = guide.partition("| field |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE) == [name for name, _ in FIELDS]
