"""Weights from Pods: twice the CPU is twice the weight, and what is missing is said."""

from __future__ import annotations

import pytest
from fairlead.discovery.kubernetes.meaning import Meant
from fairlead.discovery.kubernetes.objects import Pod, read_pod
from fairlead.discovery.kubernetes.quantity import millicores
from fairlead.discovery.kubernetes.weights import MAX_WEIGHT, Weights, weighted
from fairlead.model import State
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.recorded import pod

A, B, C = (Meant(f"10.0.0.{last}:80", State.READY, name) for last, name in ((1, "a"), (2, "b"), (3, "c")))


def weights_of(how: Weights, *pods: Pod, default: int = 1) -> tuple[list[int], tuple[str, ...]]:
    endpoints, notes = weighted([A, B, C], {each.name: each for each in pods}, how, default)
    return [each.weight for each in endpoints], notes


def test_equal_is_what_the_source_says() -> None:
    assert weights_of(Weights.EQUAL, default=4) == ([4, 4, 4], ("weights: equal",))


def test_twice_the_cpu_is_twice_the_weight() -> None:
    one, two, half = Pod("a", None, 1000), Pod("b", None, 2000), Pod("c", None, 500)
    assert weights_of(Weights.CPU_REQUEST, one, two, half) == ([1000, 2000, 500], ("weights: by CPU requests",))


def test_more_cpu_than_fits_is_scaled() -> None:
    large, half, tiny = Pod("a", None, 200_000), Pod("b", None, 100_000), Pod("c", None, 1)
    assert weights_of(Weights.CPU_REQUEST, large, half, tiny)[0] == [MAX_WEIGHT, 32768, 1]


def test_a_pod_without_a_request_is_an_average_one() -> None:
    found, (note,) = weights_of(Weights.CPU_REQUEST, Pod("a", None, 1000), Pod("b", None, 2000), Pod("c", None, 0))
    assert found == [1000, 2000, 1500]
    assert note == "weights: by CPU requests; 1 of 3 endpoints have none and get 1500: c"


def test_nobody_has_a_request() -> None:
    assert weights_of(Weights.CPU_REQUEST, default=2)[0] == [2, 2, 2]


def test_annotations() -> None:
    found, (note,) = weights_of(Weights.ANNOTATION, Pod("a", "3", 0), Pod("b", " 65535 ", 0), Pod("c", None, 9))
    assert found == [3, 65535, 1]
    assert note == "weights: by the annotation fairlead.dev/weight; 1 of 3 endpoints have none and get 1: c"


@pytest.mark.parametrize("text", ["", "0", "-1", "65536", "1.5", "three", "\u0661", "9" * 50])
def test_an_annotation_that_is_no_weight_is_said(text: str) -> None:
    found, (note,) = weights_of(Weights.ANNOTATION, Pod("a", text, 0), Pod("b", "2", 0), Pod("c", "2", 0))
    assert found == [1, 2, 2]
    assert f"({text!r} is no whole number from 1 to 65535)" in note


def test_the_cpu_of_a_pod_is_that_of_all_that_runs_in_it() -> None:
    sidecar = {"name": "proxy", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m"}}}
    before = {"name": "migrate", "resources": {"requests": {"cpu": "8"}}}
    assert read_pod(pod("a", "1500m", initContainers=[sidecar, before])).millicores == 1600
    assert read_pod(pod("a", "1500m", resources={"requests": {"cpu": "2"}})).millicores == 2000
    assert read_pod(pod("a")).millicores == 0


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2000),
        ("0.5", 500),
        ("250m", 250),
        ("1500000u", 1500),
        ("1n", 1),
        ("2e1", 20000),
        (".1", 100),
        ("1k", 1_000_000),
    ],
)
def test_quantities(text: str, number: int) -> None:
    assert millicores(text) == number


@given(st.text())
def test_a_quantity_is_a_number_or_an_error(text: str) -> None:
    try:
        assert millicores(text) >= 0
    except ValueError as error:
        assert "is no quantity of CPU" in str(error)
