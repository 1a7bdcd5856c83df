"""docs/choosing-a-policy.md: what it shows is what the commands print, and it names every field."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from fairlead.cli import main
from fairlead.fields import members
from fairlead.simulate.reading import names, parse
from fairlead.simulate.scenario import Change, Group, Scenario

PAGE = (Path(__file__).parents[2] / "docs" / "choosing-a-policy.md").read_text()
SHOWN = dict(re.findall(r"^`fairlead (simulate .+)`\n\n((?:\|.*\n)+)", PAGE, re.MULTILINE))
QUICK = [command for command in SHOWN if "one-hanging" in command or "one-flaky" in command]


def test_there_is_a_table_for_each_scenario() -> None:
    assert {command.split()[1] for command in SHOWN} == set(names())


@pytest.mark.parametrize("command", QUICK)
def test_a_table_is_what_the_command_prints(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    assert main(shlex.split(command)) == 0
    printed = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert printed == SHOWN[command].splitlines()


def test_every_field_is_there() -> None:
    for group in (Scenario, Group, Change):
        for member in members(group):
            assert re.search(rf"^\| `{member.key}` \| .* \| {re.escape(member.doc)} \|$", PAGE, re.MULTILINE), (
                member.key
            )


def test_the_example_is_a_scenario() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert parse(example, "f", "mine").workers == 4
