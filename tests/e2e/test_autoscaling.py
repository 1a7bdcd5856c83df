"""From a request through the proxy to the figure that an autoscaler gets of it."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autoscale.authority import CLIENT, Authority
from e2e.harness import LIMIT_S, Endpoint, Running, get, until

CONFIG = """
listeners:
  web: {{bind: "127.0.0.1:0", service: app}}
services:
  app: {{endpoints: {to}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 2
metrics_api:
  bind: 127.0.0.1:0
  window: 5s
  client_ca: {ca}
  authorization: none
  services:
    app: {{object: default/my-app, concurrency: 10, pods: {{my-app-0: {to}}}, labels: {{app: my-app}}}}
"""
CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default"


def ask(running: Running, context: ssl.SSLContext, target: str) -> tuple[int, Any]:
    port = int(running.wait_for(r"metrics API on [\d.]+:(\d+)")[1])
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=LIMIT_S)
    try:
        connection.request("GET", target, headers={"X-Remote-User": "hpa"})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def test_requests_become_metrics_of_the_service_and_its_pods(
    tmp_path: Path, start: Callable[..., Running], endpoints: Callable[[str], Endpoint]
) -> None:
    authority = Authority(tmp_path, "front-proxy-ca")
    context = authority.sign("front-proxy-client", CLIENT).client(None)
    running = start(CONFIG.format(to=endpoints("a").address, ca=authority.ca)).wait_ready()
    until(lambda: ask(running, context, f"{CUSTOM}/services/my-app/fairlead_requests_per_second")[0] == 200, "figures")
    for _ in range(20):
        assert get(running.port("web"))[0] == 200

    def rate(target: str) -> str:
        """Of the one item; "0" while the workers have not reported the requests."""
        status, body = ask(running, context, target)
        assert status == 200, body
        (item,) = body["items"]
        return str(item["value"])

    until(lambda: rate(f"{CUSTOM}/services/my-app/fairlead_requests_per_second") != "0", "a rate of the Service")
    until(lambda: rate(f"{CUSTOM}/services/my-app/fairlead_latency_p99_seconds") != "0", "a latency")
    assert rate(f"{CUSTOM}/pods/*/fairlead_requests_per_second?labelSelector=app%3Dmy-app") != "0"
    assert rate(f"{EXTERNAL}/fairlead_requests_per_second?labelSelector=service%3Dmy-app") != "0"
    assert rate(f"{EXTERNAL}/fairlead_error_ratio?labelSelector=service%3Dmy-app") == "0"
    assert ask(running, context, f"{CUSTOM}/services/my-app/fairlead_saturation")[0] == 200
    assert ask(running, context, f"{CUSTOM}/services/other/fairlead_saturation")[0] == 404


def test_what_is_missing_at_the_start_is_said_before_anything_runs(start: Callable[..., Running]) -> None:
    running = start(CONFIG.format(to="10.0.0.1:80", ca="nothing.crt"))
    assert running.process.wait(LIMIT_S) == 2
    until(lambda: "metrics_api:" in running.log and "nothing.crt" in running.log, lambda: running.log)
