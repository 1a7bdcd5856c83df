"""What an attack is judged by: every bound is there, and what was not measured has missed it."""

from loadtests.attack.attackers import KINDS, State
from loadtests.attack.bounds import COLUMNS, LIMIT_KB, Plan, figures, of_states, rows

PLAN = Plan(heads=100, bodies=20, readers=10)


def good() -> dict[str, float]:
    """A sample that meets every bound."""
    return {figure.key: 0.0 for _, figure in figures(PLAN)}


def missed(sample: dict[str, float]) -> list[str]:
    return [row.cells[1] for row in rows(PLAN, sample) if row.is_met is False]


def test_a_good_sample_meets_every_bound() -> None:
    found = rows(PLAN, good())
    assert missed(good()) == []
    assert len(found) == len(figures(PLAN))
    assert all(len(row.cells) == len(COLUMNS) for row in found)
    assert len({figure.key for _, figure in figures(PLAN)}) == len(found)


def test_what_is_over_its_bound_is_missed() -> None:
    assert missed(good() | {"p99_ratio": 2.01}) == ["p99 under attack / calm"]
    assert missed(good() | {"errors": 1.0}) == ["requests not answered rightly"]
    assert missed(good() | {"bodies_left": 1.0}) == ["not ended"]
    assert missed(good() | {"p99": 1e9, "kernel_mb": 1e9}) == []  # shown, not judged


def test_what_has_a_bound_and_was_not_measured_is_missed() -> None:
    sample = good()
    del sample["p99_ratio"], sample["p99"]
    assert missed(sample) == ["p99 under attack / calm"]


def test_the_bound_of_all_memory_is_made_of_those_of_each() -> None:
    (peak,) = [figure for _, figure in figures(Plan()) if figure.key == "peak_mb"]
    assert peak.bounds[0].limit == round((5000 * 5.5 + 1000 * 16 + 1000 * 128) / 1024 + 8, 1)
    assert LIMIT_KB.keys() == KINDS.keys() == Plan().counts().keys()


def test_states_are_judged_by_the_worst_while_the_client_measured() -> None:
    states = [
        State(at=1.0, held=2),
        State(at=2.0, held=90, late_s=0.25),
        State(at=3.0, held=100),
        State(at=9.0, held=3, longest_s=5.2, ends={"408": 150, "end": 7}, is_last=True),
    ]
    assert of_states("heads", 100, states, 1.5, 4.0) == {
        "heads_missing": 10.0,
        "heads_ended": 157,
        "heads_longest_s": 5.2,
        "heads_late_ms": 250.0,
        "heads_left": 3,
    }
    assert of_states("heads", 100, states, 4.0, 5.0)["heads_missing"] == 100.0  # nothing is known of that time
