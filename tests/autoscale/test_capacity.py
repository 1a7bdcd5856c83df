"""What is learned of an endpoint: from slices that are in time, late, piling up, and from what only looks like it."""

from __future__ import annotations

import math

import pytest
from fairlead.autoscale.capacity import ASSUMED, Certainty, Learner, Slice
from hypothesis import given
from hypothesis import strategies as st

OBJECTIVE_S = 0.25
USUAL_S = 0.05


def good(each: float, endpoints: int = 4, mean_s: float = USUAL_S, late_s: float = 0.1) -> Slice:
    """In time: all that arrives is served."""
    return Slice(endpoints=endpoints, arrivals=each * endpoints, served=each * endpoints, mean_s=mean_s, late_s=late_s)


def late(each: float, arriving: float | None = None, endpoints: int = 4) -> Slice:
    """Late: so many are served by each endpoint, and so many arrive for each."""
    arrivals = (each if arriving is None else arriving) * endpoints
    return Slice(endpoints=endpoints, arrivals=arrivals, served=each * endpoints, mean_s=0.5, late_s=1.0)


def learned(*slices: Slice) -> Learner:
    learner = Learner(OBJECTIVE_S)
    for each in slices:
        learner.learn(each)
    return learner


def rate(*slices: Slice) -> float:
    return learned(*slices).estimate().rate


def test_at_first_there_is_nothing() -> None:
    estimate = Learner(OBJECTIVE_S).estimate()
    assert (estimate.rate, estimate.concurrency, estimate.certainty) == (0.0, 0.0, Certainty.NONE)


def test_while_nothing_was_late_half_as_much_again_is_assumed() -> None:
    estimate = learned(good(40), good(60), good(20)).estimate()
    assert (estimate.rate, estimate.certainty) == (60 * ASSUMED, Certainty.ASSUMED)


def test_what_is_done_while_requests_pile_up_is_the_capacity() -> None:
    estimate = learned(good(60), late(100, 180), late(100, 180)).estimate()
    assert (estimate.rate, estimate.certainty) == (100, Certainty.LEARNED)
    assert estimate.concurrency == pytest.approx(100 * USUAL_S)


def test_one_slow_slice_changes_nothing() -> None:
    before = [good(60), late(100, 180), late(100, 180), good(70)]
    assert rate(*before, late(20)) == rate(*before)
    assert learned(good(60), late(20)).estimate().certainty is Certainty.ASSUMED


def test_on_the_way_to_late_and_queueing_it_is_nearly_full() -> None:
    """Three times the usual mean, and more than half of the objective: so it is known before anybody has waited."""
    estimate = learned(good(40), good(80, mean_s=0.15, late_s=0.2)).estimate()
    assert (estimate.rate, estimate.certainty) == (100, Certainty.LEARNED)
    assert learned(good(40), good(80, late_s=0.2)).estimate().certainty is Certainty.ASSUMED, "slow, and not queueing"
    assert learned(good(40), good(80, mean_s=0.15)).estimate().certainty is Certainty.ASSUMED, "far from late"


KNOWN = (good(60), late(100, 180), late(100, 180), good(70))


def test_an_app_that_became_faster_is_learned_by_what_goes_well() -> None:
    assert rate(*KNOWN, *[good(150)] * 8) == pytest.approx(150, rel=0.01)


def test_an_app_that_became_slower_is_learned_anew() -> None:
    assert rate(*KNOWN, *[late(30, 70)] * 8) == pytest.approx(30, rel=0.05)


def test_late_without_piling_up_goes_down_to_half_and_no_further() -> None:
    """The database is slow: each endpoint gets less as more of them come, and is as late as before."""
    slices = [late(60 / more, endpoints=4) for more in range(1, 40)]
    assert rate(*KNOWN, *slices) == pytest.approx(50, rel=0.01)
    piling = [late(60 / more, 80, endpoints=4) for more in range(1, 40)]
    assert rate(*KNOWN, *piling) < 5


def test_after_it_went_well_again_the_half_counts_from_there() -> None:
    assert rate(*KNOWN, *[late(10)] * 20, good(20), *[late(10)] * 20) == pytest.approx(25, rel=0.01)


def test_an_objective_that_was_never_met_is_measured_as_it_is() -> None:
    """Then it is full with what it does: a scaler gets more endpoints, up to its maximum."""
    estimate = learned(late(30), late(30)).estimate()
    assert (estimate.rate, estimate.certainty) == (30, Certainty.LEARNED)
    assert estimate.concurrency == pytest.approx(30 * OBJECTIVE_S)


def test_queues_that_are_emptied_tell_nothing() -> None:
    assert rate(*KNOWN, *[late(60, 30)] * 5) == rate(*KNOWN)


def test_new_endpoints_have_time_to_warm_up() -> None:
    known = rate(*KNOWN)
    cold = [late(40, endpoints=8)] * 4
    assert rate(*KNOWN, *cold) == known
    assert rate(*KNOWN, *cold, late(40, endpoints=8)) < known, "after that it is what they can do"
    assert rate(*KNOWN, *[late(40, 80, endpoints=8)] * 2) < known, "piling up is believed at once"


def test_at_ease_it_creeps_up_so_that_too_low_an_estimate_is_found_out() -> None:
    known = rate(*KNOWN)
    assert rate(*KNOWN, *[good(60)] * 100) == pytest.approx(known * 1.001**100)
    assert rate(*KNOWN, *[good(60, mean_s=USUAL_S * 1.3)] * 20) == known, "something queues"
    assert rate(*KNOWN, *[good(40)] * 100) == known, "far from full"


slices = st.builds(
    Slice,
    endpoints=st.integers(1, 100),
    arrivals=st.floats(0.0, 1e5),
    served=st.floats(0.0, 1e5),
    mean_s=st.floats(1e-6, 100.0),
    late_s=st.floats(1e-6, 100.0),
)


@given(st.lists(slices, max_size=50))
def test_it_is_finite_and_never_negative(seen: list[Slice]) -> None:
    estimate = learned(*seen).estimate()
    assert math.isfinite(estimate.rate)
    assert math.isfinite(estimate.concurrency)
    assert estimate.rate >= 0
    most = max((each.served / each.endpoints for each in seen), default=0.0)
    assert estimate.rate <= max(ASSUMED, 1 / 0.8) * most * 1.001 ** len(seen) + 1e-9
