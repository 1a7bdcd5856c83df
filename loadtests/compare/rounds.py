"""The rounds: every workload and every peer once, then all of it again.

Owns the order and what became of each measurement. A round goes through everything before the next begins, and each
begins with another peer, so that a noisy minute or a place in the order favours nobody. A measurement that fails leaves
an empty sample and its reason; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from loadtests.compare.bench import Bench, Plan, name_of
from loadtests.compare.figures import FAIRLEAD, Sample
from loadtests.compare.peers import Peer
from loadtests.compare.processes import CompareError
from loadtests.compare.workloads import Workload

_START_S = 0.7  # starting and stopping a proxy, about


@final
@dataclass(frozen=True, slots=True)
class Step:
    """One measurement that is to be made. `peer` is None for no proxy at all."""

    number: int  # of the round, from 0
    workload: Workload
    peer: Peer | None

    def seconds(self, plan: Plan) -> float:
        return self.workload.seconds(plan) + _START_S


@final
@dataclass(slots=True)
class Results:
    """What was measured: workload name -> peer -> its rounds."""

    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, step: Step, sample: Sample) -> None:
        of_workload = self.samples.setdefault(step.workload.name, {})
        of_workload.setdefault(name_of(step.peer), []).append(sample)

    def fail(self, step: Step, error: Exception) -> None:
        why = " ".join(str(error).split())
        self.failures.append(f"{step.workload.name}, {name_of(step.peer)}, round {step.number + 1}: {why}")
        self.add(step, {})


def steps(plan: Plan, workloads: Sequence[Workload], peers: Mapping[str, Peer]) -> list[Step]:
    """All measurements in their order."""
    return [
        Step(number, workload, peer)
        for number in range(plan.rounds)
        for workload in workloads
        for peer in _rotated(_takers(workload, peers), number)
    ]


def _takers(workload: Workload, peers: Mapping[str, Peer]) -> list[Peer | None]:
    takers: list[Peer | None] = [None] if workload.is_direct_too else []
    return takers + [peer for name, peer in peers.items() if name == FAIRLEAD or not workload.is_of_fairlead_only]


def _rotated(takers: list[Peer | None], by: int) -> list[Peer | None]:
    place = by % len(takers) if takers else 0
    return takers[place:] + takers[:place]


def run(
    bench: Bench, order: Sequence[Step], before: Callable[[Step], None], after: Callable[[Step, str], None]
) -> Results:
    """Make the measurements; `before` and `after` are told of each, the latter with its outcome in words."""
    results = Results()
    for step in order:
        before(step)
        try:
            sample = step.workload.measure(bench, step.peer)
        except (CompareError, OSError) as error:
            results.fail(step, error)
            after(step, f"failed: {error}")
        else:
            results.add(step, sample)
            after(step, "  ".join(f"{key} {value:,.2f}" for key, value in sample.items()))
    return results
