"""The script of the demo: what happens to the backends, and when."""

from __future__ import annotations

from itertools import islice, pairwise

from fairlead.demo.script import Act, Deed, acts
from hypothesis import given
from hypothesis import strategies as st

NAMES = ("a", "b", "c")


def first(count: int, seconds: float = 0.0) -> list[Act]:
    return list(islice(acts(NAMES, seconds), count))


def test_a_backend_dies_and_returns_every_ten_seconds_and_the_third_time_one_is_slow() -> None:
    assert first(6) == [
        Act(3.0, Deed.KILL, "a"),
        Act(7.0, Deed.RESTORE, "a"),
        Act(13.0, Deed.KILL, "b"),
        Act(17.0, Deed.RESTORE, "b"),
        Act(22.0, Deed.SLOW, "c"),
        Act(28.0, Deed.QUICK, "c"),
    ]


def test_every_backend_meets_both_fates() -> None:
    met = {(act.deed, act.name) for act in first(18)}
    assert met == {(deed, name) for deed in Deed for name in NAMES}


def test_a_short_demo_shows_a_death_and_a_return() -> None:
    death, back = first(2, seconds=2.0)
    assert (death.deed, back.deed) == (Deed.KILL, Deed.RESTORE)
    assert 0 < death.at_s < back.at_s < 2.0


@given(seconds=st.floats(0, 1000), count=st.integers(1, 200))
def test_acts_are_in_order_and_undo_each_other(seconds: float, count: int) -> None:
    done = first(2 * count, seconds)
    assert all(before.at_s <= after.at_s for before, after in pairwise(done))
    undo = {Deed.KILL: Deed.RESTORE, Deed.SLOW: Deed.QUICK}
    for begin, end in zip(done[::2], done[1::2], strict=True):
        assert (undo[begin.deed], begin.name) == (end.deed, end.name)
