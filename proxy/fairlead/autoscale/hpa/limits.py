"""What becomes of a wanted count: the windows that steady it, and how much may change in a period.

Owns the memory of one autoscaler: what it wanted, and what it did. Never reads a clock. Steadying: up to the least that
was wanted within the window for up, down to the most that was wanted within the window for down; so a dip shorter than
that window changes nothing. Then the policies: a period begins with as many pods as there were then.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import final

from fairlead.autoscale.hpa.spec import Policy, Rules, Spec

_Choice = Callable[[Iterable[int]], int]


@final
class Memory:
    """Of one target. `now` is in seconds and never goes back."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._wanted: deque[tuple[float, int]] = deque()
        self._changes: deque[tuple[float, int]] = deque()
        self._longest = max(spec.up.window_s, spec.down.window_s)
        self._longest_period = max((policy.period_s for policy in (*spec.up.policies, *spec.down.policies)), default=0)

    def steadied(self, now: float, current: int, wanted: int) -> int:
        """What all that was wanted of late agrees with; and remember this as well."""
        if not self._wanted:
            self._wanted.append((now, current))  # what is there was wanted by somebody
        up = min([wanted, *self._since(now - self._spec.up.window_s)])
        down = max([wanted, *self._since(now - self._spec.down.window_s)])
        self._wanted.append((now, wanted))
        while self._wanted[0][0] < now - self._longest:
            self._wanted.popleft()
        return min(max(current, up), down)

    def limited(self, now: float, current: int, wanted: int) -> tuple[int, str]:
        """As near to what is wanted as bounds and policies allow, and which of them does not allow it."""
        if wanted > current:
            limit = max(self._up_limit(now, current), current)
            bound, why = (limit, "policy") if limit < self._spec.most else (self._spec.most, "maximum")
            return (bound, why) if wanted > bound else (wanted, "")
        if wanted < current:
            limit = min(self._down_limit(now, current), current)
            bound, why = (limit, "policy") if limit > self._spec.least else (self._spec.least, "minimum")
            return (bound, why) if wanted < bound else (wanted, "")
        return current, ""

    def changed(self, now: float, by: int) -> None:
        """The count was changed by so many."""
        self._changes.append((now, by))
        while self._changes and self._changes[0][0] < now - self._longest_period:
            self._changes.popleft()

    def _since(self, cutoff: float) -> list[int]:
        return [count for at, count in self._wanted if at > cutoff]

    def _begun_with(self, now: float, current: int, policy: Policy) -> int:
        return current - sum(by for at, by in self._changes if at > now - policy.period_s)

    def _up_limit(self, now: float, current: int) -> int:
        limits = []
        for policy in self._spec.up.policies:
            begun = self._begun_with(now, current, policy)
            more = policy.value if policy.kind == "Pods" else math.ceil(begun * (1 + policy.value / 100)) - begun
            limits.append(begun + more)
        return _chosen(self._spec.up, limits, current, furthest=max, nearest=min)

    def _down_limit(self, now: float, current: int) -> int:
        limits = []
        for policy in self._spec.down.policies:
            begun = self._begun_with(now, current, policy)
            left = begun - policy.value if policy.kind == "Pods" else int(begun * (1 - policy.value / 100))
            limits.append(left)
        return _chosen(self._spec.down, limits, current, furthest=min, nearest=max)


def _chosen(rules: Rules, limits: list[int], current: int, *, furthest: _Choice, nearest: _Choice) -> int:
    if rules.select == "Disabled" or not limits:
        return current
    return nearest(limits) if rules.select == "Min" else furthest(limits)
