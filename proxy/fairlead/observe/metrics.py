"""Every metric: its name, type, help and labels, and how its samples are read from a Status (samples.py).

Never counts anything and never holds state: a scrape is a function of one Status. What is not in `METRICS` is not
exported. The text is written by prometheus-client, so that its escaping is not ours to get wrong.

Histograms: the fine buckets (6.25 % wide, histogram.py) do not align with the exported edges. A fine bucket counts
under an edge only when all of it lies at or below that edge. So what is exported is monotone, +Inf is the count, and
the error has one direction: a duration less than 6.25 % below an edge may be counted above it, never the reverse. A
service may look a little slower than it is, and never faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from prometheus_client import Metric as Family
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder

from fairlead.observe import samples
from fairlead.observe.histogram import upper_us
from fairlead.observe.samples import Histograms, Labels, Samples
from fairlead.observe.status import Status
from fairlead.observe.totals import Durations

EDGES_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

_OPENMETRICS: Final = "application/openmetrics-text"
_ENCODERS: Final = {False: choose_encoder(""), True: choose_encoder(_OPENMETRICS)}


@final
@dataclass(frozen=True, slots=True)
class Metric:
    """One declaration. `type` is one of prometheus-client's; `read` gives label values and a value for each sample."""

    name: str
    type: str
    help: str
    labels: Labels
    read: Callable[[Status], Samples] | Callable[[Status], Histograms]


def render(status: Status, accept: str) -> tuple[bytes, str]:
    """The body of `/metrics` and its content type: OpenMetrics when `accept`, a header's value, asks for it."""
    encode, media_type = _ENCODERS[is_openmetrics(accept)]
    return encode(_Collector(status)), media_type


def is_openmetrics(accept: str) -> bool:
    """Whether an Accept header asks for OpenMetrics; else it gets the Prometheus text format."""
    return any(part.partition(";")[0].strip().lower() == _OPENMETRICS for part in accept.split(","))


def edges(objective_s: float) -> tuple[float, ...]:
    """EDGES_S, and a service's objective among them: what is within it is then counted, and not interpolated."""
    return tuple(sorted({*EDGES_S, objective_s})) if objective_s else EDGES_S


def cumulative(durations: Durations, edges_s: Sequence[float] = EDGES_S) -> list[int]:
    """How many durations are known to be at most each of the edges, and last how many there are."""
    buckets = sorted(durations.counts.items())
    counts = []
    seen = position = 0
    for edge in edges_s:
        edge_us = round(edge * 1_000_000)
        while position < len(buckets) and upper_us(buckets[position][0]) <= edge_us:
            seen += buckets[position][1]
            position += 1
        counts.append(seen)
    return [*counts, seen + sum(count for _, count in buckets[position:])]


class _Collector:
    """What prometheus-client's encoders read."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def collect(self) -> Iterable[Family]:
        for metric in METRICS:
            yield _FAMILIES[metric.type](metric, self._status)


def _numbers(metric: Metric, status: Status) -> Family:
    new = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
    family = new(metric.name, metric.help, labels=metric.labels)
    for labels, value in metric.read(status):
        assert not isinstance(value, Durations), metric.name
        family.add_metric(labels, value)
    return family


def _histograms(metric: Metric, status: Status) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, durations in metric.read(status):
        assert isinstance(durations, Durations), metric.name
        edges_s = edges(status.objectives.get(labels[0], 0.0))
        names = [*map(str, edges_s), "+Inf"]
        counts = cumulative(durations, edges_s)
        family.add_metric(labels, list(zip(names, counts, strict=True)), durations.sum_us / 1_000_000)
    return family


def _info(metric: Metric, status: Status) -> Family:
    family = InfoMetricFamily(metric.name.removesuffix("_info"), metric.help)
    for labels, _ in metric.read(status):
        family.add_metric((), dict(zip(metric.labels, labels, strict=True)))
    return family


_FAMILIES: Final[Mapping[str, Callable[[Metric, Status], Family]]] = {
    "counter": _numbers,
    "gauge": _numbers,
    "histogram": _histograms,
    "info": _info,
}

METRICS: Final = (
    Metric(
        "fairlead_requests_total",
        "counter",
        'Requests answered; code "tcp" is a TCP session served, endpoint "" an answer of Fairlead\'s own.',
        ("listener", "service", "endpoint", "code"),
        samples.requests,
    ),
    Metric(
        "fairlead_request_duration_seconds",
        "histogram",
        "From the start of a request, or the accept of a TCP session, to its end.",
        ("service",),
        samples.request_durations,
    ),
    Metric(
        "fairlead_service_objective_seconds",
        "gauge",
        "Within this a reply of the service should be complete, as configured; an edge of its histograms.",
        ("service",),
        samples.objectives,
    ),
    Metric(
        "fairlead_learned_concurrency",
        "gauge",
        "Requests that one endpoint serves at once within the objective, as learned; missing until it is.",
        ("service",),
        samples.learned_concurrency,
    ),
    Metric(
        "fairlead_requests_in_flight",
        "gauge",
        "Requests and TCP sessions that an endpoint is serving.",
        ("service", "endpoint"),
        samples.requests_in_flight,
    ),
    Metric(
        "fairlead_queued_requests",
        "gauge",
        "Requests and TCP sessions that wait for an endpoint with room.",
        ("service",),
        samples.queued_requests,
    ),
    Metric(
        "fairlead_concurrency_limit",
        "gauge",
        "How many requests of a protected service may wait for their replies at once, as learned.",
        ("service",),
        samples.concurrency_limits,
    ),
    Metric(
        "fairlead_refused_requests_total",
        "counter",
        "Requests and TCP sessions refused for want of room: no-endpoint, overloaded, queue-full, queue-timeout.",
        ("service", "reason"),
        samples.refused_requests,
    ),
    Metric(
        "fairlead_connections_total",
        "counter",
        "Downstream connections accepted.",
        ("listener",),
        samples.connections,
    ),
    Metric(
        "fairlead_connections_active",
        "gauge",
        "Downstream connections that are open.",
        ("listener",),
        samples.connections_active,
    ),
    Metric(
        "fairlead_bytes_total",
        "counter",
        "Bytes that clients sent (received) and were given (sent).",
        ("listener", "direction"),
        samples.exchanged_bytes,
    ),
    Metric(
        "fairlead_errors_total",
        "counter",
        "Replies of Fairlead's own and connections that it cut, by the value of Fairlead-Error.",
        ("listener", "error"),
        samples.errors,
    ),
    Metric(
        "fairlead_endpoints",
        "gauge",
        "Endpoints of a service by state: ready, ejected, draining, unready.",
        ("service", "state"),
        samples.endpoints,
    ),
    Metric(
        "fairlead_checks_total",
        "counter",
        "Checks of endpoints, by how they ended; all but passed and skipped speak against the endpoint.",
        ("service", "result"),
        samples.checks,
    ),
    Metric(
        "fairlead_check_duration_seconds",
        "histogram",
        "From the start of a check of an endpoint to its end.",
        ("service",),
        samples.check_durations,
    ),
    Metric(
        "fairlead_ejections_total",
        "counter",
        "Endpoints taken out of rotation because they failed; reasons that end in -dry-run were only said.",
        ("service", "endpoint", "reason"),
        samples.ejections,
    ),
    Metric(
        "fairlead_panic",
        "gauge",
        "1 while so few endpoints of a service can be used that all are, whatever is said of them.",
        ("service",),
        samples.panic,
    ),
    Metric(
        "fairlead_retries_total",
        "counter",
        "Requests and sessions given to another endpoint or connection, by what went wrong with the one before.",
        ("service", "reason"),
        samples.retries,
    ),
    Metric(
        "fairlead_retries_exhausted_total",
        "counter",
        "Requests that failed and were not tried again because the budget for retries was spent.",
        ("service",),
        samples.retries_exhausted,
    ),
    Metric(
        "fairlead_upstream_connect_duration_seconds",
        "histogram",
        "Time to establish a connection to an endpoint.",
        ("service",),
        samples.connect_durations,
    ),
    Metric(
        "fairlead_snapshot_version",
        "gauge",
        "Version of the snapshot that a worker runs; 0 before its first report.",
        ("worker",),
        samples.snapshot_versions,
    ),
    Metric(
        "fairlead_worker_restarts_total",
        "counter",
        "How often a worker died and was replaced.",
        ("worker",),
        samples.worker_restarts,
    ),
    Metric(
        "fairlead_sources_failing",
        "gauge",
        "Sources of a service that fail; the endpoints that they gave last stay in use.",
        ("service",),
        samples.sources_failing,
    ),
    Metric(
        "fairlead_source_stale_seconds",
        "gauge",
        "How long ago the endpoints of a service's stalest source were last known to be true; 0 while they are.",
        ("service",),
        samples.stale_seconds,
    ),
    Metric(
        "fairlead_access_log_dropped_total",
        "counter",
        "Access log records lost because they could not be written, or not fast enough.",
        (),
        samples.access_log_dropped,
    ),
    Metric(
        "fairlead_config_last_reload_successful",
        "gauge",
        "1 when the last configuration that was read is in force, 0 when it was refused.",
        (),
        samples.reload_successful,
    ),
    Metric(
        "fairlead_config_last_reload_success_timestamp_seconds",
        "gauge",
        "When the configuration in force was loaded, in Unix time.",
        (),
        samples.reload_success_timestamp,
    ),
    Metric(
        "fairlead_build_info",
        "info",
        "Versions of Fairlead and Python, and whether the data plane is compiled; the value is always 1.",
        ("version", "python", "compiled"),
        samples.build,
    ),
)
