"""Scenarios from files: what they may say, and how mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from fairlead.errors import ConfigError
from fairlead.simulate.reading import load, names, parse
from fairlead.simulate.scenario import Change, Group, Scenario
from hypothesis import given, settings
from hypothesis import strategies as st


def test_all_that_can_be_said() -> None:
    text = """
seconds: 1m
rate: 50.5
arrivals: fixed
workers: 3
clients: 10
hot: 0.5
timeout: 2s
attempts: 3
slow_start: 30s
max_load: 1.5
endpoints:
  a: {count: 2, weight: 3, time: 250ms, spread: lognormal, concurrency: 4, from: 1s, until: 20s, step: 2s}
  b: {cold: 5, warm_after: 3s, changes: [{at: 1s, slower: 2}, {at: 2s, fails: 0.5, takes: 2ms}, {at: 3s, hangs: true}]}
"""
    a = Group(
        name="a", count=2, weight=3, time_s=0.25, spread="lognormal", concurrency=4, from_s=1, until_s=20, step_s=2
    )  # fmt: skip
    changes = (Change(at_s=1, slower=2), Change(at_s=2, fails=0.5, takes_s=0.002), Change(at_s=3, hangs=True))
    b = Group(name="b", cold=5, warm_after_s=3, changes=changes)
    assert parse(text, "f", "mine") == Scenario(
        name="mine", endpoints={"a": a, "b": b}, seconds_s=60, rate=50.5, arrivals="fixed", workers=3, clients=10,
        hot=0.5, timeout_s=2, attempts=3, slow_start_s=30, max_load=1.5,
    )  # fmt: skip


WRONG = {
    "rate: 5": ["1: scenario: has no 'endpoints'; add endpoints: ..."],
    "{endpoints: {}, rat: 5}": [
        "1: scenario.rat: is unknown",
        "1: scenario.endpoints: is empty; add at least one group",
    ],
    "endpoints: {a: {time: fast, count: 0}}": [
        "1: scenario.endpoints.a.time: is 'fast', and must be a duration",
        "1: scenario.endpoints.a.count: is 0, and must be from 1 to 10000",
    ],
    "endpoints:\n  a:\n    changes:\n    - {at: 5s}\n    - {at: 6s, fails: 2}": [
        "5: scenario.endpoints.a.changes[1].fails: is 2, and must be from 0 to 1",
    ],
    "endpoints:\n  a:\n    changes:\n    - {at: 5s}\n    - {at: 4s}": [
        "5: scenario.endpoints.a.changes[1]: is at 4 s, and must be after the one before it",
    ],
    "endpoints: {a: {changes: [{}]}}": ["1: scenario.endpoints.a.changes[0]: has no 'at'"],
    "endpoints: {a: {from: 5s, until: 4s}}": ["1: scenario.endpoints.a: goes before it comes"],
    "endpoints: {a: {from: 5s}}": ["1: scenario: has no endpoints at the start"],
    "endpoints: {a: }\nhot: 1.1\nspread: x\narrivals: never": [
        "2: scenario.hot: is 1.1, and must be from 0 to 1",
        "3: scenario.spread: is unknown",
        "4: scenario.arrivals: is 'never', and must be poisson or fixed",
    ],
    "[]": ["1: scenario: is a list, and must be a mapping"],
    "a: [": ["2: scenario: is not YAML"],
}


@pytest.mark.parametrize("text", WRONG)
def test_mistakes_are_named_by_line_and_field(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(text, "f", "mine")
    assert len(refused.value.problems) == len(WRONG[text]), refused.value.problems
    for problem, start in zip(refused.value.problems, WRONG[text], strict=True):
        assert problem.startswith(f"f:{start}")


def test_scenarios_by_name_and_by_file(tmp_path: Path) -> None:
    assert {"one-slow", "one-failing", "rolling", "uneven"} <= set(names())
    for name in names():
        assert load(name).name == name
    file = tmp_path / "mine.yaml"
    file.write_text("endpoints: {a: {}}")
    assert load(str(file)).endpoints == {"a": Group(name="a")}
    with pytest.raises(ConfigError, match=r"^one-slwo: is no scenario; did you mean 'one-slow'\?; or give a file"):
        load("one-slwo")
    with pytest.raises(ConfigError, match=r"nowhere\.yaml:1: file: does not exist"):
        load(str(tmp_path / "nowhere.yaml"))


KEYS = st.sampled_from(["endpoints", "rate", "a", "changes", "at", "from", "until", "count", "time", "x", "hot"])
TREES = st.recursive(
    st.none() | st.integers(-2, 9) | st.sampled_from(["", "5s", "x", "fixed", "1e9"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(KEYS, TREES, max_size=4))
def test_any_structure_is_a_scenario_or_problems(tree: object) -> None:
    try:
        assert isinstance(parse(yaml.safe_dump(tree), "f", "mine"), Scenario)
    except ConfigError as error:
        assert all(problem.startswith("f:") for problem in error.problems)
