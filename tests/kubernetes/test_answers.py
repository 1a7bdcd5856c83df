"""What is read of the API's bytes and refusals: any of them is a line, an error, or nothing."""

from __future__ import annotations

import json

import pytest
from fairlead.discovery.kubernetes.answers import UNREACHED, ApiError, What, error_event, refusal
from fairlead.discovery.kubernetes.lines import Lines, TooLong
from hypothesis import given
from hypothesis import strategies as st

SLICES = What("endpointslices", "discovery.k8s.io", "shop")


@given(st.lists(st.binary(min_size=1).filter(lambda line: line.strip() and b"\n" not in line)), st.data())
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    rest = b"".join(line + b"\n" for line in lines)
    reading, found = Lines(), []
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        found += reading.feed(rest[:size])
        rest = rest[size:]
    assert found == lines


def test_a_line_has_an_end() -> None:
    reading = Lines(10)
    assert reading.feed(b"12345\n67890") == [b"12345"]
    with pytest.raises(TooLong):
        reading.feed(b"123456")


@given(st.integers(100, 599), st.text(), st.text())
def test_any_refusal_is_an_error_in_one_line_of_words(status: int, body: str, retry_after: str) -> None:
    error = refusal(status, body, retry_after, SLICES)
    assert (error.status, 0 <= error.retry_after_s <= 60) == (status, True)
    assert status == 403 or "\n" not in str(error)
    assert len(str(error)) < 500


def test_a_status_speaks_for_itself() -> None:
    body = json.dumps({"kind": "Status", "message": "etcdserver: leader changed"})
    assert str(refusal(500, body, "", SLICES)).endswith("for endpointslices: etcdserver: leader changed")
    assert refusal(429, "", "7", SLICES).retry_after_s == 7


def test_what_is_cluster_wide_needs_a_cluster_role() -> None:
    text = str(refusal(403, "", "", What("nodes", "", "", "get")))
    assert text.startswith("the user of this proxy may not get nodes (403); add to its ClusterRole:\n- apiGroups")


@pytest.mark.parametrize("raw", [None, [], "x", {}, {"code": "410"}, {"code": None, "message": 5}])
def test_an_error_event_that_says_nothing_is_an_error(raw: object) -> None:
    assert error_event(raw).status == 500


def test_an_error_without_an_answer_has_no_status() -> None:
    assert ApiError("away").status == UNREACHED
