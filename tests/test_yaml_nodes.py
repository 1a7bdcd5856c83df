"""YAML as values that know their place: what is wrong with a text, and where."""

from pathlib import Path

import pytest
from fairlead.errors import ConfigError
from fairlead.yaml_nodes import Document, Value, quoted, read_text, suggest
from hypothesis import given
from hypothesis import strategies as st


def read(text: str) -> Value:
    return Document("f").root(text)


def plain(value: Value) -> object:
    """The whole of a value, as far as it can be read."""
    if value.is_mapping:
        return {key: plain(inner) for key, inner in value.mapping().items()}
    if value.is_list:
        return [plain(item) for item in value.items()]
    return None if value.is_null else value.text()


def problems_of_reading(text: str) -> list[str]:
    value = read(text)
    plain(value)
    with pytest.raises(ConfigError) as refused:
        value.document.check()
    return refused.value.problems


def problems_of_syntax(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(text)
    return refused.value.problems


def test_scalars_are_the_text_that_was_written() -> None:
    assert plain(read("[yes, 012, 1:30, 2024-01-01, 1.50, 'it', ~, '~']")) == [
        "yes", "012", "1:30", "2024-01-01", "1.50", "it", None, "~",
    ]  # fmt: skip


def test_every_value_knows_its_line_and_field() -> None:
    listener = read("a:\n  b:\n    - x\n    - {c: y}\n").mapping()["a"].mapping()["b"].items()
    assert [(value.line, value.field) for value in listener] == [(3, "a.b[0]"), (4, "a.b[1]")]
    inner = listener[1].mapping()["c"]
    assert (inner.line, inner.field) == (4, "a.b[1].c")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [b\nc: d", "2: configuration: is not YAML: while parsing a flow sequence that begins in line 1: "),
        ("a: 'b", "1: configuration: is not YAML: while scanning a quoted scalar: found unexpected end of stream"),
        ("a:\n\tb: c", "2: configuration: is not YAML: while scanning for the next token: "),
        ("a: *b", "1: configuration: is not YAML: found undefined alias 'b'"),
        ("a: b\n---\nc: d", "2: configuration: is not YAML: expected a single document in the stream "),
        (
            "a: [::]:80",
            "1: configuration: is not YAML: while parsing a flow node: did not find expected node content; ",
        ),
        ("a\n b\x07", "2: configuration: has the character '\\x07', which YAML forbids; remove it"),
        ("a: \ud800", "1: configuration: has the character '\\ud800', which YAML forbids; remove it"),
        ("[" * 100, "1: configuration: is not YAML: more than 64 levels of nesting"),
        ("[" * 100_000, "1: configuration: is not YAML: "),  # newer versions of libyaml have a limit of their own
    ],
)
def test_what_is_no_yaml(text: str, problem: str) -> None:
    (found,) = problems_of_syntax(text)
    assert found.startswith(f"f:{problem}")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a:\n\tb: c", "; indent with spaces, not tabs"),
        ("a: [::]:80", '; write an IPv6 address in quotes: "[::]:80"'),
        ("a: [2001:db8::1]:80", '; write an IPv6 address in quotes: "[2001:db8::1]:80"'),
        ("a: [::/0, 10.0.0.1]", '; write an IPv6 address in quotes: "::/0"'),
        ("a: [10.0.0.1, ::1]", '; write an IPv6 address in quotes: "::1"'),
    ],
)
def test_common_slips_have_a_hint(text: str, hint: str) -> None:
    assert problems_of_syntax(text)[0].endswith(hint)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "3: a: is given twice, first in line 1; remove one"),
        ("x:\n  a: 1\n  a: 1", "3: x.a: is given twice, first in line 2; remove one"),
        ('":": {a: 1, a: 1}', "1: ':'.a: is given twice, first in line 1; remove one"),
        ("[a]: b", "1: configuration: has a key that is not a word; write KEY: VALUE"),
        ('"a\\nb": c', "1: configuration: has a key that is not a word; write KEY: VALUE"),
        ("a: !env HOME", "1: a: has the tag '!env'; tags mean nothing here, remove it"),
        ("a: !x {}", "1: a: has the tag '!x'; tags mean nothing here, remove it"),
        ("a: !x []", "1: a: has the tag '!x'; tags mean nothing here, remove it"),
        ('a: "b\\nc"', "1: a: has a line break or an invisible character; remove it"),
        ('a: "\\0"', "1: a: has a line break or an invisible character; remove it"),
        ("a: {<<: b}", "1: a.<<: merges what is no mapping, or merges too deeply"),
    ],
)
def test_what_yaml_allows_and_a_configuration_does_not(text: str, problem: str) -> None:
    assert problems_of_reading(text) == [f"f:{problem}"]


def test_problems_are_in_the_order_of_lines_and_each_once() -> None:
    document = Document("f")
    for line in (3, 1, 20, 3):
        document.complain(line, "x", "is wrong")
    with pytest.raises(ConfigError) as refused:
        document.check()
    assert refused.value.problems == ["f:1: x: is wrong", "f:3: x: is wrong", "f:20: x: is wrong"]


def test_the_root_can_have_a_name() -> None:
    value = Document("f", "endpoints").root("[1, 2]")
    assert [item.field for item in value.items()] == ["endpoints[0]", "endpoints[1]"]


def test_accessors_complain_of_what_they_are_not_for() -> None:
    value = read("a: {}\nb: []\nc: x\nd:\ne: " + "y" * 70)
    given = value.mapping()
    assert given["a"].items() == []
    assert given["b"].mapping(("k", "j")) == {}
    assert given["c"].mapping() == {}
    assert given["d"].text() is None
    assert given["e"].items() == []
    with pytest.raises(ConfigError) as refused:
        value.document.check()
    assert refused.value.problems == [
        "f:1: a: is a mapping, and must be a list",
        "f:2: b: is a list, and must be a mapping (KEY: VALUE) with any of j, k",
        "f:3: c: is 'x', and must be a mapping (KEY: VALUE)",
        "f:4: d: is empty, and must be a text or a number",
        f"f:5: e: is '{'y' * 57}...', and must be a list",
    ]


def test_anchors_and_merge_keys() -> None:
    text = """
        base: &base {a: 1, b: 2}
        more: &more {b: 3, c: 4}
        one: {<<: *base, b: 9}
        two: {<<: [*more, *base], d: 5}
        three: *base
    """
    found = plain(read(text))
    assert isinstance(found, dict)
    assert found["one"] == {"a": "1", "b": "9"}
    assert found["two"] == {"a": "1", "b": "3", "c": "4", "d": "5"}
    assert found["three"] == {"a": "1", "b": "2"}


def test_a_mapping_that_merges_itself_is_no_trap() -> None:
    assert plain(read("a: &a {<<: *a, b: 1}")) == {"a": {"b": "1"}}


def test_merges_that_double_at_every_level_cost_nothing() -> None:
    levels = ["a0: &a0 {k0: 0}", *(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}], k{n}: 0}}" for n in range(1, 60))]
    found = plain(read("\n".join(levels)))
    assert isinstance(found, dict)
    assert len(found["a59"]) == 60


def test_a_chain_of_merges_that_is_too_deep_is_refused() -> None:
    levels = ["a0: &a0 {k0: 0}", *(f"a{n}: &a{n} {{<<: *a{n - 1}}}" for n in range(1, 500))]
    value = read("\n".join(levels)).mapping()["a499"]
    value.mapping()
    with pytest.raises(ConfigError, match="merges too deeply"):
        value.document.check()


def test_suggestions() -> None:
    assert suggest("bnd", ["bind", "routes"]) == "did you mean 'bind'?"
    assert suggest("xyz", ["routes", "bind"]) == "known are bind, routes"
    assert suggest("xyz", []) == "there are none"


def test_what_users_wrote_is_shown_escaped_and_bounded() -> None:
    assert quoted("a\nb") == "'a\\nb'"
    assert len(quoted("x" * 1000)) == 62


@given(st.text(alphabet=st.sampled_from("ab:-?[]{},&*!|>'\"%@`#<~ \n\t\x00é\ud800\\0u"), max_size=80))
def test_any_text_is_read_or_refused_with_its_line(text: str) -> None:
    try:
        value = read(text)
        if not text.count("*"):  # an alias may lead back to where it stands
            plain(value)
        value.document.check()
    except ConfigError as error:
        for problem in error.problems:
            assert problem.startswith("f:")
            assert problem.split(":")[1].isdecimal()
            assert problem.isprintable()


def test_a_file_is_read_as_utf8_with_or_without_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"\xef\xbb\xbfa: \xc3\xa9")
    assert read_text(path) == "a: é"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a\nb\n\xff", "3: file: is not UTF-8 text; save it as UTF-8"),
        ("a: b".encode("utf-16"), "1: file: is not UTF-8 text; save it as UTF-8"),
        (None, "1: file: does not exist; create it or name another"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "f"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        read_text(path)
    assert refused.value.problems == [f"{path}:{problem}"]


def test_a_directory_or_a_path_that_is_none(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path, "is a directory"),
        (tmp_path / "\0", "null byte"),
        (tmp_path / ("x" * 300), "too long"),
    ):
        with pytest.raises(ConfigError, match=reason):
            read_text(path)
