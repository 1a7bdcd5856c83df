"""Which endpoint is worse than the others: tables for small pools, and what must never be an outlier."""

from __future__ import annotations

import pytest
from fairlead.health.outliers import Finding, Outliers
from fairlead.model import Ejection, Reason
from hypothesis import given
from hypothesis import strategies as st

Second = dict[str, tuple[int, int, int]]  # address -> successes, failures, median in us


def sweeps(*seconds: Second) -> list[Finding]:
    """What the last of these seconds leads to."""
    outliers = Outliers(Ejection())
    found: list[Finding] = []
    for second in seconds:
        for address, observed in second.items():
            outliers.observe(address, *observed)
        found = outliers.sweep(list(second))
    return found


def of(*latencies_ms: float, replies: int = 100) -> Second:
    return {f"e{number}": (replies, 0, int(ms * 1000)) for number, ms in enumerate(latencies_ms)}


def failing(*failures: int, requests: int = 100) -> Second:
    return {f"e{number}": (requests - count, count, 5000) for number, count in enumerate(failures)}


@pytest.mark.parametrize(
    ("second", "found"),
    [
        (failing(100, 0), ["e0"]),  # in the smallest of pools
        (failing(30, 0, 0), ["e0"]),
        (failing(19, 0, 0), []),  # below the share
        (failing(30, 11, 11), []),  # not three times the others
        (failing(50, 11, 11), ["e0"]),
        (failing(50, 50), []),  # both: whom should it be
        (failing(60, 60, 0), []),  # most of the others fail as well
        (failing(90, 40, 0), ["e0"]),
        (failing(4, 0, requests=8), []),  # too few requests
        (failing(4, 0, 0, requests=20), []),  # too few failures
        (failing(100), []),  # nobody to compare it with
    ],
)
def test_shares_of_failures(second: Second, found: list[str]) -> None:
    assert [finding.address for finding in sweeps(second)] == found


@pytest.mark.parametrize(
    ("second", "found"),
    [
        (of(100, 5), ["e0"]),
        (of(5, 100), ["e1"]),
        (of(100, 5, 5), ["e0"]),
        (of(100, 90, 5), ["e0", "e1"]),  # one slow one does not hide another
        (of(100, 90, 5, 5, 5), ["e0", "e1"]),
        (of(100, 100), []),
        (of(19, 5, 5), []),  # less than four times
        (of(10, 1, 1), []),  # less than 10 ms more
        (of(12, 1, 1), ["e0"]),
        (of(5, 5, 5, 5, 5, 200), ["e5"]),
        (of(100, 5, replies=4), []),
        (of(100), []),
    ],
)
def test_latencies(second: Second, found: list[str]) -> None:
    assert [finding.address for finding in sweeps(second, second)] == found
    assert sweeps(second) == []  # once may be a pause


def test_a_pause_between_passes_by() -> None:
    slow, well = of(100, 5, 5), of(5, 5, 5)
    assert sweeps(slow, well, slow) == []
    assert [finding.address for finding in sweeps(slow, well, slow, slow)] == ["e0"]


def test_the_worst_comes_first_and_says_the_numbers() -> None:
    (slow, slower) = sorted(sweeps(of(100, 400, 5, 5), of(100, 400, 5, 5)), key=lambda each: each.severity)
    assert (slower.address, slow.address) == ("e1", "e0")
    assert sweeps(of(100, 400, 5, 5), of(100, 400, 5, 5))[0] == slower
    assert slower.text == "its median latency is 400 ms, the others' 5 ms; the threshold is 20 ms"
    (bad,) = sweeps(failing(50, 1, 1))
    assert bad.reason is Reason.SUCCESS_RATE
    assert bad.details == {"failed_share": 0.5, "others_share": 0.01, "threshold": 0.2}


def test_the_medians_of_workers_are_weighed() -> None:
    outliers = Outliers(Ejection())
    for _ in range(2):
        outliers.observe("a", 1, 0, 1_000_000)
        outliers.observe("a", 99, 0, 5_000)
        outliers.observe("b", 100, 0, 5_000)
        assert outliers.sweep(["a", "b"]) == []


def test_what_is_not_seen_any_more_is_forgotten() -> None:
    outliers = Outliers(Ejection())
    outliers.observe("a", 100, 100, 5000)
    for _ in range(60):
        outliers.sweep(["a"])
    assert outliers._observed == {}


@given(st.integers(2, 8), st.integers(1, 10**6), st.floats(1.0, 3.9), st.integers(0, 10))
def test_endpoints_that_are_alike_are_never_outliers(count: int, us: int, spread: float, bad: int) -> None:
    second = {f"e{n}": (100, bad, int(us * (spread if n % 2 else 1))) for n in range(count)}
    assert sweeps(second, second, second) == []


@given(st.integers(2, 40), st.data())
def test_one_of_many_that_is_far_off_is_always_seen(count: int, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, count - 1))
    slow = {f"e{n}": (50, 0, 200_000 if n == place else 5_000) for n in range(count)}
    assert [finding.address for finding in sweeps(slow, slow)] == [f"e{place}"]
    broken = {f"e{n}": (10 if n == place else 50, 40 if n == place else 0, 5_000) for n in range(count)}
    assert [finding.address for finding in sweeps(broken)] == [f"e{place}"]
