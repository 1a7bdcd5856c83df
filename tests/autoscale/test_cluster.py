"""What is asked of the cluster, as a real API server was asked, and what becomes of its answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from autoscale.api_server import ApiServer, answers_of
from autoscale.authority import Authority
from autoscale.recorded import lines
from fairlead.autoscale import cluster
from fairlead.autoscale.callers import User
from fairlead.autoscale.cluster import Account, Cluster, in_cluster
from fairlead.autoscale.pods import Pod, Unavailable
from fairlead.autoscale.requests import Attributes
from fairlead.autoscale.selector import parse


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with ApiServer(tmp_path) as running:
        yield running


@pytest_asyncio.fixture
async def asked(api: ApiServer) -> AsyncIterator[Cluster]:
    made = Cluster(api.account)
    yield made
    await made.close()


def review(case: str) -> Any:  # noqa: ANN401
    """A review that a real API server decided."""
    (body,) = [
        json.loads(line["body"])
        for line in lines("aggregated-server-authn-authz")
        if line.get("case") == case and line["dir"] == ">"
    ]
    return body


async def test_the_configmap_says_whom_to_trust(asked: Cluster, api: ApiServer) -> None:
    trust = await asked.trust()
    assert (trust.names, trust.user_headers) == (("front-proxy-client",), ("X-Remote-User",))
    assert "<certificate PEM>" in trust.ca
    assert api.requests == [
        ("GET", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication", None)
    ]


async def test_a_configmap_without_an_authority_is_a_problem(asked: Cluster, api: ApiServer) -> None:
    api.configmap = {"data": None}
    with pytest.raises(Unavailable, match="not set up to aggregate"):
        await asked.trust()


@pytest.mark.parametrize(
    ("case", "extra", "uid"),
    [
        ("SubjectAccessReview: the HPA controller, custom metrics", {}, ""),
        (
            "SubjectAccessReview: somebody without rights",
            {"authentication.kubernetes.io/credential-id": ("JTI=1",)},
            "1",
        ),
    ],
)
async def test_reviews_are_those_that_a_real_api_server_decided(
    asked: Cluster, api: ApiServer, case: str, extra: dict[str, tuple[str, ...]], uid: str
) -> None:
    recorded = review(case)
    spec = recorded["spec"]
    attributes = Attributes(**spec["resourceAttributes"])
    (answer,) = answers_of(case)
    api.allowed = answer["status"]["allowed"]
    assert await asked.allows(User(spec["user"], uid, tuple(spec["groups"]), extra), attributes) is api.allowed
    assert api.requests == [("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", recorded)]


async def test_a_path_is_reviewed_as_a_path(asked: Cluster, api: ApiServer) -> None:
    recorded = review("SubjectAccessReview: non-resource")
    user = User(recorded["spec"]["user"], groups=tuple(recorded["spec"]["groups"]))
    assert await asked.allows(user, Attributes(verb="get", path="/healthz"))
    assert api.requests[0][2] == recorded


def pod(name: str, phase: str = "Running", **more: object) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": more.pop("spec", {}), "status": {"phase": phase, **more}}


async def test_pods_are_those_with_an_address_of_their_own(asked: Cluster, api: ApiServer) -> None:
    api.pods = [
        pod("a", podIP="10.0.0.1", podIPs=[{"ip": "10.0.0.1"}, {"ip": "2001:db8::1"}]),
        pod("starting"),
        pod("ended", "Succeeded", podIP="10.0.0.2"),
        pod("of-the-node", spec={"hostNetwork": True}, podIP="192.168.0.1"),
    ]
    text = "app in (a,b)"
    assert await asked.select("default", parse(text), text) == [Pod("a", frozenset({"10.0.0.1", "2001:db8::1"}))]
    ((_, target, _),) = api.requests
    assert target.startswith("/api/v1/namespaces/default/pods?resourceVersion=0&labelSelector=app")


async def test_a_refusal_is_told_in_its_words(asked: Cluster, api: ApiServer) -> None:
    api.failing = 403
    with pytest.raises(Unavailable, match=r"answers 403: subjectaccessreviews\.authorization\.k8s\.io is forbidden"):
        await asked.allows(User("a"), Attributes(verb="get", path="/"))


async def test_a_server_that_cannot_be_trusted_or_reached_is_told(api: ApiServer, tmp_path: Path) -> None:
    account = api.account
    for broken in (
        Account(account.url.replace("localhost", "127.0.0.1"), account.token, account.ca),
        Account("https://127.0.0.1:1", account.token, account.ca),
        Account(account.url, tmp_path / "nothing", account.ca),
        Account(account.url, account.token, tmp_path / "nothing"),
    ):
        asked = Cluster(broken)
        with pytest.raises(Unavailable, match="could not be had"):
            await asked.trust()
        await asked.close()
    assert api.requests == []


async def test_a_token_is_read_again_for_each_request(asked: Cluster, api: ApiServer) -> None:
    api.account.token.write_text("old")
    with pytest.raises(Unavailable, match="401"):
        await asked.trust()
    api.account.token.write_text("the-token")
    await asked.trust()


async def test_another_authority_of_the_cluster_is_read_when_the_old_does_not_fit(
    api: ApiServer, tmp_path: Path, strangers: Authority
) -> None:
    ca = tmp_path / "replaced.crt"
    ca.write_bytes(strangers.ca.read_bytes())
    asked = Cluster(Account(api.url, api.account.token, ca))
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        await asked.trust()
    ca.write_bytes(api.account.ca.read_bytes())
    assert (await asked.trust()).names == ("front-proxy-client",)
    await asked.close()


def test_a_pod_knows_its_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cluster, "ACCOUNT", tmp_path)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert in_cluster() is None
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "2001:db8::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    assert in_cluster() is None, "without a token"
    (tmp_path / "token").write_text("x")
    assert in_cluster() == Account("https://[2001:db8::1]:6443", tmp_path / "token", tmp_path / "ca.crt")
