"""Figures of a window: what happened between two samples, and what each metric makes of it.

Pure. Owns the definitions: docs/autoscaling.md says the same in prose. Invariant: a figure is finite; what has no value
without traffic (a quantile, a ratio) is None, never NaN.

Requests in flight, and those that wait, are the mean of what was seen once a second, which is right for requests of any
length. Saturation takes Little's law instead, rate times mean latency, because it does not scatter: of 4 requests in
flight, 30 looks know the mean to 9 %, and an autoscaler acts on 10 %. For requests that last longer than a tenth of the
window the law is late, and the looks serve there, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, final

from fairlead.autoscale.samples import ServiceSample, Tally
from fairlead.observe.histogram import lower_us, upper_us

_LONG: Final = 0.1  # of the window: requests that take longer are counted as they are seen in flight


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of a service, of several together, or of a pod. `counts` is the histogram of what ended in the window."""

    at: float  # Unix time of the window's end
    window_s: float
    requests: int = 0
    errors: int = 0
    rate: float = 0.0  # requests per second
    in_flight: float = 0.0
    busy: float = 0.0  # the same by Little's law, where that is good
    queued: float = 0.0
    counts: Mapping[int, int] = field(default_factory=dict)
    capacity: float = 0.0  # requests that its ready endpoints serve at once within the objective; 0 when not known
    is_guess: bool = False  # the capacity, which is not learned yet

    @property
    def has_traffic(self) -> bool:
        return self.requests > 0


@final
@dataclass(frozen=True, slots=True)
class Span:
    """From one sample to a later one: how long, ending when (Unix time), and how many looks at what was in flight."""

    at: float
    length_s: float
    looks: int


def of_service(span: Span, first: ServiceSample, last: ServiceSample, concurrency: float) -> Figures:
    """`concurrency` is what one endpoint can do, 0 if unknown."""
    ends = of_endpoint(span, first.total, last.total, last.ready * concurrency)
    counts = _histogram_growth(first.counts, last.counts)
    spent_s = growth(first.sum_us, last.sum_us) / 1_000_000
    return replace(
        ends,
        busy=_busy(sum(counts.values()), spent_s, span.length_s, ends.in_flight),
        queued=growth(first.queued, last.queued) / span.looks if span.looks else 0.0,
        counts=counts,
    )


def of_endpoint(span: Span, first: Tally, last: Tally, capacity: float) -> Figures:
    """The same of one endpoint, which has no histogram of its own."""
    requests = growth(first.requests, last.requests)
    in_flight = growth(first.seen, last.seen) / span.looks if span.looks else 0.0
    return Figures(
        at=span.at,
        window_s=span.length_s,
        requests=requests,
        errors=growth(first.errors, last.errors),
        rate=requests / span.length_s,
        in_flight=in_flight,
        busy=in_flight,
        capacity=capacity,
    )


def _busy(ended: int, spent_s: float, window_s: float, in_flight: float) -> float:
    is_long = ended and spent_s / ended > _LONG * window_s
    return in_flight if is_long or not ended else spent_s / window_s


def together(all_figures: Sequence[Figures]) -> Figures:
    """Several services as if they were one. The oldest of their times is that of all: how fresh the whole is."""
    is_known = all(each.capacity for each in all_figures)
    return _added(all_figures, sum(each.capacity for each in all_figures) if is_known else 0.0)


def of_replicas(all_figures: Sequence[Figures]) -> Figures:
    """One service as several proxies see it, each its own share of the traffic and all the same endpoints."""
    sure = [each for each in all_figures if not each.is_guess] or all_figures
    return replace(_added(all_figures, max(each.capacity for each in sure)), is_guess=sure[0].is_guess)


def _added(all_figures: Sequence[Figures], capacity: float) -> Figures:
    return Figures(
        at=min(each.at for each in all_figures),
        window_s=max(each.window_s for each in all_figures),
        requests=sum(each.requests for each in all_figures),
        errors=sum(each.errors for each in all_figures),
        rate=sum(each.rate for each in all_figures),
        in_flight=sum(each.in_flight for each in all_figures),
        busy=sum(each.busy for each in all_figures),
        queued=sum(each.queued for each in all_figures),
        counts=_histogram_sum(each.counts for each in all_figures),
        capacity=capacity,
    )


def growth(before: int, after: int) -> int:
    """What a counter grew by; one that has become less has started again from nothing."""
    return after - before if after >= before else after


def requests_per_second(figures: Figures) -> float:
    return figures.rate


def in_flight(figures: Figures) -> float:
    return figures.in_flight


def error_ratio(figures: Figures) -> float | None:
    return min(figures.errors / figures.requests, 1.0) if figures.requests else None


def queued(figures: Figures) -> float:
    return figures.queued


def quantile_s(figures: Figures, q: float) -> float | None:
    """Interpolated within its bucket, so it is known to the width of one: 6.25 %."""
    rank = q * sum(figures.counts.values())
    seen = 0
    for index, count in sorted(figures.counts.items()):
        if count and seen + count >= rank:
            low, high = lower_us(index), upper_us(index) + 1
            return (low + (high - low) * (rank - seen) / count) / 1_000_000
        seen += count
    return None


def saturation(figures: Figures) -> float | None:
    """What is in flight against what the ready endpoints can do; None when nobody has said what that is."""
    return figures.busy / figures.capacity if figures.capacity else None


def _histogram_growth(before: Mapping[int, int], after: Mapping[int, int]) -> dict[int, int]:
    grown = {index: growth(before.get(index, 0), count) for index, count in after.items()}
    return {index: count for index, count in grown.items() if count}


def _histogram_sum(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    added: dict[int, int] = {}
    for counts in histograms:
        for index, count in counts.items():
            added[index] = added.get(index, 0) + count
    return added
