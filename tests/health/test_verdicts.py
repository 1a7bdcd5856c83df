"""Verdicts on endpoints, and the states that follow from them."""

from __future__ import annotations

import pytest
from fairlead.health.verdicts import Judge, Verdict, Verdicts
from fairlead.model import Endpoint, State

A, B = "10.0.0.1:80", "10.0.0.2:80"
READY, EJECTED, DRAINING, UNREADY = State.READY, State.EJECTED, State.DRAINING, State.UNREADY


@pytest.fixture
def changed() -> list[str]:
    return []


@pytest.fixture
def verdicts(changed: list[str]) -> Verdicts:
    return Verdicts(changed.append)


def verdict(judge: Judge, state: State) -> Verdict:
    return Verdict(judge=judge, state=state, reason="so it is", since=1.0)


@pytest.mark.parametrize(
    ("found", "given", "follows"),
    [
        (READY, {}, READY),
        (READY, {Judge.EJECTION: EJECTED}, EJECTED),
        (READY, {Judge.CHECK: UNREADY}, UNREADY),
        (READY, {Judge.CHECK: READY}, READY),
        (READY, {Judge.HAND: DRAINING}, DRAINING),
        (READY, {Judge.HAND: DRAINING, Judge.EJECTION: EJECTED}, EJECTED),
        (READY, {Judge.CHECK: READY, Judge.EJECTION: EJECTED}, EJECTED),
        (UNREADY, {Judge.CHECK: READY}, READY),
        (UNREADY, {Judge.CHECK: READY, Judge.HAND: DRAINING}, DRAINING),
        (UNREADY, {Judge.EJECTION: EJECTED}, UNREADY),
        (DRAINING, {Judge.CHECK: READY}, DRAINING),
        (DRAINING, {Judge.EJECTION: EJECTED}, EJECTED),
    ],
)
def test_the_most_severe_word_counts(
    verdicts: Verdicts, found: State, given: dict[Judge, State], follows: State
) -> None:
    for judge, state in given.items():
        verdicts.give("shop", A, verdict(judge, state))
    endpoints = (Endpoint(A, 3, found), Endpoint(B))
    assert verdicts.applied("shop", endpoints) == (Endpoint(A, 3, follows), Endpoint(B))


def test_what_changes_nothing_is_not_told(verdicts: Verdicts, changed: list[str]) -> None:
    verdicts.give("shop", A, verdict(Judge.CHECK, UNREADY))
    verdicts.give("shop", A, verdict(Judge.CHECK, UNREADY))
    verdicts.lift("shop", A, Judge.EJECTION)
    verdicts.lift("shop", B, Judge.CHECK)
    assert changed == ["shop"]
    verdicts.lift("shop", A, Judge.CHECK)
    assert changed == ["shop", "shop"]
    assert verdicts.of("shop") == {}


def test_where_nobody_says_anything_nothing_is_made_anew(verdicts: Verdicts) -> None:
    endpoints = (Endpoint(A), Endpoint(B))
    verdicts.give("other", A, verdict(Judge.CHECK, UNREADY))
    assert verdicts.applied("shop", endpoints) is endpoints


def test_verdicts_are_told_with_the_most_severe_first(verdicts: Verdicts) -> None:
    verdicts.give("shop", A, verdict(Judge.HAND, DRAINING))
    verdicts.give("shop", A, verdict(Judge.EJECTION, EJECTED))
    assert [each.judge for each in verdicts.of("shop")[A]] == [Judge.EJECTION, Judge.HAND]


def test_services_that_are_gone_are_forgotten(verdicts: Verdicts) -> None:
    verdicts.give("shop", A, verdict(Judge.HAND, DRAINING))
    verdicts.give("cache", B, verdict(Judge.HAND, DRAINING))
    verdicts.keep(["cache"])
    assert (verdicts.of("shop"), [*verdicts.of("cache")]) == ({}, [B])


def test_several_are_given_with_one_change(verdicts: Verdicts, changed: list[str]) -> None:
    out, ejected = verdict(Judge.CHECK, UNREADY), verdict(Judge.EJECTION, EJECTED)
    verdicts.give("shop", B, ejected)
    verdicts.give_all("shop", Judge.CHECK, {A: out, B: out})
    assert changed == ["shop", "shop"]
    assert verdicts.of("shop") == {A: (out,), B: (out, ejected)}
    verdicts.give_all("shop", Judge.CHECK, {A: out, B: out})
    verdicts.give_all("shop", Judge.CHECK, {"10.0.0.3:80": None})
    assert changed == ["shop", "shop"]  # nothing has changed
    verdicts.give_all("shop", Judge.CHECK, {A: None, B: None})
    assert verdicts.of("shop") == {B: (ejected,)}
    assert changed == ["shop", "shop", "shop"]


def test_put_tells_only_who_calls_it(verdicts: Verdicts, changed: list[str]) -> None:
    assert not verdicts.put("shop", Judge.CHECK, {A: None})
    assert verdicts.put("shop", Judge.CHECK, {A: verdict(Judge.CHECK, UNREADY)})
    assert verdicts.put("shop", Judge.CHECK, {A: None})
    assert changed == []
    assert verdicts.of("shop") == {}
