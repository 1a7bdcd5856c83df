"""What a Deployment does next in a rolling update: how many new pods it makes, how many old ones it deletes.

Pure; the rules of the real controller (kubernetes pkg/controller/deployment/rolling.go), with counts in the place of
percentages. Pods that are being deleted count for nothing. Invariants: never fewer ready pods than
`replicas - max_unavailable` by its own doing, never more pods than `replicas + max_surge`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Strategy:
    """A Deployment's `replicas` and the two bounds of its rolling update."""

    replicas: int = 3
    max_surge: int = 1
    max_unavailable: int = 0


@dataclass(frozen=True)
class Step:
    """What to do now; of the pods to delete those that are not ready come first."""

    create: int = 0
    delete_old: int = 0
    delete_new: int = 0


def step(strategy: Strategy, old: Sequence[bool], new: Sequence[bool]) -> Step:
    """`old` and `new` say of each pod whether it is ready."""
    replicas = strategy.replicas
    total = len(old) + len(new)
    if len(new) > replicas:
        return Step(delete_new=len(new) - replicas)
    room = replicas + strategy.max_surge - total if old else replicas - len(new)
    create = max(0, min(room, replicas - len(new)))
    return Step(create=create, delete_old=_to_delete(strategy, old, new))


def _to_delete(strategy: Strategy, old: Sequence[bool], new: Sequence[bool]) -> int:
    """Old pods that are not ready serve nobody; of those that are, so many as leaves enough."""
    least = strategy.replicas - strategy.max_unavailable
    unready_new = new.count(False)
    room = max(0, len(old) + len(new) - least - unready_new)
    unready = min(list(old).count(False), room)
    spare = max(0, list(old).count(True) + list(new).count(True) - least)
    return min(unready + spare, room, len(old))
