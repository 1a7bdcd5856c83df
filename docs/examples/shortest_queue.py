"""A balancing policy of one's own: the endpoint with the fewest requests in flight for its weight.

services:
  shop:
    endpoints: ["10.0.0.1:8080", "10.0.0.2:8080"]
    balance: ./shortest_queue.py:ShortestQueue
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fairlead.balance import Candidate


class ShortestQueue:
    """Looks at every endpoint for each request: right for tens of them, not for thousands."""

    def __init__(self, endpoints: Sequence[Candidate], previous: ShortestQueue | None) -> None:
        self.endpoints = endpoints
        self.next = previous.next if previous else 0

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        chosen = None
        count = len(self.endpoints)
        for i in range(self.next, self.next + count):  # from another one each time: equal queues take turns
            endpoint = self.endpoints[i % count]
            if (not tried or endpoint not in tried) and (chosen is None or is_shorter(endpoint, chosen)):
                chosen = endpoint
        self.next += 1
        return chosen


def is_shorter(one: Candidate, other: Candidate) -> bool:
    return one.in_flight * other.weight < other.in_flight * one.weight
