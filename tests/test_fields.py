"""Fields of settings and their text form, driven by dataclasses of the test's own."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import pytest
from fairlead.errors import ConfigError
from fairlead.fields import build, members, parse_member, read_group, to_plain
from fairlead.model import AUTO
from fairlead.yaml_nodes import Document
from hypothesis import given
from hypothesis import strategies as st


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """Inside."""

    wait_s: float = field(default=1.5, metadata={"doc": "how long"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Everything that a field can be."""

    name: str
    must: str = field(metadata={"doc": "needed"})
    wait_s: float = 2.0
    share: float = field(default=0.5, metadata={"min": 0, "max": 1})
    count: int = field(default=3, metadata={"min": 1, "max": 9})
    room_bytes: int = 1024
    many: int = field(default=AUTO, metadata={"auto": True})
    large_bytes: int = field(default=0, metadata={"floor": 64, "max": 1 << 40})
    is_on: bool = False
    colour: Colour = Colour.RED
    shape: Literal["round", "square"] = "round"
    others: tuple[Inner, ...] = ()
    inner: Inner = field(default_factory=Inner)
    renamed: str = field(default="", metadata={"key": "other"})


BY_KEY = {member.key: member for member in members(Group)}


def read(text: str) -> Group:
    document = Document("f")
    group = build(Group, read_group(document.root(text), Group), name="it")
    document.check()
    assert group is not None
    return group


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(text)
    return refused.value.problems


def test_keys_are_names_without_the_unit_of_seconds() -> None:
    expected = ["must", "wait", "share", "count", "room_bytes", "many", "large_bytes"]
    expected += ["is_on", "colour", "shape", "others", "inner", "other"]
    assert list(BY_KEY) == expected


def test_kinds() -> None:
    kinds = [member.kind for member in members(Group)]
    numbers = ["duration", "number", "whole number", "size", "whole number or auto", "size"]
    assert kinds == [
        "text", *numbers, "true or false", "red or blue", "round or square", "list", "mapping", "text",
    ]  # fmt: skip


def test_what_is_not_given_has_its_default() -> None:
    assert read("must: x") == Group(name="it", must="x")


def test_everything_given() -> None:
    text = """
        must: "yes"
        wait: 1m30s
        share: 0.25
        count: 9
        room_bytes: 32KiB
        many: 5
        large_bytes: 8GiB
        is_on: on
        colour: blue
        shape: square
        inner: {wait: 250ms}
        other: 007
    """
    assert read(text) == Group(
        name="it",
        must="yes",
        wait_s=90.0,
        share=0.25,
        count=9,
        room_bytes=32768,
        many=5,
        large_bytes=8 << 30,
        is_on=True,
        colour=Colour.BLUE,
        shape="square",
        inner=Inner(wait_s=0.25),
        renamed="007",
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("5", 5.0),
        ("2.5", 2.5),
        (".5", 0.5),
        ("1e-3", 0.001),
        ("250ms", 0.25),
        ("1.5ms", 0.0015),
        ("5s", 5.0),
        ("1m", 60.0),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("1h1m1.5s", 3661.5),
        ("1s500ms", 1.5),
        ("0s", 0.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_member(text, BY_KEY["wait"]) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "5 s", "1m 30s", "30s1m", "1d", "5S", "1:30", "nan", "inf", "٣s", "9" * 50 + "h"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="must be a duration: seconds, or such as 250ms, 5s, 1m30s or 1h"):
        parse_member(text, BY_KEY["wait"])


@pytest.mark.parametrize("text", ["-1", "9000h", "1e999"])
def test_durations_have_bounds(text: str) -> None:
    with pytest.raises(ValueError, match="must be from 0 to 31536000"):
        parse_member(text, BY_KEY["wait"])


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("100", 100), ("100B", 100), ("32KiB", 32768), ("1 MiB", 1 << 20), ("1GiB", 1 << 30)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_member(text, BY_KEY["room_bytes"]) == size


@pytest.mark.parametrize("text", ["", "1KB", "1kib", "1.5KiB", "KiB", "-1", "1e3"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="must be a size: bytes, or such as 32KiB, 1MiB or 1GiB"):
        parse_member(text, BY_KEY["room_bytes"])


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("room_bytes: 4GiB", "room_bytes: is 4.29497e+09, and must be from 0 to 2147483647"),
        ("large_bytes: 63", "large_bytes: is 63, too little for anything; set at least 64, or 0 for no limit"),
        ("large_bytes: auto", "large_bytes: is 'auto', and must be a size"),
        ("many: some", "many: is 'some', and must be a whole number"),
        ("many: -1", "many: is -1, and must be from 0 to"),
        ("count: 0", "count: is 0, and must be from 1 to 9"),
        ("count: 10", "count: is 10, and must be from 1 to 9"),
        ("count: 1.0", "count: is '1.0', and must be a whole number"),
        ("count: many", "count: is 'many', and must be a whole number"),
        ("share: 1.1", "share: is 1.1, and must be from 0 to 1"),
        ("share: half", "share: is 'half', and must be a number"),
        ("is_on: maybe", "is_on: is 'maybe', and must be true or false"),
        ("colour: green", "colour: is 'green', and must be red or blue"),
        ("shape: flat", "shape: is 'flat', and must be round or square"),
        ("inner: {wiat: 1}", "inner.wiat: is unknown; did you mean 'wait'?"),
        ("inner: {wait: x}", "inner.wait: is 'x', and must be a duration: seconds, or such as 250ms, 5s, 1m30s or 1h"),
        ("inner: 5", "inner: is '5', and must be a mapping (KEY: VALUE) with any of wait"),
        ("wait_s: 5", "wait_s: is unknown; did you mean 'wait'?"),
        ("name: x", "name: is unknown; known are "),
        ("wait: ", "wait: is empty, and must be a text or a number"),
        ("wait: [1]", "wait: is a list, and must be a text or a number"),
    ],
)
def test_what_is_wrong_is_said_at_its_place(line: str, problem: str) -> None:
    found = problems(f"must: x\n{line}")
    assert len(found) == 1
    assert found[0].startswith(f"f:2: {problem}")


def test_what_must_be_given() -> None:
    assert problems("wait: 1") == ["f:1: configuration: has no 'must'; add must: ..."]
    assert problems("") == ["f:1: configuration: has no 'must'; add must: ..."]


def test_a_section_whose_lines_are_all_comments_is_none() -> None:
    assert read("must: x\ninner:\n  # wait: 5s\n").inner == Inner()


def test_a_reader_of_its_own_takes_the_place_of_the_general_one() -> None:
    document = Document("f")
    found = read_group(document.root("{must: x, wait: 3}"), Group, {"wait_s": lambda value: value.line * 100.0})
    assert found == {"must": "x", "wait_s": 100.0}


def test_the_plain_form_has_the_keys_and_every_default() -> None:
    assert to_plain(Group(name="it", must="x", others=(Inner(),))) == {
        "must": "x",
        "wait": 2.0,
        "share": 0.5,
        "count": 3,
        "room_bytes": 1024,
        "many": "auto",
        "large_bytes": 0,
        "is_on": False,
        "colour": "red",
        "shape": "round",
        "others": [{"wait": 1.5}],
        "inner": {"wait": 1.5},
        "other": "",
    }


def test_auto_and_a_floor_leave_the_other_values() -> None:
    assert parse_member("auto", BY_KEY["many"]) == AUTO
    assert parse_member("0", BY_KEY["many"]) == parse_member("0", BY_KEY["large_bytes"]) == 0
    assert parse_member("64", BY_KEY["large_bytes"]) == 64


@given(st.text(alphabet=st.sampled_from("0123456789hmsKiBMG.-e+ "), max_size=30), st.sampled_from(sorted(BY_KEY)))
def test_any_text_is_a_value_or_a_value_error(text: str, key: str) -> None:
    try:
        parse_member(text, BY_KEY[key])
    except ValueError as error:
        assert str(error).startswith("is ")


@given(st.integers(0, 10**7))
def test_a_duration_survives_its_own_text(ms: int) -> None:
    seconds = ms / 1000
    assert parse_member(repr(seconds), BY_KEY["wait"]) == seconds
    assert parse_member(f"{ms}ms", BY_KEY["wait"]) == seconds
