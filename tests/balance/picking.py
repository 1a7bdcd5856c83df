"""Pickers built and asked in tests, compiled and interpreted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modes import Mode

if TYPE_CHECKING:
    from fairlead.balance import Candidate, Picker

ROOT = Path(__file__).parents[2]
NAMES = ("round-robin", "random", "weighted", "least-request", "peak-ewma", "hash")
FILES = ("docs/examples/shortest_queue.py:ShortestQueue",)


def endpoints(mode: Mode, *weights: int) -> list[Candidate]:
    """Endpoints e0, e1, ... with these weights."""
    candidate: type[Candidate] = mode["balance"].Candidate
    return [candidate(f"e{i}", weight) for i, weight in enumerate(weights)]


def build(
    mode: Mode, name: str, given: Sequence[Candidate], previous: Picker | None = None, seed: int | None = 1
) -> Picker:
    """A picker of a policy by name, or from a file; those by name with a seed."""
    if name in FILES:
        picker: Picker = mode["balance"].load(name, ROOT)(given, previous)
    else:
        picker = mode["balance"].POLICIES[name](given, previous, seed)
    return picker


def picks(picker: Picker, count: int) -> list[str]:
    """The addresses of so many picks."""
    chosen = [picker.pick(0, None) for _ in range(count)]
    return [endpoint.address for endpoint in chosen if endpoint is not None]


def chi_square(counts: Counter[str], given: Iterable[Candidate], by_weight: bool) -> float:
    """How far the counts are from the proportions that the weights ask for; about the number of endpoints by chance."""
    shares = {endpoint.address: endpoint.weight if by_weight else 1 for endpoint in given}
    scale = sum(counts.values()) / sum(shares.values())
    return sum((counts[address] - share * scale) ** 2 / (share * scale) for address, share in shares.items())


def furthest(chosen: Sequence[str], given: Sequence[Candidate], by_weight: bool) -> float:
    """The most turns that any endpoint ever was ahead of its share or behind it."""
    shares = {endpoint.address: endpoint.weight if by_weight else 1 for endpoint in given}
    total = sum(shares.values())
    counts: Counter[str] = Counter()
    worst = 0.0
    for n, address in enumerate(chosen, 1):
        counts[address] += 1
        worst = max(worst, *(abs(counts[a] - n * share / total) for a, share in shares.items()))
    return worst
