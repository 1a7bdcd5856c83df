"""Limits are those of all workers together."""

from __future__ import annotations

from fairlead.control.shares import part, shared
from fairlead.model import Queue, Service, ServiceLimits, Update
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(1, 10_000), st.integers(1, 64))
def test_the_parts_add_up_to_the_whole_and_nobody_has_none(limit: int, workers: int) -> None:
    parts = [part(limit, number, workers) for number in range(workers)]
    assert sum(parts) == max(limit, workers)
    assert max(parts) - min(parts) <= 1
    assert part(0, 0, workers) == 0


def test_what_is_shared_of_a_service() -> None:
    service = Service(
        name="app",
        limits=ServiceLimits(max_connections=8, max_in_flight=3, max_idle=100),
        max_in_flight=10,
        queue=Queue(max=1, timeout_s=3.0),
    )
    free = Service(name="free")
    update = Update(version=1, services=(service, free))
    first, second = (shared(update, number, 2).services for number in range(2))
    assert first[0].limits == ServiceLimits(max_connections=4, max_in_flight=2, max_idle=100)
    assert second[0].limits == ServiceLimits(max_connections=4, max_in_flight=1, max_idle=100)
    assert [each[0].max_in_flight for each in (first, second)] == [5, 5]
    assert [each[0].queue for each in (first, second)] == [service.queue] * 2
    assert first[1] is free
    assert shared(update, 0, 1) is update
