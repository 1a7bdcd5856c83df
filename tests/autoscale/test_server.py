"""Who gets in and who does not, the errors' form, and certificates that are replaced while it runs."""

from __future__ import annotations

import json
import ssl
from typing import Any

import pytest
from autoscale.authority import CLIENT, SERVER, Authority, Pair, anonymous
from autoscale.recorded import Connection, Header, lines
from autoscale.serving import NAMESPACE, SERVICE, Serving
from fairlead.autoscale.metrics import METRICS
from fairlead.autoscale.pods import Unavailable
from fairlead.autoscale.requests import Attributes

Json = dict[str, Any]

HPA: tuple[Header, ...] = (
    ("Host", "10.231.255.2:8443"),
    ("X-Remote-User", "system:serviceaccount:kube-system:horizontal-pod-autoscaler"),
)
RATE = "/apis/external.metrics.k8s.io/v1beta1/namespaces/hpa-b/fairlead_requests_per_second"
P95 = f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{NAMESPACE}/services/{SERVICE}/fairlead_latency_p95_seconds"
REFUSED = (ssl.SSLError, ConnectionError, EOFError)


async def get(connection: Connection, target: str, *headers: Header, method: str = "GET") -> tuple[int, Json]:
    reply = await connection.send(f"{method} {target} HTTP/1.1", (*HPA, *headers))
    return reply.status, reply.json


async def test_without_a_certificate_nobody_is_believed(serving: Serving) -> None:
    connection = await serving.connect_with(anonymous(serving.authority.ca))
    assert await get(connection, RATE) == (
        401,
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "Unauthorized",
            "reason": "Unauthorized",
            "code": 401,
        },
    )
    assert serving.decisions.asked == []


async def refused(serving: Serving, pair: Pair) -> None:
    """TLS 1.3 tells a client only after the handshake that its certificate is not good."""
    with pytest.raises(REFUSED):
        await get(await serving.connect_with(pair.client(serving.authority.ca)), RATE)


async def test_certificates_of_others_are_refused(serving: Serving, strangers: Authority) -> None:
    await refused(serving, strangers.sign("front-proxy-client", CLIENT))


async def test_certificates_that_have_expired_are_refused(serving: Serving, front_proxy: Authority) -> None:
    await refused(serving, front_proxy.sign("front-proxy-client", CLIENT, days=-1))


async def test_certificates_for_servers_are_refused(serving: Serving, front_proxy: Authority) -> None:
    await refused(serving, front_proxy.sign("front-proxy-client", SERVER))


async def test_certificates_with_another_name_do_not_vouch(serving: Serving, front_proxy: Authority) -> None:
    pair = front_proxy.sign("somebody", CLIENT)
    assert (await get(await serving.connect_with(pair.client(serving.authority.ca)), RATE))[0] == 401


async def test_probes_need_no_certificate(serving: Serving) -> None:
    connection = await serving.connect_with(anonymous(serving.authority.ca))
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await connection.send(f"GET {path} HTTP/1.1", HPA)).status == 200


async def test_who_may_not_is_told_so_in_the_words_of_an_api_server(serving: Serving) -> None:
    serving.decisions.answer = False
    connection = await serving.connect()
    status, body = await get(connection, RATE)
    (recorded,) = [
        line["json"]
        for line in lines("aggregated-server-authn-authz")
        if line.get("case") == "caller through the aggregator without RBAC" and "json" in line
    ]
    told = json.dumps(recorded).replace("ext_value_200", "fairlead_requests_per_second")
    assert status == 403
    assert body == json.loads(told.replace("api-rw:caller", "kube-system:horizontal-pod-autoscaler"))
    status, body = await get(connection, P95)
    assert body["message"] == (
        f'services.custom.metrics.k8s.io "{SERVICE}" is forbidden: User "{HPA[1][1]}" cannot get resource '
        f'"services/fairlead_latency_p95_seconds" in API group "custom.metrics.k8s.io" in the namespace "{NAMESPACE}"'
    )
    status, body = await get(connection, "/apis")
    assert body["message"] == f'forbidden: User "{HPA[1][1]}" cannot get path "/apis"'


async def test_the_user_is_what_is_decided_about(serving: Serving) -> None:
    await get(await serving.connect(), P95, ("X-Remote-Group", "a"), ("X-Remote-Group", "b"), ("X-Remote-Uid", "1"))
    ((user, attributes),) = serving.decisions.asked
    assert (user.name, user.uid, user.groups) == (HPA[1][1], "1", ("a", "b", "system:authenticated"))
    assert attributes == Attributes(
        verb="get",
        group="custom.metrics.k8s.io",
        version="v1beta2",
        namespace=NAMESPACE,
        resource="services",
        subresource="fairlead_latency_p95_seconds",
        name=SERVICE,
    )


@pytest.mark.parametrize(
    ("target", "headers", "method", "status", "reason"),
    [
        (RATE, (), "POST", 405, "MethodNotAllowed"),
        (RATE, (), "DELETE", 405, "MethodNotAllowed"),
        (RATE, (("Accept", "application/vnd.kubernetes.protobuf"),), "GET", 406, "NotAcceptable"),
        (f"{RATE}?labelSelector=a%3D%3D%3Db", (), "GET", 400, "BadRequest"),
        (f"{RATE}?labelSelector=%ff", (), "GET", 400, "BadRequest"),
        ("/apis/custom.metrics.k8s.io/v1beta2/namespaces/a%2Fb/services/c/d", (), "GET", 400, "BadRequest"),
        ("/apis/custom.metrics.k8s.io/v2", (), "GET", 404, "NotFound"),
        (RATE.replace("per_second", "per_day"), (), "GET", 404, "NotFound"),
    ],
)
async def test_errors_are_status_objects(
    serving: Serving, target: str, headers: tuple[Header, ...], method: str, status: int, reason: str
) -> None:
    code, body = await get(await serving.connect(), target, *headers, method=method)
    assert (code, body["kind"], body["status"], body["code"]) == (status, "Status", "Failure", status)
    assert body["reason"] == reason
    assert body["message"]


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "application/vnd.kubernetes.protobuf, */*;q=0.1"])
async def test_json_is_the_answer_whoever_can_take_it(serving: Serving, accept: str) -> None:
    headers = (("Accept", accept),) if accept else ()
    assert (await get(await serving.connect(), RATE, *headers))[0] == 200


async def test_a_cluster_that_cannot_be_asked_is_an_error_without_a_retry(serving: Serving) -> None:
    serving.decisions.answer = Unavailable("a SubjectAccessReview could not be had: down")
    reply = await (await serving.connect()).send(f"GET {RATE} HTTP/1.1", HPA)
    assert (reply.status, reply.json["reason"]) == (500, "InternalError")
    assert "could not be had: down" in reply.json["message"]
    assert "Retry-After" not in reply.headers


async def test_a_bug_is_an_error_that_keeps_its_words(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    serving.decisions.answer = ZeroDivisionError("a secret")
    status, body = await get(await serving.connect(), RATE)
    assert (status, body["reason"]) == (500, "InternalError")
    assert "secret" not in str(body)
    assert "a secret" in caplog.text


async def test_another_authority_is_trusted_from_the_next_connection_on(
    serving: Serving, front_proxy: Authority, strangers: Authority
) -> None:
    fresh = strangers.sign("front-proxy-client", CLIENT)
    await refused(serving, fresh)
    before = await serving.connect()
    serving.secure(strangers)
    assert (await get(await serving.connect_with(fresh.client(serving.authority.ca)), RATE))[0] == 200
    await refused(serving, front_proxy.sign("front-proxy-client", CLIENT))
    assert (await get(before, RATE))[0] == 200, "what is open goes on"


async def test_discovery_without_aggregation_is_a_list_of_groups(serving: Serving) -> None:
    connection = await serving.connect()
    status, body = await get(connection, "/apis", ("Accept", "application/json"))
    assert status == 200
    assert body == {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {
                "name": "custom.metrics.k8s.io",
                "versions": [
                    {"groupVersion": "custom.metrics.k8s.io/v1beta2", "version": "v1beta2"},
                    {"groupVersion": "custom.metrics.k8s.io/v1beta1", "version": "v1beta1"},
                ],
                "preferredVersion": {"groupVersion": "custom.metrics.k8s.io/v1beta2", "version": "v1beta2"},
            },
            {
                "name": "external.metrics.k8s.io",
                "versions": [{"groupVersion": "external.metrics.k8s.io/v1beta1", "version": "v1beta1"}],
                "preferredVersion": {"groupVersion": "external.metrics.k8s.io/v1beta1", "version": "v1beta1"},
            },
        ],
    }
    status, body = await get(connection, "/apis/external.metrics.k8s.io")
    assert (status, body["kind"], body["name"]) == (200, "APIGroup", "external.metrics.k8s.io")


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
async def test_aggregated_discovery_says_everything_at_once(serving: Serving, version: str) -> None:
    kind = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    reply = await (await serving.connect()).send("GET /apis HTTP/1.1", (*HPA, ("Accept", f"{kind},application/json")))
    assert reply.headers["Content-Type"] == kind
    body = reply.json
    assert body["apiVersion"] == f"apidiscovery.k8s.io/{version}"
    custom, external = body["items"]
    assert [each["version"] for each in custom["versions"]] == ["v1beta2", "v1beta1"]
    assert [each["resource"] for each in external["versions"][0]["resources"]] == list(METRICS)
    services, pods = custom["versions"][0]["resources"]
    assert [each["subresource"] for each in services["subresources"]] == list(METRICS)
    assert "fairlead_requests_in_flight" in [each["subresource"] for each in pods["subresources"]]
    assert services["subresources"][0]["responseKind"]["kind"] == "MetricValueList"
