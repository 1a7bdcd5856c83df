"""What `/metrics` says: the declarations, the values, and that Prometheus's own tools accept the text."""

import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from fairlead.model import Endpoint, Service, Snapshot
from fairlead.observe.histogram import SIZE, upper_us
from fairlead.observe.metrics import EDGES_S, METRICS, cumulative, edges, render
from fairlead.observe.samples import GONE_LIMIT
from fairlead.observe.status import Status
from fairlead.observe.totals import Durations, ServiceTotals, Totals
from hypothesis import given
from hypothesis import strategies as st
from observe.sample_status import STATUS, durations
from prometheus_client import Metric as Family
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

DECLARED = """
fairlead_access_log_dropped_total counter
fairlead_build_info info compiled,python,version
fairlead_bytes_total counter direction,listener
fairlead_check_duration_seconds histogram service
fairlead_checks_total counter result,service
fairlead_concurrency_limit gauge service
fairlead_config_last_reload_success_timestamp_seconds gauge
fairlead_config_last_reload_successful gauge
fairlead_connections_active gauge listener
fairlead_connections_total counter listener
fairlead_ejections_total counter endpoint,reason,service
fairlead_endpoints gauge service,state
fairlead_errors_total counter error,listener
fairlead_learned_concurrency gauge service
fairlead_panic gauge service
fairlead_queued_requests gauge service
fairlead_refused_requests_total counter reason,service
fairlead_request_duration_seconds histogram service
fairlead_requests_in_flight gauge endpoint,service
fairlead_requests_total counter code,endpoint,listener,service
fairlead_retries_exhausted_total counter service
fairlead_retries_total counter reason,service
fairlead_service_objective_seconds gauge service
fairlead_snapshot_version gauge worker
fairlead_source_stale_seconds gauge service
fairlead_sources_failing gauge service
fairlead_upstream_connect_duration_seconds histogram service
fairlead_worker_restarts_total counter worker
"""

parse_openmetrics: Callable[[str], Iterable[Family]] = openmetrics.text_string_to_metric_families

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def families(status: Status) -> dict[str, Family]:
    return {family.name: family for family in parse_text(render(status, "")[0].decode())}


def shop(endpoint: str, code: str) -> dict[str, str]:
    return {"listener": "web", "service": "shop", "endpoint": endpoint, "code": code}


def value(status: Status, name: str, **labels: str) -> float | None:
    """The value of one sample; None when there is none."""
    found = [
        sample.value
        for family in families(status).values()
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    assert len(found) <= 1
    return found[0] if found else None


def test_names_types_and_labels_are_what_others_build_upon() -> None:
    lines = sorted(" ".join([m.name, m.type, ",".join(sorted(m.labels))]).rstrip() for m in METRICS)
    assert lines == DECLARED.split("\n")[1:-1]


def test_the_text_has_the_declared_names_types_and_labels() -> None:
    text = render(STATUS, "")[0].decode()
    for metric in METRICS:
        assert f"# HELP {metric.name} {metric.help}\n" in text
        assert f"# TYPE {metric.name} {metric.type.replace('info', 'gauge')}\n" in text
    seen = {
        (family.name, tuple(sorted(sample.labels.keys() - {"le"})))
        for family in families(STATUS).values()
        for sample in family.samples
    }
    declared = {(m.name.removesuffix("_total"), tuple(sorted(m.labels))) for m in METRICS}
    assert declared - seen == {("fairlead_ejections", ("endpoint", "reason", "service"))}
    assert seen <= declared


def test_the_operations_guide_describes_every_metric() -> None:
    guide = OPERATIONS.read_text()
    for metric in METRICS:
        labels = ", ".join(metric.labels) or "-"
        assert f"| `{metric.name}` | {metric.type} | {labels} | {metric.help} |\n" in guide


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        (
            "fairlead_requests_total",
            {"listener": "web", "service": "shop", "endpoint": "10.0.0.2:80", "code": "200"},
            270,
        ),
        (
            "fairlead_requests_total",
            {"listener": "web", "service": "shop", "endpoint": "10.0.0.9:80", "code": "200"},
            4,
        ),
        ("fairlead_requests_total", shop("", "502"), 1),
        ("fairlead_requests_total", {"listener": "web", "service": "", "endpoint": "", "code": "404"}, 6),
        (
            "fairlead_requests_total",
            {"listener": "redis", "service": "cache", "endpoint": "unix:/run/cache.sock", "code": "tcp"},
            12,
        ),
        ("fairlead_requests_in_flight", {"service": "shop", "endpoint": "10.0.0.1:80"}, 5),
        ("fairlead_requests_in_flight", {"service": "shop", "endpoint": "10.0.0.2:80"}, 0),
        ("fairlead_requests_in_flight", {"service": "shop", "endpoint": "10.0.0.9:80"}, 1),
        ("fairlead_queued_requests", {"service": "shop"}, 4),
        ("fairlead_queued_requests", {"service": "cache"}, 0),
        ("fairlead_concurrency_limit", {"service": "shop"}, 17),
        ("fairlead_refused_requests_total", {"service": "shop", "reason": "queue-full"}, 2),
        ("fairlead_refused_requests_total", {"service": "shop", "reason": "overloaded"}, 0),
        ("fairlead_connections_total", {"listener": "web"}, 40),
        ("fairlead_connections_total", {"listener": "redis"}, 0),
        ("fairlead_connections_active", {"listener": "web"}, 8),
        ("fairlead_bytes_total", {"listener": "web", "direction": "received"}, 1000),
        ("fairlead_bytes_total", {"listener": "web", "direction": "sent"}, 250_000),
        ("fairlead_errors_total", {"listener": "web", "error": "bad-request"}, 6),
        ("fairlead_errors_total", {"listener": "web", "error": "client-gone"}, 0),
        ("fairlead_errors_total", {"listener": "redis", "error": "idle"}, 0),
        ("fairlead_endpoints", {"service": "shop", "state": "ready"}, 2),
        ("fairlead_endpoints", {"service": "shop", "state": "unready"}, 1),
        ("fairlead_endpoints", {"service": "shop", "state": "ejected"}, 0),
        ("fairlead_endpoints", {"service": "api", "state": "ready"}, 0),
        ("fairlead_checks_total", {"service": "shop", "result": "passed"}, 40),
        ("fairlead_checks_total", {"service": "shop", "result": "timeout"}, 0),
        ("fairlead_checks_total", {"service": "api", "result": "passed"}, None),
        ("fairlead_check_duration_seconds_count", {"service": "shop"}, 2),
        ("fairlead_retries_total", {"service": "shop", "reason": "connect-failed"}, 3),
        ("fairlead_upstream_connect_duration_seconds_count", {"service": "shop"}, 1),
        ("fairlead_request_duration_seconds_count", {"service": "api"}, 0),
        ("fairlead_snapshot_version", {"worker": "1"}, 6),
        ("fairlead_worker_restarts_total", {"worker": "1"}, 2),
        ("fairlead_sources_failing", {"service": "api"}, 1),
        ("fairlead_sources_failing", {"service": "shop"}, 0),
        ("fairlead_source_stale_seconds", {"service": "api"}, 50),
        ("fairlead_source_stale_seconds", {"service": "shop"}, 0),
        ("fairlead_access_log_dropped_total", {}, 11),
        ("fairlead_config_last_reload_successful", {}, 1),
        ("fairlead_config_last_reload_success_timestamp_seconds", {}, 1_700_000_001.5),
        ("fairlead_build_info", {"version": "0.1.0", "python": "CPython 3.11.2", "compiled": "true"}, 1),
    ],
)
def test_values(name: str, labels: dict[str, str], expected: float | None) -> None:
    assert value(STATUS, name, **labels) == expected


def test_a_refused_reload_shows() -> None:
    status = replace(STATUS, config_problems=("fairlead.yaml:3: workers: not a number",))
    assert value(status, "fairlead_config_last_reload_successful") == 0


@pytest.mark.parametrize(
    ("le", "count"), [("0.0005", 1), ("0.001", 2), ("0.0025", 4), ("0.005", 4), ("0.01", 5), ("60.0", 5), ("+Inf", 6)]
)
def test_a_histogram_is_cumulative(le: str, count: int) -> None:
    assert value(STATUS, "fairlead_request_duration_seconds_bucket", service="shop", le=le) == count


def test_the_objective_of_a_service_is_an_edge_of_its_histogram_and_a_metric() -> None:
    """300 ms lie between the edges 250 and 500 ms: without it the share within the objective would be a guess."""
    name = "fairlead_request_duration_seconds_bucket"
    assert value(STATUS, name, service="shop", le="0.3") == 5
    assert value(STATUS, name, service="cache", le="0.3") is None
    assert value(STATUS, "fairlead_service_objective_seconds", service="shop") == 0.3
    assert value(STATUS, "fairlead_service_objective_seconds", service="cache") is None


def test_what_is_learned_is_a_metric_and_a_guess_is_none() -> None:
    assert value(STATUS, "fairlead_learned_concurrency", service="shop") == 4.5
    assert value(STATUS, "fairlead_learned_concurrency", service="api") is None


@pytest.mark.parametrize("objective_s", [0.0, 0.25])
def test_an_objective_that_is_none_or_an_edge_adds_none(objective_s: float) -> None:
    assert edges(objective_s) == EDGES_S


def test_a_histogram_has_the_exact_count_and_sum() -> None:
    assert value(STATUS, "fairlead_request_duration_seconds_count", service="shop") == 6
    assert value(STATUS, "fairlead_request_duration_seconds_sum", service="shop") == pytest.approx(90.0143)


@given(st.lists(st.integers(min_value=0, max_value=(1 << 36) - 1), max_size=50))
def test_a_duration_may_count_above_an_edge_that_it_is_just_below_and_never_the_reverse(us: list[int]) -> None:
    counts = cumulative(durations(*us))
    assert counts == sorted(counts)
    assert counts[-1] == len(us)
    for edge, count in zip(EDGES_S, counts, strict=False):
        edge_us = edge * 1e6
        assert (
            sum(1 for value in us if value <= edge_us * 0.9375) <= count <= sum(1 for value in us if value <= edge_us)
        )


def test_the_error_of_every_edge_is_below_a_sixteenth() -> None:
    every_bucket = Durations(counts=dict.fromkeys(range(SIZE), 1))
    for edge, count in zip(EDGES_S, cumulative(every_bucket), strict=False):
        assert edge * 1e6 * 0.9375 < upper_us(count - 1) <= edge * 1e6


def status_with_gone(gone: int) -> Status:
    counts = {("web", f"10.1.{n >> 8}.{n & 255}:80", "200"): n + 1 for n in range(gone)}
    present = Service(name="shop", endpoints=(Endpoint("10.0.0.1:80"),))
    totals = ServiceTotals(requests={("web", "10.0.0.1:80", "200"): 9, ("web", "", "503"): 8, **counts})
    return Status(snapshot=Snapshot(services={"shop": present}), totals=Totals(services={"shop": totals}))


def test_endpoints_that_are_gone_are_bounded_and_the_latest_are_kept() -> None:
    samples = families(status_with_gone(GONE_LIMIT + 50))["fairlead_requests"].samples
    addresses = [sample.labels["endpoint"] for sample in samples]
    assert len(addresses) == GONE_LIMIT + 2
    assert {"10.0.0.1:80", ""} <= set(addresses)
    assert "10.1.0.49:80" not in addresses
    assert "10.1.0.50:80" in addresses


def test_up_to_the_limit_every_endpoint_that_is_gone_is_exported() -> None:
    assert len(families(status_with_gone(GONE_LIMIT))["fairlead_requests"].samples) == GONE_LIMIT + 2


def test_label_values_are_escaped() -> None:
    name = 'a"b\\c\nd é'
    totals = Totals(services={name: ServiceTotals(retries={"x": 1})})
    assert value(Status(totals=totals), "fairlead_retries_total", service=name, reason="x") == 1


@pytest.mark.parametrize(
    ("accept", "is_openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1", True),
        ("text/plain, Application/OpenMetrics-Text", True),
        ("application/openmetrics-text;version=\x00nonsense", True),
    ],
)
def test_openmetrics_is_given_to_those_who_ask(accept: str, is_openmetrics: bool) -> None:
    body, media_type = render(STATUS, accept)
    assert media_type.startswith(
        "application/openmetrics-text; version=1" if is_openmetrics else "text/plain; version=0"
    )
    assert body.endswith(b"# EOF\n") is is_openmetrics


def test_openmetrics_passes_a_strict_parser() -> None:
    text = render(STATUS, "application/openmetrics-text")[0].decode()
    assert {family.name for family in parse_openmetrics(text)} == {
        m.name.removesuffix("_total").removesuffix("_info") for m in METRICS
    }


@pytest.mark.parametrize("status", [Status(), STATUS], ids=["empty", "full"])
def test_promtool_finds_nothing_to_complain_about(status: Status) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian package: prometheus)")
    body, _ = render(status, "")
    done = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
