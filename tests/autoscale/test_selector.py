"""Label selectors: the grammar of the API server, what each selects, and its words for what is none."""

from __future__ import annotations

import pytest
from fairlead.autoscale.selector import Operator, Requirement, Selector, parse
from hypothesis import given
from hypothesis import strategies as st

POD = {"app": "my-app", "tier": "web", "empty": "", "generation": "7", "example.com/zone": "a"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app=my-app",
        "app==my-app",
        "app = my-app , tier=web",
        "app!=other",
        "missing!=x",
        "app in (my-app,other)",
        "app in (other , my-app)",
        "app notin (other)",
        "missing notin (a,b)",
        "app",
        "app,tier",
        "!missing",
        "! missing",
        "empty=",
        "empty=,app=my-app",
        "empty in (,a)",
        "generation>6",
        "generation < 8",
        "example.com/zone=a",
        "in notin (x)",
    ],
)
def test_selects(text: str) -> None:
    assert parse(text).matches(POD)


@pytest.mark.parametrize(
    "text",
    [
        "app=other",
        "app!=my-app",
        "app in (other)",
        "app notin (my-app)",
        "missing",
        "!app",
        "app=my-app,tier=api",
        "missing=",
        "generation>7",
        "generation<7",
        "app>1",
        "missing>1",
    ],
)
def test_does_not_select(text: str) -> None:
    assert not parse(text).matches(POD)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a===b", "found '=', expected: identifier"),
        ("a=b,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: identifier"),
        ("a in b", "found 'b', expected: '('"),
        ("a in (b", "found '', expected: ',' or ')'"),
        ("a b", "found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or end of string"),
        ("!", "found '', expected: identifier"),
        ("a>b", "found 'b', expected: an integer"),
        ("-a=b", "'-a' is no label key"),
        ("UPPER.com/a", "'UPPER.com/a' is no label key"),
        ("a=-b", "'-b' is no label value"),
        ("a=" + "b" * 64, "is no label value"),
        ("a=\u00e4", "is no label value"),
        ("a" * 5000, "longer than"),
    ],
)
def test_refused_in_the_words_of_an_api_server(text: str, found: str) -> None:
    with pytest.raises(ValueError, match="unable to parse requirement") as refused:
        parse(text)
    assert found in str(refused.value)


names = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,8}[a-z0-9])?", fullmatch=True)


def written(requirement: Requirement) -> str:
    key, values = requirement.key, ",".join(requirement.values)
    match requirement.operator:
        case Operator.EXISTS:
            return key
        case Operator.ABSENT:
            return f"!{key}"
    return f"{key} {requirement.operator} ({values})"


@st.composite
def requirements(draw: st.DrawFn) -> Requirement:
    operator = draw(st.sampled_from([Operator.IN, Operator.NOT_IN, Operator.EXISTS, Operator.ABSENT]))
    has_values = operator in (Operator.IN, Operator.NOT_IN)
    values = draw(st.lists(names, min_size=1, max_size=3, unique=True)) if has_values else []
    return Requirement(draw(names), operator, tuple(values))


@given(st.lists(requirements(), max_size=4))
def test_what_is_written_is_read_as_it_was(wanted: list[Requirement]) -> None:
    assert parse(",".join(map(written, wanted))) == Selector(tuple(wanted))


@given(st.text(alphabet="ab=!,()<> innot", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text).matches(POD)
    except ValueError as error:
        assert "unable to parse requirement" in str(error)
