"""What a row of results comes to: by table, and as properties against a plain model."""

from __future__ import annotations

import pytest
from fairlead.health.checks.settings import MOST_IN_A_ROW, CheckSettings
from fairlead.health.checks.standing import History, Standing, begun, delay_s
from hypothesis import given
from hypothesis import strategies as st

UNKNOWN, WAITING, UP, DOWN = Standing
SETTINGS = CheckSettings(fall=3, rise=2, interval_s=10, fast_interval_s=1, down_interval_s=60)


def after(history: History, results: str, fall: int = 3, rise: int = 2) -> History:
    """The history after these: p is a check that passed, any other letter one that failed."""
    for result in results:
        history = history.after(result == "p", fall, rise)
    return history


@pytest.mark.parametrize(
    ("first", "results", "follows"),
    [
        (UNKNOWN, "", UNKNOWN),
        (UNKNOWN, "p", UNKNOWN),
        (UNKNOWN, "pp", UP),
        (UNKNOWN, "ff", UNKNOWN),
        (UNKNOWN, "fff", DOWN),
        (UNKNOWN, "ffpffpf", UNKNOWN),
        (WAITING, "p", WAITING),
        (WAITING, "fp", WAITING),
        (WAITING, "pp", UP),
        (WAITING, "fff", DOWN),
        (UP, "ff", UP),
        (UP, "ffpff", UP),
        (UP, "fff", DOWN),
        (UP, "pppf", UP),
        (DOWN, "p", DOWN),
        (DOWN, "pfp", DOWN),
        (DOWN, "pp", UP),
        (DOWN, "fffff", DOWN),
        (UNKNOWN, "fffppfff", DOWN),
        (UNKNOWN, "fffppff", UP),
    ],
)
def test_so_many_in_a_row_decide(first: Standing, results: str, follows: Standing) -> None:
    assert after(History(first), results).standing is follows


def test_one_may_be_enough() -> None:
    assert after(History(UP), "f", fall=1).standing is DOWN
    assert after(History(DOWN), "p", rise=1).standing is UP


@given(
    first=st.sampled_from(Standing),
    results=st.text(alphabet="pf", max_size=40),
    fall=st.integers(1, 6),
    rise=st.integers(1, 6),
)
def test_a_standing_is_what_the_last_long_enough_row_says(first: Standing, results: str, fall: int, rise: int) -> None:
    """The model: the last place at which `rise` passes or `fall` failures in a row have ended decides."""
    passed = results.rfind("p" * rise) + rise if "p" * rise in results else 0  # where it ends
    failed = results.rfind("f" * fall) + fall if "f" * fall in results else 0
    expected = first if passed == failed else UP if passed > failed else DOWN
    assert after(History(first), results, fall, rise).standing is expected


@given(results=st.text(alphabet="pf", min_size=1, max_size=40))
def test_the_count_is_that_of_the_last_row(results: str) -> None:
    history = after(History(UNKNOWN), results)
    row = len(results) - len(results.rstrip(results[-1]))
    assert (history.in_a_row, history.has_passed) == (row, results[-1] == "p")


def test_a_long_row_is_counted_up_to_what_a_threshold_may_be() -> None:
    history = after(History(UP), "p" * 1000)
    assert history.in_a_row == MOST_IN_A_ROW
    assert history.after(True, 3, 2) is history
    assert after(History(UP), "f" * MOST_IN_A_ROW, fall=MOST_IN_A_ROW).standing is DOWN
    assert after(history, "fff").standing is DOWN


def test_a_lower_threshold_counts_what_has_been() -> None:
    history = after(History(UP), "fff", fall=5)
    assert history.standing is UP
    assert history.after(False, 2, 2).standing is DOWN


@pytest.mark.parametrize(
    ("first", "results", "expected"),
    [
        (UNKNOWN, "", 1),
        (UNKNOWN, "p", 1),
        (WAITING, "f", 1),
        (UP, "p", 10),
        (UP, "f", 1),
        (UP, "fp", 10),
        (UNKNOWN, "fff", 60),
        (DOWN, "f", 60),
        (DOWN, "p", 1),
        (DOWN, "pf", 60),
        (DOWN, "pp", 10),
    ],
)
def test_checks_are_faster_while_something_is_undecided_and_slower_while_it_fails(
    first: Standing, results: str, expected: float
) -> None:
    assert delay_s(after(History(first), results), SETTINGS) == expected


def test_the_fast_interval_is_never_the_longer_one() -> None:
    assert delay_s(History(UNKNOWN), CheckSettings(interval_s=0.2, fast_interval_s=0.5)) == 0.2


def test_where_it_begins() -> None:
    assert begun(CheckSettings()).standing is UNKNOWN
    assert begun(CheckSettings(initial="down")).standing is WAITING
