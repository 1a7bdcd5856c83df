"""The seam that every workload fills: one measurement of one peer, and which of its numbers are figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from loadtests.compare.bench import Bench, Plan
from loadtests.compare.figures import Figure, Sample, Samples, medians
from loadtests.compare.peers import Peer


class Workload(ABC):
    """A kind of load. `name` is for the command line, `title` for the table.

    A sample holds the figures, which are compared, and the details, which help to judge them.
    """

    name: str
    title: str
    figures: tuple[Figure, ...]
    details: tuple[Figure, ...] = ()
    is_direct_too = False  # measured without a proxy as well, in every round
    is_of_fairlead_only = False  # the other peers have nothing like it

    @abstractmethod
    def seconds(self, plan: Plan) -> float:
        """About how long one measurement takes."""

    @abstractmethod
    def measure(self, bench: Bench, peer: Peer | None) -> Sample:
        """One measurement; None is no proxy at all. Raises CompareError when something was wrong."""

    def summary(self, samples: Samples) -> Mapping[str, Sample]:
        """By peer, what the rounds come to."""
        return medians(samples)
