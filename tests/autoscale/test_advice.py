"""`fairlead hpa`: the manifest, what it rests on, the replay, and what is said when there is nothing to go by."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import pytest
import yaml
from fairlead.autoscale.advice import Wanted, manifest
from fairlead.autoscale.history import Moment
from fairlead.autoscale.hpa import manifest as reading
from fairlead.autoscale.hpa.spec import Metric, Spec
from fairlead.cli import main
from fairlead.errors import ConfigError

LEARNED = {"requests_per_second": 41.4, "concurrency": 3.9, "certainty": "learned"}
AT = 1_700_000_000.0  # 22:13:20


def history(*saturations: float | None, ready: int = 4) -> list[dict[str, Any]]:
    return [
        asdict(
            Moment(at=AT + 15 * place, ready=ready, requests_per_second=200.0, p95_s=0.31, saturation=saturation)
        )
        for place, saturation in enumerate(saturations)
    ]  # fmt: skip


def service(**given: Any) -> dict[str, Any]:  # noqa: ANN401
    known = {"object": "my-namespace/my-app", "objective_s": 0.25, "concurrency": "auto", "learned": LEARNED}
    return {**known, "history": history(0.7, 0.75, 1.2), **given}


def told(wanted: Wanted | None = None, **given: Any) -> str:  # noqa: ANN401
    return manifest(wanted or Wanted(service="shop"), {"shop": service(**given)})


def comments(text: str) -> str:
    return "\n".join(line[2:] for line in text.splitlines() if line.startswith("#"))


def test_the_manifest_is_one_that_an_autoscaler_reads() -> None:
    wanted = Wanted(service="shop", target="0.65", least=3, most=40, deployment="web")
    document = yaml.safe_load(told(wanted))
    assert (document["apiVersion"], document["kind"]) == ("autoscaling/v2", "HorizontalPodAutoscaler")
    assert document["metadata"] == {"name": "web", "namespace": "my-namespace"}
    assert document["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    (metric,) = document["spec"]["metrics"]
    assert metric["object"]["describedObject"] == {"apiVersion": "v1", "kind": "Service", "name": "my-app"}
    assert reading.read(document) == Spec(
        metrics=(Metric("Object", "fairlead_saturation", "Value", 650),), least=3, most=40
    )


@pytest.mark.parametrize(("ready", "most"), [(2, 10), (4, 12)])
def test_bounds_that_are_not_given_follow_from_what_there_is(ready: int, most: int) -> None:
    document = yaml.safe_load(told(history=history(0.7, ready=ready)))
    assert (document["spec"]["minReplicas"], document["spec"]["maxReplicas"]) == (2, most)
    assert document["metadata"]["name"] == "my-app"


def test_it_says_what_it_rests_on_and_what_would_happen_now() -> None:
    said = comments(told())
    assert said.startswith("shop: one pod can do 41.4 requests/s, 3.9 at once, within 0.25 s: learned.")
    assert "22:13:50     4       200.0   0.310s       1.200          7" in said
    assert "the HPA would now set 7 replicas of 4, because\nfairlead_saturation is 1.2 against 0.7: 7." in said


def test_a_count_that_is_left_and_a_window_are_told() -> None:
    said = comments(told(history=history(0.7, 0.7, 0.2)))
    assert "the HPA would now leave 4 replicas of 4" in said
    assert "steadied to 4 by the last 300 s" in said
    assert "Without windows, policies and bounds (2 to 12) it would be 2." in said


def test_a_guess_is_called_one() -> None:
    said = comments(told(learned={**LEARNED, "certainty": "assumed"}))
    assert "one pod is taken to do 41.4 requests/s" in said
    assert "the true figure is not known" in said
    assert "one pod serves 8 requests at once, as the configuration says" in comments(told(concurrency=8.0))


def test_a_moment_without_a_value_changes_nothing() -> None:
    said = comments(told(history=history(0.7, None)))
    assert "would now leave 4 replicas of 4, because\nno change: fairlead_saturation had no value" in said


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"object": ""}, "set metrics_api.services.shop.object"),
        ({"concurrency": 0.0, "objective_s": 0.0}, "concurrency to auto, and services.shop.objective"),
        ({"concurrency": 0.0}, "what a pod can do is not known; set metrics_api.services.shop.concurrency to auto"),
        ({"history": []}, "shop: has had no traffic yet"),
        ({"history": [asdict(Moment(at=AT, ready=2))] * 40}, "shop: has had no traffic in the last 10 minutes"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        told(**given)
    assert len(refused.value.problems) == 1
    assert problem in refused.value.problems[0]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        (Wanted(service="shpo"), "shpo: there is no such service; did you mean 'shop'?"),
        (Wanted(service="shop", target="much"), "--target: 'much' is no quantity"),
        (Wanted(service="shop", target="0"), "--target: is 0, and must be above 0"),
        (Wanted(service="shop", least=5, most=3), "--max: is 3, and must be at least --min, which is 5"),
        (Wanted(service="shop", least=0), "--min: is 0, and must be at least 1"),
    ],
)
def test_what_is_asked_wrongly_is_said(wanted: Wanted, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        told(wanted)
    assert problem in refused.value.problems[0]


@contextmanager
def admin(status: int, body: bytes) -> Iterator[str]:
    """A server that answers one request."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/api/v1/autoscale" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        thread.join()


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    with admin(200, json.dumps({"services": {"shop": service()}}).encode()) as address:
        assert main(["hpa", "shop", "--admin", address, "--min", "1", "--max", "9"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["spec"]["maxReplicas"] == 9


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, b'{"services": {}}', "serves no metrics API, so no autoscaler could ask it; set metrics_api.bind"),
        (200, b"hello", "does not answer as an admin server of Fairlead does"),
        (200, b"[]", "does not answer as an admin server of Fairlead does"),
        (404, b"{}", "answers 404 to /api/v1/autoscale; is it another version of Fairlead?"),
    ],
)
def test_an_answer_that_is_none_is_said(
    status: int, body: bytes, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with admin(status, body) as address:
        assert main(["hpa", "shop", "--admin", address]) == 2
    assert problem in capsys.readouterr().err


def test_a_server_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for address in ("127.0.0.1:1", "127.0.0.1:x"):
        assert main(["hpa", "shop", "--admin", address]) == 2
        assert f"--admin: {address} does not answer" in capsys.readouterr().err
