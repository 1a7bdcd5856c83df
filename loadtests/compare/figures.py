"""Figures, what they are held against, and whether they pass. Pure: numbers in, numbers out.

Lower is better in every figure. Rounds are summed up by their median.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import final

Sample = Mapping[str, float]  # one measurement: key of a figure or detail -> value
Samples = Mapping[str, Sequence[Sample]]  # peer -> its rounds, in order; an empty sample is one that failed
Values = Mapping[str, float]  # peer -> the value of one figure

FAIRLEAD = "fairlead"
NATIVE = ("nginx", "haproxy")
ENVOY = ("envoy",)
DIRECT = "direct"  # no proxy at all: the generator talks to the upstream


@final
@dataclass(frozen=True, slots=True)
class Bound:
    """At most `limit` times the best of the peers `of`, or at most `limit` itself when there are none."""

    limit: float
    of: tuple[str, ...] = ()

    def text(self, unit: str) -> str:
        """As it stands in the table."""
        if not self.of:
            return f"≤ {self.limit:g} {unit}"
        names = {NATIVE: "", ENVOY: " Envoy"}.get(self.of, " " + "/".join(self.of))
        return f"≤ {self.limit:g} x{names}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number that a workload yields for each peer. `key` names it in a sample."""

    key: str
    title: str
    unit: str
    bounds: tuple[Bound, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one bound. `is_met` is None when there is nothing to compare."""

    bound: Bound
    is_met: bool | None


def quantile(ordered: Sequence[float], q: float) -> float:
    """The value that a share `q` of an ordered sequence does not exceed (nearest rank, no value invented)."""
    if not ordered:
        raise ValueError("no values")
    return ordered[min(max(ceil(q * len(ordered)), 1), len(ordered)) - 1]


def medians(samples: Samples) -> dict[str, dict[str, float]]:
    """Of every key over the rounds, by peer. A key that a round lacks counts only where it is."""
    result: dict[str, dict[str, float]] = {}
    for peer, rounds in samples.items():
        keys = dict.fromkeys(key for sample in rounds for key in sample)
        result[peer] = {key: median([sample[key] for sample in rounds if key in sample]) for key in keys}
    return result


def added(values: Mapping[str, Sample], keys: Sequence[str]) -> dict[str, Sample]:
    """The values with `keys` less those of DIRECT, as `added_KEY`.

    Of medians, not round by round: what disturbs one measurement on a shared machine lasts for less than a round, and
    a direct connection that was unlucky would make every proxy look fast in that round.
    """
    direct = values.get(DIRECT, {})
    return {
        peer: {**of_peer, **({} if peer == DIRECT else _less(of_peer, direct, keys))}
        for peer, of_peer in values.items()
    }


def _less(sample: Sample, base: Sample, keys: Sequence[str]) -> Sample:
    return {f"added_{key}": sample[key] - base[key] for key in keys if key in sample and key in base}


def spread(rounds: Sequence[Sample], key: str) -> tuple[float, float] | None:
    """The lowest and the highest of a key over the rounds."""
    found = [sample[key] for sample in rounds if key in sample]
    return (min(found), max(found)) if found else None


def best(values: Values, of: Sequence[str]) -> float | None:
    """The lowest of these peers' values."""
    found = [values[peer] for peer in of if peer in values]
    return min(found) if found else None


def ratio(values: Values, of: Sequence[str]) -> float | None:
    """Fairlead's value over the best of these peers; None when either is missing or the best is not above zero."""
    reference = best(values, of)
    if FAIRLEAD not in values or reference is None or reference <= 0:
        return None
    return values[FAIRLEAD] / reference


def judge(figure: Figure, values: Values) -> list[Verdict]:
    """Each bound of the figure, met or not."""
    return [Verdict(bound, _is_met(bound, values)) for bound in figure.bounds]


def _is_met(bound: Bound, values: Values) -> bool | None:
    """Compared as a product: a difference may be zero or negative, and then a ratio says nothing."""
    reference = best(values, bound.of) if bound.of else 1.0
    if FAIRLEAD not in values or reference is None:
        return None
    allowed = bound.limit * reference if reference > 0 else reference
    return values[FAIRLEAD] <= allowed
