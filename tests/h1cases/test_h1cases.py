"""The cases of others, played whole, cut in every way, and four at a time over the same connections to the endpoint."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from h1cases.cases import Case, folder, load
from h1cases.differences import DIFFERENCES
from h1cases.playing import (
    Outcome,
    Theatre,
    at_every_byte,
    byte_by_byte,
    in_pieces_of,
    in_steps,
    is_smuggled,
    is_taken,
    passes,
)

pytestmark = pytest.mark.skipif(
    folder() is None, reason="the cases are not here: no ../shared/h1cases, and FAIRLEAD_H1CASES names no such folder"
)
CASES = load()
SLICES = 8  # of the longest test, so that each stays far from the limit of time


@pytest.fixture(scope="module")
def whole() -> dict[str, Outcome]:
    """What becomes of each case that comes in one piece."""
    with Theatre() as theatre:
        return {case.name: theatre.play(in_steps(theatre, case, [case.data]))[0] for case in CASES}


@pytest.fixture
def theatre() -> Iterator[Theatre]:
    with Theatre() as theatre:
        yield theatre


def test_all_cases_are_read() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 408


def test_nothing_is_smuggled_poisoned_or_leaked(whole: dict[str, Outcome]) -> None:
    """Leaks fail where they happen: the theatre compares what the endpoint got with what clients were answered."""
    assert [case.name for case in CASES if is_smuggled(case, whole[case.name])] == []


def test_every_case_passes(whole: dict[str, Outcome]) -> None:
    """More than is asked for: also those that not all of HAProxy, nginx and Envoy pass, by the stricter expectation."""
    assert [case.name for case in CASES if not passes(case, whole[case.name], case.expectation)] == []
    assert [case.name for case in CASES if not passes(case, whole[case.name], case.floor)] == []


def test_every_difference_to_the_source_is_explained(whole: dict[str, Outcome]) -> None:
    assert differing(whole) - DIFFERENCES.keys() == set()


def test_no_explanation_is_left_over(whole: dict[str, Outcome]) -> None:
    assert DIFFERENCES.keys() - differing(whole) == set()


def differing(whole: dict[str, Outcome]) -> set[str]:
    """Cases that the source takes and Fairlead does not, or the other way round."""
    return {
        case.name
        for case in CASES
        if case.source_takes_it is not None and case.source_takes_it is not is_taken(case, whole[case.name])
    }


@pytest.mark.parametrize("part", range(SLICES))
def test_cut_at_every_byte(part: int, whole: dict[str, Outcome], theatre: Theatre) -> None:
    for case in CASES[part::SLICES]:
        for pieces in at_every_byte(case.data):
            check(case, theatre.play(in_steps(theatre, case, pieces))[0], whole, f"cut at {len(pieces[0])}")


def test_one_byte_a_read(whole: dict[str, Outcome], theatre: Theatre) -> None:
    for case in CASES:
        check(case, theatre.play(in_steps(theatre, case, byte_by_byte(case.data)))[0], whole, "byte by byte")


@pytest.mark.parametrize("size", [1 << 20, 64, 7])
def test_four_at_a_time_over_shared_connections(size: int, whole: dict[str, Outcome], theatre: Theatre) -> None:
    """Each four are others than those next to each other, so that requests and replies meet."""
    quarter = -(-len(CASES) // 4)
    for first in range(quarter):
        four = CASES[first::quarter]
        plays = [in_steps(theatre, case, in_pieces_of(case.data, size)) for case in four]
        for case, outcome in zip(four, theatre.play(*plays), strict=True):
            check(case, outcome, whole, f"beside {[other.name for other in four]}")
    assert theatre.crank.accepted < len(theatre.recorder.asked) / 2, "connections to the endpoint are not shared"


def check(case: Case, outcome: Outcome, whole: dict[str, Outcome], how: str) -> None:
    assert outcome == whole[case.name], f"{case.name} {how}"
