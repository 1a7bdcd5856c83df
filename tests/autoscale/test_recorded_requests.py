"""Every request that a real aggregation layer and HPA controller sent gets an answer that the real ones accepted.

The recorded requests are for metrics of the recorder's own: each is sent with the name of a metric and a Service that
there is here in their place, and otherwise byte for byte, all headers in their order, over TLS with a front-proxy
certificate. What an answer has to look like is what was recorded as accepted.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from autoscale.recorded import Request, requests
from autoscale.serving import NAMESPACE, PODS, SERVICE, Serving
from fairlead.autoscale.metrics import METRICS
from fairlead.autoscale.quantity import parse

HPA = requests("hpa-requests")
DISCOVERY = requests("aggregator-discovery-requests")
GOOD = re.compile(r"obj_value_200|pods_200|pods_strangers|ext_value_200")
METRIC = "fairlead_requests_per_second"
VALUES = re.compile(
    r"/apis/([a-z]+)\.metrics\.k8s\.io/(v1beta[12])/namespaces/hpa-b/(?:(services|pods)/([^/]+)/)?([^?]+)"
)


def ours(request: Request) -> Request:
    """The same request for a metric of ours."""
    found = VALUES.match(request.target)
    assert found is not None, request.target
    name = f"services/{SERVICE}/" if found[3] == "services" else f"pods/{found[4]}/" if found[3] else ""
    target = (
        f"/apis/{found[1]}.metrics.k8s.io/{found[2]}/namespaces/hpa-b/{name}{METRIC}{request.target[found.end() :]}"
    )
    headers = tuple((key, target if key == "X-Forwarded-Uri" else value) for key, value in request.headers)
    return Request(f"GET {target} HTTP/1.1", headers, request.answer)


def masked(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is the recorder's own is taken away: names, values, times."""
    plain: list[dict[str, Any]] = json.loads(json.dumps(items))
    for item in plain:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", item.pop("timestamp"))
        assert parse(item.pop("value")) >= 0
        item.get("describedObject", {}).pop("name", None)
        item.pop("metricName", None)
        item.get("metric", {}).pop("name", None)
        item.pop("metricLabels", None)
    return plain


def accepted(group: str, version: str, resource: str) -> list[dict[str, Any]]:
    """An item of an answer from which the controller made a replica count, masked."""
    for request in HPA:
        found = VALUES.match(request.target)
        is_like = found and (found[1], found[2], found[3] or "") == (group, version, resource)
        if is_like and GOOD.search(request.target) and request.answer["body"]["items"]:
            return masked(request.answer["body"]["items"][:1])
    raise AssertionError(f"nothing recorded of {group} {version} {resource}")


@pytest.mark.parametrize("request_", HPA, ids=lambda each: each.target.rpartition("/")[2][:40])
async def test_what_the_controller_asks_is_answered_as_it_accepts(request_: Request, serving: Serving) -> None:
    sent = ours(request_)
    reply = await (await serving.connect()).send(sent.line, sent.headers)
    found = VALUES.match(sent.target)
    assert found is not None
    group, version, resource = found[1], found[2], found[3] or ""
    if not resource and "labelSelector" in sent.target:  # of labels that no metric here has
        assert reply.status == 404
        assert reply.json["message"].startswith("no service matches")
        return
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    body = reply.json
    assert {key: body[key] for key in ("kind", "apiVersion", "metadata")} == {
        "kind": "ExternalMetricValueList" if group == "external" else "MetricValueList",
        "apiVersion": f"{group}.metrics.k8s.io/{version}",
        "metadata": {},
    }
    assert len(body["items"]) == (len(PODS) if resource == "pods" else 1)
    assert masked(body["items"][:1]) == accepted(group, version, resource)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
async def test_each_metric_is_finite_and_one(metric: Any, serving: Serving) -> None:  # noqa: ANN401
    request = next(each for each in HPA if "services/obj-value-200/" in each.target)
    line = f"GET /apis/custom.metrics.k8s.io/v1beta2/namespaces/{NAMESPACE}/services/{SERVICE}/{metric.name} HTTP/1.1"
    reply = await (await serving.connect()).send(line, request.headers)
    if metric.needs_capacity:
        assert (reply.status, reply.json["reason"]) == (404, "NotFound")
        return
    (item,) = reply.json["items"]
    assert item["describedObject"] == {"kind": "Service", "namespace": NAMESPACE, "name": SERVICE, "apiVersion": "v1"}
    assert item["metric"] == {"name": metric.name, "selector": None}
    assert item["windowSeconds"] == 30
    assert parse(item["value"]).is_finite()


async def test_a_rate_of_200_is_the_answer_that_was_scaled_on(serving: Serving) -> None:
    """Recorded: a value of 200 against a target of 100 doubled the replicas at once."""
    request = next(each for each in HPA if each.target.endswith("/ext_value_200"))
    sent = ours(request)
    reply = await (await serving.connect()).send(sent.line, sent.headers)
    (item,) = reply.json["items"]
    (recorded,) = request.answer["body"]["items"]
    assert item["value"] == recorded["value"] == "200"
    assert item["metricLabels"] == {"service": SERVICE}


def document(body: Any) -> Any:  # noqa: ANN401
    """What of a discovery document does not depend on which metrics there are."""
    if isinstance(body, dict) and "resources" in body:
        one = {key: value for key, value in body["resources"][0].items() if key != "name"}
        return {**body, "resources": [one], "prefixes": {name["name"].rpartition("/")[0] for name in body["resources"]}}
    return body


@pytest.mark.parametrize("request_", DISCOVERY, ids=lambda each: each.target)
async def test_what_the_aggregator_asks_is_answered_as_it_accepts(request_: Request, serving: Serving) -> None:
    reply = await (await serving.connect()).send(request_.line, request_.headers)
    if request_.target == "/apis":
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        assert reply.json["kind"] == "APIGroupDiscoveryList"
        return
    good = next(each.answer for each in reversed(DISCOVERY) if each.target == request_.target)
    assert good["status"] in (200, 404)
    assert (reply.status, reply.headers["Content-Type"]) == (good["status"], good["headers"]["Content-Type"])
    if reply.status == 404:
        assert reply.body.decode() == good["body"]
    else:
        assert document(reply.json) == document(good["body"])
