"""What the JSON API says of a Status."""

import json
from dataclasses import replace

import pytest
from fairlead.observe import api
from fairlead.observe.status import Status
from observe.sample_status import STATUS


def service(name: str) -> api.Json:
    found = [service for service in api.services(STATUS)["services"] if service["name"] == name]
    assert len(found) == 1
    return dict(found[0])


def test_everything_is_json() -> None:
    for value in (api.services(STATUS), api.config(STATUS), api.events(STATUS, 10, 0), api.services(Status())):
        assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_an_endpoint_has_its_counts_and_its_live_state() -> None:
    assert service("shop")["endpoints"] == [
        {
            "address": "10.0.0.1:80",
            "weight": 1,
            "state": "ready",
            "verdicts": [],
            "requests": {"200": 90, "503": 2},
            "in_flight": 5,
            "ttfb_ms": 1.5,
            "check": None,
        },
        {
            "address": "10.0.0.2:80",
            "weight": 3,
            "state": "ready",
            "verdicts": [],
            "requests": {"200": 270},
            "in_flight": 0,
            "ttfb_ms": 0.0,
            "check": None,
        },
        {
            "address": "10.0.0.3:80",
            "weight": 1,
            "state": "unready",
            "verdicts": [
                {
                    "judge": "check",
                    "state": "unready",
                    "reason": "3 checks in a row failed: 503",
                    "since": 1_700_000_060.0,
                    "until": "2 in a row pass",
                    "details": {"status": 503},
                }
            ],
            "requests": {},
            "in_flight": 0,
            "ttfb_ms": 0.0,
            "check": {
                "at": 1_700_000_061.0,
                "standing": "down",
                "in_a_row": 5,
                "result": "wrong-reply",
                "detail": "status 503",
                "took_ms": 0.8,
            },
        },
    ]


def test_a_service_has_the_figures_of_its_checks() -> None:
    checks = service("shop")["checks"]
    assert (checks["kind"], checks["ignored"], checks["duration"]["count"]) == ("http", False, 2)
    assert {result: count for result, count in checks["results"].items() if count} == {"passed": 40, "wrong-reply": 5}
    assert service("api")["checks"] is None


def test_a_service_counts_what_endpoints_that_are_gone_and_fairlead_itself_answered() -> None:
    assert service("shop")["requests"] == {"200": 364, "503": 2, "502": 1}
    assert service("shop")["own_replies"] == {"502": 1}
    assert service("shop")["retries"] == {"connect-failed": 3}


def test_a_services_counts_do_not_go_back_when_an_endpoint_is_forgotten() -> None:
    forgotten = replace(STATUS.totals.services["shop"], forgotten={"200": 1000, "500": 1})
    totals = replace(STATUS.totals, services={"shop": forgotten})
    (shop, *_) = api.services(replace(STATUS, totals=totals))["services"]
    assert shop["requests"] == {"200": 1364, "503": 2, "502": 1, "500": 1}


@pytest.mark.parametrize(("name", "listeners"), [("shop", ["web"]), ("api", ["web"]), ("cache", ["redis"])])
def test_a_service_names_the_listeners_that_lead_to_it(name: str, listeners: list[str]) -> None:
    assert service(name)["listeners"] == listeners


def test_durations_have_quantiles_and_the_buckets_to_compute_others() -> None:
    duration = service("shop")["duration"]
    assert (duration["count"], duration["sum_ms"]) == (6, 90_014.3)
    assert duration["p50_ms"] == pytest.approx(2.0, rel=0.07)
    assert duration["p99_ms"] == pytest.approx(90_000, rel=0.07)
    assert sum(count for _, _, count in duration["buckets"]) == 6
    assert [low <= ms < high for (low, high, _), ms in zip(duration["buckets"], (0.4, 0.9, 2, 9, 90_000), strict=True)]
    assert all(low < high for low, high, _ in duration["buckets"])


def test_a_service_that_did_nothing_yet_is_shown() -> None:
    assert service("api")["duration"] == {
        "count": 0,
        "sum_ms": 0.0,
        "p50_ms": 0.0,
        "p90_ms": 0.0,
        "p99_ms": 0.0,
        "buckets": [],
    }


def test_sources_say_what_is_wrong_and_since_when() -> None:
    failing, fine = service("api")["sources"]
    assert failing == {
        "text": "dns://api:80",
        "endpoints": 0,
        "problem": "no such name",
        "since": 1_700_000_050.0,
        "stale_s": 50.0,
        "notes": [],
    }
    assert fine["problem"] == ""


def test_listeners_say_what_they_are_really_bound_to() -> None:
    web, redis = api.services(STATUS)["listeners"]
    assert web == {
        "name": "web",
        "protocol": "http",
        "address": "0.0.0.0:80",
        "connections": 40,
        "active": 8,
        "received_bytes": 1000,
        "sent_bytes": 250_000,
    }
    assert (redis["protocol"], redis["address"], redis["connections"]) == ("tcp", "[::]:6379", 0)


def test_requests_without_a_route_are_counted() -> None:
    assert api.services(STATUS)["unrouted"] == {"404": 6}


def test_the_configuration_comes_with_the_processes_that_run_it() -> None:
    config = api.config(STATUS)
    assert config["config"] == {"workers": "auto", "listeners": {"web": {"bind": "0.0.0.0:80"}}}
    assert (config["phase"], config["path"], config["version"], config["compiled"]) == (
        "ready",
        "fairlead.yaml",
        7,
        True,
    )
    assert config["workers"][1] == {"number": 1, "pid": 105, "version": 6, "started": 1_700_000_060.0, "restarts": 2}


@pytest.mark.parametrize(
    ("limit", "since", "kinds"),
    [
        (10, 0, ["worker-died", "source-failed", "config-loaded"]),
        (2, 0, ["worker-died", "source-failed"]),
        (10, 1_700_000_050.0, ["worker-died"]),
        (10, 1_800_000_000, []),
        (10, float("nan"), []),
    ],
)
def test_events_are_the_latest_first(limit: int, since: float, kinds: list[str]) -> None:
    assert [event["kind"] for event in api.events(STATUS, limit, since)["events"]] == kinds
