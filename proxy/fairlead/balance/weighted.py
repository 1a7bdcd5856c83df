"""weighted: each endpoint as often as its weight says, spread out evenly.

Endpoints of one weight are a group and take turns in it. Among the groups a pick is a slot of time, as in Pfair
scheduling (Baruah et al. 1996): the turn number k of a group with weight w of W in all may begin at slot kW/w and must
end before slot (k + 1)W/w; of the turns that may begin, the one that must end first is taken. On one processor that
meets every end, so no endpoint is ever a whole turn ahead of its share or behind it. A pick costs a step through a heap
of groups, and they are few. Other schedulers: nginx looks at every endpoint for each pick; one deadline per endpoint
without a beginning, as in Envoy, strays by up to 1.7 turns (measured with the weights 1, 2, 4, ... 64).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from heapq import heapify, heappop, heappush

import cython

if cython.compiled:
    from cython.cimports.fairlead.balance.round_robin import RoundRobin
    from cython.cimports.fairlead.balance.seam import Candidate, Picker
else:
    from fairlead.balance.round_robin import RoundRobin
    from fairlead.balance.seam import Candidate, Picker

from fairlead.balance.seam import Prng


class Group:
    """The endpoints of one weight. Its present turn may be taken from slot `begin` to before slot `end`.

    The turn begins at begin + rest / weight exactly, so that no rounding adds up.
    """

    def __init__(self, endpoints: Sequence[Candidate], previous: RoundRobin | None, seed: int) -> None:
        self.each = endpoints[0].weight
        self.weight = self.each * len(endpoints)
        self.members = RoundRobin(endpoints, previous, seed)

    def start(self, at: int, total: int) -> None:
        """The first turn begins at slot at / weight; all endpoints weigh `total`."""
        self.begin = 0
        self.rest = at
        self._set(total)

    def advance(self, total: int) -> None:
        """On to the next turn."""
        self.rest += total
        self._set(total)

    def _set(self, total: int) -> None:
        self.begin += self.rest // self.weight
        self.rest = self.rest % self.weight
        self.end = self.begin + (self.rest + total + self.weight - 1) // self.weight


_Heap = list[tuple[int, int, Group]]


class Weighted(Picker):
    """See the module. After a change each group is as far from its turn as it was, and so is each endpoint in it."""

    ignores_latency = True

    def __init__(self, endpoints: Sequence[Candidate], previous: Picker | None = None, seed: int | None = None) -> None:
        by_weight: dict[int, list[Candidate]] = {}
        for endpoint in endpoints:
            by_weight.setdefault(endpoint.weight, []).append(endpoint)
        self._now = 0  # the slot that is picked for next
        self._total = sum(endpoint.weight for endpoint in endpoints)
        self._ready: _Heap = []  # (end, weight of each, group) of turns that have begun
        self._waiting: _Heap = []  # (begin, weight of each, group) of turns that have not
        before = previous.standing() if isinstance(previous, Weighted) else {}
        prng = Prng(seed)
        for each, members in by_weight.items():
            members_before, ahead, total = before.get(each, (None, 0, 1))
            group = Group(members, members_before, prng.below(1 << 32))
            group.start(ahead * self._total // total, self._total)
            self._waiting.append((group.begin, each, group))
        self._ready = [(group.end, each, group) for begin, each, group in self._waiting if begin <= 0]
        self._waiting = [entry for entry in self._waiting if entry[0] > 0]
        heapify(self._ready)
        heapify(self._waiting)

    def standing(self) -> dict[int, tuple[RoundRobin, int, int]]:
        """By weight: who takes turns, and how many turns it is until the group's next one begins, as a fraction."""
        groups = [entry[2] for entry in self._ready + self._waiting]
        return {g.each: (g.members, (g.begin - self._now) * g.weight + g.rest, self._total) for g in groups}

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        if tried is not None:
            return self._pick_untried(tried)
        if self._total == 0:
            return None
        group = self._due()
        self._take_turn(group)
        return group.members.pick(key, None)

    def _due(self) -> Group:
        """Take out the group whose turn must end first, of those that have begun."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= self._now:
            group: Group = heappop(waiting)[2]
            heappush(self._ready, (group.end, group.each, group))
        return heappop(self._ready or waiting)[2]

    def _take_turn(self, group: Group) -> None:
        self._now += 1
        group.advance(self._total)
        heappush(self._waiting, (group.begin, group.each, group))

    def _pick_untried(self, tried: Collection[Candidate]) -> Candidate | None:
        """An untried endpoint of the first group that has one. The groups before it keep their turns."""
        skipped: list[Group] = []
        chosen = None
        while chosen is None and (self._ready or self._waiting):
            group = self._due()
            chosen = group.members.pick(0, tried)
            if chosen is None:
                skipped.append(group)
            else:
                self._take_turn(group)
        for group in skipped:
            heappush(self._waiting, (group.begin, group.each, group))
        return chosen
