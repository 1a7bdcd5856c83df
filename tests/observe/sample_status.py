"""A Status with something of everything, for the tests of what shows it."""

from fairlead.health.checks.results import CheckFigures, LastCheck, Outcome, Result
from fairlead.health.checks.standing import Standing
from fairlead.health.verdicts import Judge, Verdict
from fairlead.model import Endpoint, Listener, Protocol, Route, Service, Snapshot, State
from fairlead.observe.histogram import Histogram
from fairlead.observe.status import Event, Phase, SourceStatus, Status, WorkerStatus
from fairlead.observe.totals import Durations, ListenerTotals, ServiceTotals, Totals


def durations(*us: int) -> Durations:
    """The durations, as the merged reports carry them."""
    histogram = Histogram()
    for value in us:
        histogram.record(value)
    pairs = histogram.sparse()
    return Durations(counts=dict(zip(pairs[::2], pairs[1::2], strict=True)), sum_us=histogram.sum_us)


ROUTES = (Route(service="api", path="/v1"), Route(service="shop"))

SNAPSHOT = Snapshot(
    version=7,
    listeners={
        "web": Listener(
            name="web", bind="0.0.0.0:8080", routes=(Route(service="shop"), Route(service="api", path="/v1"))
        ),
        "redis": Listener(name="redis", bind="[::]:6379", protocol=Protocol.TCP, service="cache"),
    },
    services={
        "shop": Service(
            name="shop",
            endpoints=(
                Endpoint("10.0.0.1:80"),
                Endpoint("10.0.0.2:80", weight=3),
                Endpoint("10.0.0.3:80", state=State.UNREADY),
            ),
            version=5,
        ),
        "api": Service(name="api", balance="least-request"),
        "cache": Service(name="cache", endpoints=(Endpoint("unix:/run/cache.sock"),)),
    },
)

TOTALS = Totals(
    services={
        "shop": ServiceTotals(
            requests={
                ("web", "10.0.0.1:80", "200"): 90,
                ("web", "10.0.0.1:80", "503"): 2,
                ("web", "10.0.0.2:80", "200"): 270,
                ("web", "10.0.0.9:80", "200"): 4,  # an endpoint that is gone
                ("web", "", "502"): 1,
            },
            retries={"connect-failed": 3},
            duration=durations(400, 900, 2_000, 2_000, 9_000, 90_000_000),
            connect=durations(150),
            in_flight={"10.0.0.1:80": 5, "10.0.0.9:80": 1},
            ttfb_us={"10.0.0.1:80": 1500},
            queued=4,
            limit=17,
            refused={"queue-full": 2},
        ),
        "cache": ServiceTotals(requests={("redis", "unix:/run/cache.sock", "tcp"): 12}),
        "": ServiceTotals(requests={("web", "", "404"): 6}),
    },
    listeners={"web": ListenerTotals(connections=40, active=8, received=1000, sent=250_000, errors={"bad-request": 6})},
    versions={0: 7, 1: 6},
    access_log_dropped=11,
)

STATUS = Status(
    phase=Phase.READY,
    fairlead="0.1.0",
    python="CPython 3.11.2",
    is_compiled=True,
    started=1_700_000_000.0,
    snapshot=SNAPSHOT,
    totals=TOTALS,
    addresses={"web": "0.0.0.0:80", "redis": "[::]:6379"},
    sources={
        "shop": (SourceStatus(text="static", endpoints=3),),
        "api": (
            SourceStatus(text="dns://api:80", endpoints=0, problem="no such name", since=1_700_000_050.0, stale_s=50.0),
            SourceStatus(text="file:api.yaml", endpoints=0),
        ),
    },
    verdicts={
        "shop": {
            "10.0.0.3:80": (
                Verdict(
                    judge=Judge.CHECK,
                    state=State.UNREADY,
                    reason="3 checks in a row failed: 503",
                    since=1_700_000_060.0,
                    until="2 in a row pass",
                    details={"status": 503},
                ),
            )
        }
    },
    checks={
        "shop": CheckFigures(
            kind="http",
            counts={**dict.fromkeys(Result, 0), Result.PASSED: 40, Result.WRONG_REPLY: 5},
            duration=durations(700, 800),
            last={
                "10.0.0.3:80": LastCheck(
                    Standing.DOWN, 5, Outcome(Result.WRONG_REPLY, "status 503", 800), 1_700_000_061.0
                )
            },
        )
    },
    objectives={"shop": 0.3},
    scaling={
        "shop": {"learned": {"concurrency": 4.5, "certainty": "learned"}},
        "api": {"learned": {"concurrency": 6.0, "certainty": "assumed"}},
    },
    workers=(
        WorkerStatus(number=0, pid=100, version=7, started=1_700_000_000.0),
        WorkerStatus(number=1, pid=105, version=6, started=1_700_000_060.0, restarts=2),
    ),
    config={"workers": "auto", "listeners": {"web": {"bind": "0.0.0.0:80"}}},
    config_path="fairlead.yaml",
    config_loaded=1_700_000_001.5,
    events=(
        Event(1_700_000_001.0, "config-loaded", "fairlead.yaml", "version 1"),
        Event(1_700_000_050.0, "source-failed", "api", "no such name"),
        Event(1_700_000_060.0, "worker-died", "1", "killed by signal 9"),
    ),
)
