"""weighted: each endpoint as often as its weight says, spread out evenly.

Earliest deadline first in virtual time, as Envoy's EDF scheduler: an endpoint of weight w is due every 1/w, so a pick
costs a step through a heap and heavy endpoints never come in bursts. nginx's smooth weighted round-robin gives the
same spread and looks at every endpoint for each pick.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence

import cython

if cython.compiled:
    from cython.cimports.fairlead.balance.seam import Candidate, Picker
else:
    from fairlead.balance.seam import Candidate, Picker

from fairlead.balance.seam import Prng

_SCALE = 1 << 32  # virtual time of one turn of weight 1
_GOLDEN = 2654435769  # 2**32 / golden ratio: the first turns are spread evenly (Knuth, TAOCP 6.4)

_Entry = tuple[int, int, Candidate]  # (due, place, endpoint)


class Weighted(Picker):
    """See the module. Endpoints that stay keep their place in virtual time; new ones are not all due at once."""

    def __init__(self, endpoints: Sequence[Candidate], previous: Picker | None = None, seed: int | None = None) -> None:
        self.now = 0
        due: dict[str, int] = {}
        if isinstance(previous, Weighted):
            self.now = previous.now
            due = previous.due()
        offset = Prng(seed).below(1 << 31)
        queue: list[_Entry] = []
        for place, endpoint in enumerate(endpoints):
            turn = _SCALE // endpoint.weight
            first = self.now + ((place + offset) * _GOLDEN % _SCALE) // endpoint.weight
            kept = due.get(endpoint.address, first)
            queue.append((min(kept, self.now + turn), place, endpoint))
        heapq.heapify(queue)
        self._queue = queue

    def due(self) -> dict[str, int]:
        """When each endpoint's next turn is, in virtual time."""
        return {endpoint.address: due for due, _, endpoint in self._queue}

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        if not self._queue:
            return None
        if tried is not None:
            return self._pick_untried(tried)
        entry = self._queue[0]
        endpoint = entry[2]
        due = entry[0]
        self.now = due
        heapq.heapreplace(self._queue, (due + _SCALE // endpoint.weight, entry[1], endpoint))
        return endpoint

    def _pick_untried(self, tried: Collection[Candidate]) -> Candidate | None:
        """The first in turn that was not tried. The ones before it keep their turns."""
        skipped: list[_Entry] = []
        chosen = None
        while self._queue:
            due, place, endpoint = heapq.heappop(self._queue)
            if endpoint in tried:
                skipped.append((due, place, endpoint))
                continue
            heapq.heappush(self._queue, (due + _SCALE // endpoint.weight, place, endpoint))
            chosen = endpoint
            break
        for entry in skipped:
            heapq.heappush(self._queue, entry)
        return chosen
