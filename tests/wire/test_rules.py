"""docs/http1.md: each rule is the name of a case, and the case does what the page says."""

from pathlib import Path

import pytest

from wire.cases import BODIES, REPLIES, REQUESTS, TRUSTED

PAGE = Path(__file__).parents[2] / "docs" / "http1.md"


def action_of(rule: str) -> str:
    if rule in BODIES:
        given, sent = BODIES[rule]
        return "cut off" if sent is None else "passed" if sent == given else "normalised"
    return (REQUESTS | TRUSTED | REPLIES)[rule].action


def rules() -> list[tuple[str, str]]:
    """(rule, what Fairlead does) of all tables."""
    rows = [line.strip("|").replace("\\|", "¦").split("|") for line in PAGE.read_text().splitlines() if line[:1] == "|"]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert all(len(row) == 4 for row in cells)
    return [
        (rule, row[2].partition(":")[0]) for row in cells for rule in row[0].split("; ") if rule not in ("rule", "---")
    ]


@pytest.mark.parametrize(("rule", "action"), rules())
def test_a_rule_of_the_page_is_kept(rule: str, action: str) -> None:
    assert action_of(rule) == action


def test_no_rule_is_on_the_page_twice() -> None:
    named = [rule for rule, _ in rules()]
    assert len(named) == len(set(named)) > 200


def test_every_refusal_is_on_the_page() -> None:
    refused = {name for name in (*REQUESTS, *REPLIES, *BODIES) if action_of(name) not in ("passed", "normalised")}
    assert refused - {rule for rule, _ in rules()} == set()
