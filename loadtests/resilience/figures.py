"""What is made of the outcomes: figures, what they must be, and rows of the table. Pure.

Seconds count from the moment of the fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from loadtests.compare.figures import quantile
from loadtests.resilience.clients import OK, Outcome

FIRST_S: Final = 10.0  # in which failures are allowed,
ALLOWED: Final = 0.005  # and this share of them
BACK_S: Final = 5.0  # by then the p99 is back
BACK: Final = 1.2  # within this multiple of its calm value
COLUMNS: Final = ("fault", "figure", "fairlead", "haproxy", "envoy", "must be", "met")
PEERS: Final = ("fairlead", "haproxy", "envoy")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one run."""

    failed_first: float  # shares of the requests that were due in the first 10 s, and of those after
    failed_after: float
    p99_calm_s: float  # before the fault
    p99_back_s: float  # of those due from 5 s to 10 s
    slowest_s: float
    kinds: Mapping[str, int]  # of failures, how many

    @property
    def back(self) -> float:
        return self.p99_back_s / self.p99_calm_s


def figures(outcomes: Sequence[Outcome], fault_s: float) -> Figures:
    """The outcomes of a run in which the fault came at `fault_s`. Raises ValueError when a part of it is empty."""
    calm = [each for each in outcomes if each.due_s < fault_s]
    first = [each for each in outcomes if 0 <= each.due_s - fault_s < FIRST_S]
    after = [each for each in outcomes if each.due_s - fault_s >= FIRST_S]
    back = [each for each in first if each.due_s - fault_s >= BACK_S]
    return Figures(
        failed_first=_failed(first),
        failed_after=_failed(after),
        p99_calm_s=_p99(calm),
        p99_back_s=_p99(back),
        slowest_s=max(each.took_s for each in outcomes),
        kinds=Counter(each.what for each in outcomes if each.what != OK),
    )


def _failed(outcomes: Sequence[Outcome]) -> float:
    if not outcomes:
        raise ValueError("no request was due in a part of the run")
    return sum(each.what != OK for each in outcomes) / len(outcomes)


def _p99(outcomes: Sequence[Outcome]) -> float:
    """A request that failed has taken as long as it took."""
    return quantile(sorted(each.took_s for each in outcomes), 0.99)


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    cells: tuple[str, ...]
    is_met: bool | None


def rows(fault: str, found: Mapping[str, Figures]) -> list[Row]:
    """What the peers did with one fault. Ours must be within the bound and not worse than the best of the others."""
    return [
        _row(fault, "failed in the first 10 s, %", {n: f.failed_first * 100 for n, f in found.items()}, ALLOWED * 100),
        _row("", "failed after, %", {n: f.failed_after * 100 for n, f in found.items()}, 0.0),
        _row("", "p99 from 5 s to 10 s / calm p99", {n: f.back for n, f in found.items()}, BACK, slack=0.15),
        _row("", "slowest request, s", {n: f.slowest_s for n, f in found.items()}, None),
    ]


def _row(fault: str, title: str, values: Mapping[str, float], limit: float | None, slack: float = 0.0) -> Row:
    """`slack`: by so much a figure may exceed the best of the others, where two runs of the same differ by that."""
    ours = values.get("fairlead")
    others = [value for name, value in values.items() if name != "fairlead"]
    is_met = None
    if ours is not None and limit is not None:
        is_met = ours <= limit and (not others or ours <= min(others) + slack)
    cells = (
        fault,
        title,
        *(f"{values[name]:.3g}" if name in values else "-" for name in PEERS),
        "" if limit is None else f"≤ {limit:g}, the best",
        {True: "yes", False: "**NO**", None: "-"}[is_met],
    )
    return Row(cells, is_met)


def rows_of_both(title: str, found: Mapping[str, Figures]) -> list[Row]:
    """Where every endpoint fails, users must get the app's own words: never none at all, and nobody waits for them."""
    own = {name: float(_without_app(each)) for name, each in found.items()}
    return [
        _row(title, "replies that are not the app's", own, 0.0),
        _row("", "slowest request, s", {n: f.slowest_s for n, f in found.items()}, None),
    ]


def _without_app(measured: Figures) -> int:
    return sum(count for what, count in measured.kinds.items() if what != "500")
