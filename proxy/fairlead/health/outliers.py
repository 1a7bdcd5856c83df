"""Which endpoints serve worse than the others of their service: by the share of failures, and by their latency.

Owns what was observed of each endpoint lately, and the comparison. Never ejects, and never looks at a clock: `sweep` is
called once a second. Right for pools of two as well as of thousands, because an endpoint is compared with the others
and not with a mean that it is part of: of n values none is more than sqrt(n-1) population deviations from their mean,
so that a rule such as "mean - 1.9 deviations" cannot see one bad endpoint among four.

What is compared is robust. A latency is a median, so that a few very long requests are nobody's fault; the reference
is the (lower) median of the others, so that another slow one does not hide this one. It must be passed in two sweeps
one after the other: a pause of the runtime passes by. Counts fade by three tenths a second; less than 20 requests
lately, about six a second, are no evidence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, final

from fairlead.model import Ejection, Reason

_KEPT: Final = 0.7  # of what was counted, from one sweep to the next
_VOLUME: Final = 20.0  # requests lately that are evidence of a share of failures,
_FAILURES: Final = 5.0  # of which so many must have failed
_RATIO: Final = 3.0  # times the share of failures of the others
_REPLIES: Final = 10.0  # replies lately that are evidence of a latency
_SWEEPS: Final = 2  # one after the other in which an endpoint is too slow


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """An endpoint has crossed a threshold. Of several the one with the greatest `severity` is the worst."""

    address: str
    reason: Reason
    severity: float
    text: str
    details: Mapping[str, object]


@final
@dataclass(slots=True)
class _Observed:
    """What came since the last sweep, and what fades."""

    new_successes: int = 0
    new_failures: int = 0
    new_weighed_us: int = 0  # medians, each times the replies that it is of
    successes: float = 0.0
    failures: float = 0.0
    median_us: float = 0.0
    slow_sweeps: int = 0

    def fade(self) -> bool:
        """Take on what is new, with less of what is old; whether anything is left."""
        if self.new_successes:
            self.median_us = self.new_weighed_us / self.new_successes
        self.successes = self.successes * _KEPT + self.new_successes
        self.failures = self.failures * _KEPT + self.new_failures
        self.new_successes = self.new_failures = self.new_weighed_us = 0
        return self.requests > 0.01

    @property
    def requests(self) -> float:
        return self.successes + self.failures


@final
@dataclass(slots=True)
class Outliers:
    """Of one service."""

    settings: Ejection
    _observed: dict[str, _Observed] = field(default_factory=dict)

    def observe(self, address: str, successes: int, failures: int, median_us: int) -> None:
        """So many requests have succeeded, and taken so long in the middle, and so many have failed."""
        observed = self._observed.setdefault(address, _Observed())
        observed.new_successes += successes
        observed.new_failures += failures
        observed.new_weighed_us += successes * median_us

    def forget(self, address: str) -> None:
        """It begins anew."""
        self._observed.pop(address, None)

    def sweep(self, used: Collection[str]) -> list[Finding]:
        """The outliers among these endpoints, the worst first."""
        for address, observed in list(self._observed.items()):
            if not observed.fade():
                del self._observed[address]
        seen = {address: self._observed[address] for address in used if address in self._observed}
        found = [*self._failing(seen), *self._slow(seen)]
        return sorted(found, key=lambda finding: -finding.severity)

    def _failing(self, seen: Mapping[str, _Observed]) -> list[Finding]:
        requests = sum(observed.requests for observed in seen.values())
        failures = sum(observed.failures for observed in seen.values())
        found = []
        for address, observed in seen.items():
            if observed.failures < _FAILURES or observed.requests < _VOLUME:
                continue
            others = requests - observed.requests
            if others < _VOLUME:
                continue
            theirs = (failures - observed.failures) / others
            least = max(self.settings.failure_share, theirs * _RATIO)
            share = observed.failures / observed.requests
            if share >= least:
                found.append(_failing(address, share, theirs, least))
        return found

    def _slow(self, seen: Mapping[str, _Observed]) -> list[Finding]:
        known = {address: each for address, each in seen.items() if each.successes >= _REPLIES}
        ordered = sorted(known, key=lambda address: known[address].median_us)
        found = []
        for place, address in enumerate(ordered):
            observed = known[address]
            if len(ordered) < 2:
                break
            # The lower median of the others: its place among all, one further when it is behind this one.
            middle = (len(ordered) - 2) // 2
            theirs = known[ordered[middle + (place <= middle)]].median_us
            least = max(theirs * self.settings.latency_factor, theirs + self.settings.latency_floor_s * 1e6)
            is_slow = observed.median_us > least
            observed.slow_sweeps = observed.slow_sweeps + 1 if is_slow else 0
            if observed.slow_sweeps >= _SWEEPS:
                found.append(_slow(address, observed.median_us, theirs, least))
        return found


def _failing(address: str, share: float, theirs: float, least: float) -> Finding:
    text = f"{share:.0%} of its requests failed, of the others' {theirs:.1%}; the threshold is {least:.0%}"
    details = {"failed_share": round(share, 4), "others_share": round(theirs, 4), "threshold": round(least, 4)}
    return Finding(address, Reason.SUCCESS_RATE, 1 + share, text, details)


def _slow(address: str, us: float, theirs: float, least: float) -> Finding:
    mine_ms, theirs_ms, least_ms = (round(each / 1000, 1) for each in (us, theirs, least))
    text = f"its median latency is {mine_ms:g} ms, the others' {theirs_ms:g} ms; the threshold is {least_ms:g} ms"
    details = {"median_ms": mine_ms, "others_ms": theirs_ms, "threshold_ms": least_ms}
    return Finding(address, Reason.LATENCY, 1 - least / us, text, details)
