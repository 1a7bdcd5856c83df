"""What a suite has found: the claims that must hold, and what else was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from box.load import Request, failures

_MOST_SHOWN = 8


@dataclass
class Report:
    """Made line by line. It is good when every claim holds."""

    title: str
    lines: list[str] = field(default_factory=list)
    failed: int = 0

    @property
    def is_good(self) -> bool:
        return not self.failed

    def say(self, line: str) -> None:
        self.lines.append(f"       {line}")

    def claim(self, text: str, holds: bool) -> None:
        self.lines.append(f"  {'ok   ' if holds else 'FAILED'} {text}")
        self.failed += not holds

    def claim_none_failed(self, requests: Sequence[Request]) -> None:
        bad = failures(requests)
        self.claim(f"{len(bad)} of {len(requests)} requests failed", bool(requests) and not bad)
        self.say_failures(bad)
        self.say(f"{latencies(requests)}; {by_pod(requests)}")

    def say_failures(self, bad: Sequence[Request]) -> None:
        for (failure, is_fresh), count in Counter((each.failure, each.is_fresh) for each in bad).most_common():
            self.say(f"{count} x {failure}, on {'fresh' if is_fresh else 'kept'} connections")
        for each in bad[:_MOST_SHOWN]:
            self.say(f"{each.path} sent at {each.sent:.3f}, over after {1000 * (each.done - each.sent):.0f} ms")

    def __str__(self) -> str:
        return "\n".join([f"== {self.title}", *self.lines])


def broken(title: str, error: Exception) -> Report:
    """Of a suite that could not be run to its end."""
    report = Report(title)
    report.claim(f"it came to its end: {type(error).__name__}: {error}", False)
    return report


def latencies(requests: Iterable[Request]) -> str:
    """Of the good ones, from when each was due."""
    took = sorted(1000 * (each.done - each.due) for each in requests if not each.failure)
    if not took:
        return "no reply"
    return f"p50 {quantile(took, 0.5):.1f} ms, p99 {quantile(took, 0.99):.0f} ms, at most {took[-1]:.0f} ms"


def quantile(ascending: Sequence[float], share: float) -> float:
    return ascending[min(int(share * len(ascending)), len(ascending) - 1)]


def by_pod(requests: Iterable[Request]) -> str:
    counts = Counter(each.pod or "nobody" for each in requests)
    return f"{len(counts)} pods answered, {min(counts.values())} to {max(counts.values())} requests each"
