"""The latency histogram: indexes, merging, quantiles."""

import random

import pytest
from fairlead.observe.histogram import SIZE, Histogram, index_of, lower_us, upper_us
from hypothesis import given
from hypothesis import strategies as st

LARGEST = (1 << 36) - 1


@given(st.integers(min_value=0, max_value=LARGEST))
def test_a_value_lies_within_its_bucket_which_is_at_most_a_sixteenth_wide(us: int) -> None:
    index = index_of(us)
    assert lower_us(index) <= us <= upper_us(index)
    assert upper_us(index) - lower_us(index) <= max(0, lower_us(index) / 16)


def test_buckets_follow_each_other_without_a_gap() -> None:
    for index in range(SIZE - 1):
        assert upper_us(index) + 1 == lower_us(index + 1)
        assert index_of(lower_us(index)) == index_of(upper_us(index)) == index
    assert index_of(LARGEST) == SIZE - 1


@pytest.mark.parametrize(("us", "index"), [(-5, 0), (0, 0), (15, 15), (16, 16), (31, 31), (32, 32), (33, 32)])
def test_small_values_are_exact_and_negative_ones_count_as_none(us: int, index: int) -> None:
    assert index_of(us) == index


def test_a_value_beyond_the_largest_is_counted_in_the_last_bucket() -> None:
    assert index_of(1 << 36) == index_of(1 << 50) == SIZE - 1


def test_recording_counts_and_sums() -> None:
    histogram = Histogram()
    for us in (5, 5, 100, 1 << 20):
        histogram.record(us)
    assert (histogram.total, histogram.sum_us) == (4, 110 + (1 << 20))
    assert histogram.sparse() == [5, 2, index_of(100), 1, index_of(1 << 20), 1]


@given(st.lists(st.integers(min_value=0, max_value=LARGEST)), st.lists(st.integers(min_value=0, max_value=LARGEST)))
def test_merging_two_is_recording_into_one(left: list[int], right: list[int]) -> None:
    one, other, both = Histogram(), Histogram(), Histogram()
    for us in left:
        one.record(us)
    for us in right:
        other.record(us)
    for us in left + right:
        both.record(us)
    one.merge_sparse(other.sparse(), other.sum_us)
    assert (one.sparse(), one.total, one.sum_us) == (both.sparse(), both.total, both.sum_us)


def test_quantiles_are_within_a_bucket_of_the_truth() -> None:
    rng = random.Random(7)
    values = sorted(int(rng.lognormvariate(7, 1)) for _ in range(20_000))
    histogram = Histogram()
    for us in values:
        histogram.record(us)
    for q in (0.5, 0.9, 0.99, 0.999):
        truth = values[int(q * len(values)) - 1]
        assert abs(histogram.quantile_us(q) - truth) <= truth / 16 + 1


def test_the_quantile_of_nothing_is_nought() -> None:
    assert Histogram().quantile_us(0.99) == 0.0
