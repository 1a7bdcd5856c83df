"""The rolling update against the rules of a Deployment, for any bounds and pods that become ready when they like."""

from __future__ import annotations

from random import Random

from box.rollout import Step, Strategy, step
from hypothesis import given, settings
from hypothesis import strategies as st


def test_one_more_first_then_one_less() -> None:
    strategy = Strategy(replicas=3, max_surge=1, max_unavailable=0)
    assert step(strategy, [True] * 3, []) == Step(create=1)
    assert step(strategy, [True] * 3, [False]) == Step()
    assert step(strategy, [True] * 3, [True]) == Step(delete_old=1)
    assert step(strategy, [True] * 2, [True]) == Step(create=1)
    assert step(strategy, [], [True] * 3) == Step()


def test_without_surge_one_goes_first() -> None:
    strategy = Strategy(replicas=3, max_surge=0, max_unavailable=1)
    assert step(strategy, [True] * 3, []) == Step(delete_old=1)
    assert step(strategy, [True] * 2, []) == Step(create=1)
    assert step(strategy, [True] * 2, [False]) == Step()


def test_an_old_pod_that_serves_nobody_goes_first() -> None:
    assert step(Strategy(3, 1, 0), [True, True, False], []) == Step(create=1)
    assert step(Strategy(3, 1, 0), [True, True, False], [True]) == Step(delete_old=1)
    assert step(Strategy(3, 1, 1), [True, True, False], [False]) == Step(delete_old=1)


def test_scaling() -> None:
    assert step(Strategy(10), [], [True] * 3) == Step(create=7)
    assert step(Strategy(3), [], [True] * 10) == Step(delete_new=7)
    assert step(Strategy(0), [], [True]) == Step(delete_new=1)


@settings(max_examples=50)
@given(st.integers(1, 6), st.integers(0, 3), st.integers(0, 3), st.randoms(use_true_random=False))
def test_never_too_few_never_too_many_and_it_ends(replicas: int, surge: int, unavailable: int, luck: Random) -> None:
    if surge == unavailable == 0:
        surge = 1  # the API refuses a Deployment that could never move
    strategy = Strategy(replicas, surge, min(unavailable, replicas))
    old, new = [True] * replicas, [True] * 0
    for turn in range(20 * replicas):
        was_ready = old.count(True) + new.count(True)
        todo = step(strategy, old, new)
        old, new = sorted(old)[todo.delete_old :], new + [False] * todo.create
        ready = old.count(True) + new.count(True)
        assert len(old) + len(new) <= replicas + surge
        assert ready >= min(was_ready, replicas - strategy.max_unavailable)
        if False in new and (luck.random() < 0.3 or turn % 5 == 0):
            new[new.index(False)] = True
    assert (old, new) == ([], [True] * replicas)
