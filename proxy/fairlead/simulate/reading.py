"""A scenario from a file or by name, with every mistake named by file, line and field."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fairlead.errors import ConfigError
from fairlead.fields import build, read_group
from fairlead.simulate.scenario import Change, Group, Scenario
from fairlead.yaml_nodes import Document, Value, read_text, suggest

_BUILT_IN: Final = Path(__file__).parent / "scenarios"
_SUFFIXES: Final = (".yaml", ".yml", ".json")


def names() -> list[str]:
    """The scenarios that come with Fairlead."""
    return sorted(path.stem for path in _BUILT_IN.glob("*.yaml"))


def load(spec: str) -> Scenario:
    """The scenario of that name, or in that file. Raises ConfigError with every problem."""
    if spec in names():
        path = _BUILT_IN / f"{spec}.yaml"
    elif spec.endswith(_SUFFIXES):
        path = Path(spec)
    else:
        raise ConfigError([f"{spec}: is no scenario; {suggest(spec, names())}; or give a file, NAME.yaml"])
    return parse(read_text(path), str(path), path.stem)


def parse(text: str, file: str, name: str) -> Scenario:
    """The scenario in a text. Raises ConfigError with every problem."""
    document = Document(file, "scenario")
    root = document.root(text)
    scenario = build(Scenario, read_group(root, Scenario, {"endpoints": _groups}), name=name)
    document.check()
    assert scenario is not None  # whoever gives None has complained
    if all(group.from_s > 0 for group in scenario.endpoints.values()):
        root.complain("has no endpoints at the start; leave out `from` of at least one group")
        document.check()
    return scenario


def _groups(value: Value) -> dict[str, Group]:
    if value.is_mapping and not value.mapping():
        value.complain("is empty; add at least one group, NAME: {count: 3}")
    return {name: group for name, inner in value.mapping().items() if (group := _group(name, inner))}


def _group(name: str, value: Value) -> Group | None:
    found = read_group(value, Group, {"changes": _changes})
    group = build(Group, found, name=name)
    if group and group.until_s and group.until_s <= group.from_s:
        value.complain("goes before it comes; `until` must be later than `from`")
    return group


def _changes(value: Value) -> tuple[Change, ...]:
    changes: list[Change] = []
    for item in value.items():
        change = build(Change, read_group(item, Change))
        if change and changes and change.at_s <= changes[-1].at_s:
            item.complain(f"is at {change.at_s:g} s, and must be after the one before it")
        if change:
            changes.append(change)
    return tuple(changes)
