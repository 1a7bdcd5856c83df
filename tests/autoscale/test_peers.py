"""What replicas tell each other: the same figures on the other side, nothing for who has not the key, strictly read."""

from __future__ import annotations

import json

import pytest
from autoscale.samplings import START, A, B, Traffic
from fairlead.autoscale import peers
from fairlead.autoscale.metrics import METRICS
from fairlead.autoscale.peers import Together, Told
from fairlead.autoscale.window import Window
from hypothesis import given
from hypothesis import strategies as st

KEY = b"0123456789abcdef"


def replica(requests_per_second: int, seconds: int = 12) -> Traffic:
    """A window of 10 s; all latencies are 100 ms times the requests a second."""
    made = Traffic(Window(10.0))
    made.second()
    for _ in range(seconds):
        made.serve(A, *[100_000 * requests_per_second] * requests_per_second)
        made.in_flight = {A: requests_per_second}
        made.second()
    return made


def told(traffic: Traffic, with_endpoints: bool = True, skew: float = 0.0) -> Told:
    """As another replica hears it, whose clock may go differently."""
    now = START + traffic.now
    body = peers.tell("other", traffic.window, {"shop": 2.0}, now, with_endpoints)
    return peers.hear(body, now + skew)


def test_what_is_heard_is_what_was_seen() -> None:
    traffic = replica(3)
    heard = told(traffic)
    assert heard.replica == "other"
    assert heard.current == {"shop": traffic.window.current("shop", 2.0)}
    assert heard.with_traffic == {"shop": traffic.window.with_traffic("shop", 2.0)}
    assert heard.endpoints == {"shop": traffic.window.endpoints("shop", 2.0)}
    assert told(traffic, with_endpoints=False).endpoints == {}


def test_times_are_those_of_who_hears() -> None:
    traffic = replica(3)
    now = START + traffic.now
    heard = told(traffic, skew=1000.0)
    assert heard.current["shop"].at == pytest.approx(now + 1000.0)


def test_replicas_together_are_as_one_that_had_seen_everything() -> None:
    one, two, both = replica(2), replica(3), Traffic(Window(10.0))
    both.second()
    for _ in range(12):
        both.serve(A, *[200_000] * 2, *[300_000] * 3)
        both.in_flight = {A: 5}
        both.second()
    together = Together(one.window, [told(two)])
    for found, wanted in (
        (together.current("shop", 2.0), both.window.current("shop", 2.0)),
        (together.with_traffic("shop", 2.0), both.window.with_traffic("shop", 2.0)),
        (together.endpoints("shop", 2.0)[A], both.window.endpoints("shop", 2.0)[A]),
    ):
        assert found is not None
        assert wanted is not None
        for metric in METRICS.values():
            assert metric.read(found) == pytest.approx(metric.read(wanted)), metric.name
    assert set(together.endpoints("shop", 2.0)) == {A, B}
    assert together.is_whole


def test_a_replica_that_has_just_started_adds_its_own_rate() -> None:
    together = Together(replica(2).window, [told(replica(3, seconds=2))]).current("shop")
    assert together is not None
    assert METRICS["fairlead_requests_per_second"].read(together) == pytest.approx(5.0)


def test_the_last_traffic_is_that_of_the_replica_that_had_it_last() -> None:
    early, late = replica(2), replica(3)
    early.second(100)
    late.second(50)
    late.serve(A, 900_000)
    late.second(50)
    last = Together(early.window, [told(late)]).with_traffic("shop")
    assert last is not None
    assert last.at == pytest.approx(START + 64)
    assert last.requests == 1


def test_without_figures_of_anybody_there_are_none() -> None:
    together = Together(Window(10.0), [])
    assert together.current("shop") is together.with_traffic("shop") is None
    assert together.endpoints("shop") == {}
    assert not together.is_whole


def test_a_question_is_answered_to_who_has_the_key_and_soon() -> None:
    header = peers.question(KEY, peers.PATH, "abc", 1000.0)
    assert peers.asked(KEY, peers.PATH, header, 1059.0) == "abc"
    assert peers.asked(KEY, peers.PATH, header, 1061.0) is None
    assert peers.asked(KEY, peers.PATH, header, 939.0) is None
    assert peers.asked(b"another key of 16", peers.PATH, header, 1000.0) is None
    assert peers.asked(KEY, peers.WITH_ENDPOINTS, header, 1000.0) is None


@pytest.mark.parametrize(
    "header", ["", "x", "1000", "1000.abc", "1000.abc.", "\u0661.a.b", "1" * 40 + ".a.b", "-1.a.b", "1000..x"]
)
def test_what_is_no_signature_is_none(header: str) -> None:
    assert peers.asked(KEY, peers.PATH, header, 1000.0) is None


def test_an_answer_is_to_one_question() -> None:
    signature = peers.answer(KEY, "abc", b"body")
    assert peers.is_answer(KEY, "abc", b"body", signature)
    for key, nonce, body in ((KEY, "abd", b"body"), (KEY, "abc", b"bodY"), (b"x" * 16, "abc", b"body")):
        assert not peers.is_answer(key, nonce, body, signature)
    assert not peers.is_answer(KEY, "abc", b"body", "\u00e4")


FIGURES = {"age_s": 1.0, "counts": [3, 1], "window_s": 30.0, "requests": 1, "errors": 0, "rate": 0.1}
FIGURES |= {"in_flight": 0.5, "busy": 0.5, "queued": 0, "capacity": 0, "is_guess": False}
GOOD = {"replica": "a", "current": {"shop": FIGURES}, "with_traffic": {}, "endpoints": {"shop": {A: FIGURES}}}


@pytest.mark.parametrize(
    "change",
    [
        {"replica": 1},
        {"current": []},
        {"current": {"shop": []}},
        {"endpoints": {"shop": {A: 1}}},
        *(
            {"current": {"shop": {**FIGURES, name: value}}}
            for name in FIGURES
            for value in (-1, "1", None, float("nan"))
        ),
        {"current": {"shop": {**FIGURES, "requests": 1.5}}},
        {"current": {"shop": {**FIGURES, "counts": [1]}}},
        {"current": {"shop": {**FIGURES, "counts": [True, 1]}}},
    ],
)
def test_anything_else_than_figures_is_refused(change: dict[str, object]) -> None:
    assert peers.hear(json.dumps(GOOD).encode(), 0.0).current["shop"].counts == {3: 1}
    with pytest.raises(ValueError):
        peers.hear(json.dumps({**GOOD, **change}).encode(), 0.0)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(FIGURES | GOOD)), inner),
    max_leaves=20,
)


@given(st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        peers.hear(body, 0.0)
    except ValueError:
        return
