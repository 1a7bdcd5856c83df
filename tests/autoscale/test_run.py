"""All of it put together: figures from a supervisor, trust from a cluster or from files, certificates made or given."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from autoscale import recorded
from autoscale.api_server import ApiServer
from autoscale.authority import CLIENT, SERVER, SERVER_NAME, Authority, anonymous
from control.helpers import Fake, until
from fairlead.autoscale import certificates, credentials
from fairlead.autoscale.cluster import Account
from fairlead.autoscale.run import Autoscaling
from fairlead.autoscale.settings import Described, MetricsApi, ObjectName
from fairlead.control.sockets import open_listening
from fairlead.discovery.static import StaticSource
from fairlead.errors import ConfigError
from fairlead.model import Endpoint, Listener, Route, Service, Snapshot
from fairlead.observe.totals import ServiceTotals, Totals
from fairlead.settings import ServiceSettings, Settings
from observe.sample_status import durations

HPA = (("Host", "x"), ("X-Remote-User", "hpa"))
RATE = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/default/{}/fairlead_requests_per_second"
SERVICE, PODS = RATE.format("services/my-app"), RATE.format("pods/%2A") + "?labelSelector=app%3Dmy-app"
SHOP = Described(
    name="shop", object=ObjectName("default", "my-app"), pods={"my-app-0": "10.0.0.1"}, labels={"app": "my-app"}
)


class Supervised:
    """A supervisor whose workers report when a test says so: ten more requests each time."""

    def __init__(self) -> None:
        self.snapshot = Snapshot(services={"shop": Service(name="shop", endpoints=(Endpoint("10.0.0.1:80"),))})
        self.reported = 0.0
        self._requests = 0

    def report(self) -> None:
        self.reported = time.monotonic()
        self._requests += 10

    def totals(self) -> Totals:
        requests = {("web", "10.0.0.1:80", "200"): self._requests}
        return Totals(services={"shop": ServiceTotals(requests=requests, duration=durations(*[5] * self._requests))})


def settings(**api: Any) -> Settings:  # noqa: ANN401
    return Settings(
        listeners={"web": Listener(name="web", bind="127.0.0.1:0", routes=(Route(service="shop"),))},
        services={"shop": ServiceSettings(name="shop", sources=(StaticSource("10.0.0.1:80"),))},
        metrics_api=MetricsApi(bind="127.0.0.1:0", **{"services": {"shop": SHOP}, **api}),
    )


class Running:
    """What is in force may be replaced: `settings`."""

    def __init__(self, given: Settings, account: Account | None) -> None:
        self.settings = given
        self.supervised = Supervised()
        self.autoscaling = Autoscaling(self.supervised, lambda: self.settings, account)
        self.port = 0

    async def get(self, context: ssl.SSLContext, target: str) -> recorded.Reply:
        connection = await recorded.connect(self.port, context)
        try:
            return await connection.send(f"GET {target} HTTP/1.1", HPA)
        finally:
            await connection.close()

    async def rate(self, context: ssl.SSLContext, target: str = SERVICE) -> recorded.Reply:
        """Asked after two reports."""
        for _ in range(2):
            self.supervised.report()
            reply = await self.get(context, target)
        return reply


@asynccontextmanager
async def running(given: Settings, account: Account | None = None) -> AsyncIterator[Running]:
    made = Running(given, account)
    listening = open_listening("127.0.0.1:0", 1)[0]
    made.port = listening.getsockname()[1]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.autoscaling.run(listening))
        yield made
        task.cancel()


async def test_without_a_cluster_files_say_whom_to_trust(front_proxy: Authority) -> None:
    given = settings(client_ca=str(front_proxy.ca), client_names=("hpa-client",), authorization="none")
    async with running(given) as made:
        client = front_proxy.sign("hpa-client", CLIENT).client(None)
        reply = await made.rate(client)
        assert reply.status == 200
        assert reply.json["items"][0]["describedObject"]["name"] == "my-app"
        (item,) = (await made.get(client, PODS)).json["items"]
        assert item["describedObject"]["name"] == "my-app-0"
        assert (await made.get(front_proxy.sign("other", CLIENT).client(None), SERVICE)).status == 401


async def test_it_shows_what_autoscalers_are_told(front_proxy: Authority) -> None:
    given = settings(client_ca=str(front_proxy.ca), authorization="none")
    async with running(given) as made:
        await made.rate(front_proxy.sign("hpa", CLIENT).client(None))
        (shop,) = made.autoscaling.status().values()
    assert (shop["object"], shop["objective_s"], shop["concurrency"]) == ("default/my-app", 0.0, 0.0)
    assert shop["learned"] == {"requests_per_second": 0.0, "concurrency": 0.0, "certainty": "none"}
    json.dumps(shop, allow_nan=False)


async def test_in_a_cluster_it_says_whom_to_trust_who_may_and_which_pods(
    tmp_path: Path, front_proxy: Authority
) -> None:
    async with ApiServer(tmp_path) as api:
        api.trust(front_proxy)
        api.pods = [{"metadata": {"name": "my-app-7"}, "status": {"podIP": "10.0.0.1", "phase": "Running"}}]
        async with running(settings(), api.account) as made:
            client = front_proxy.sign("front-proxy-client", CLIENT).client(None)
            await until(lambda: made.autoscaling._credentials.trust.ca, "the configmap is read")
            assert (await made.rate(client)).status == 200
            (item,) = (await made.get(client, PODS)).json["items"]
            assert item["describedObject"]["name"] == "my-app-7"
            api.allowed = False
            assert (await made.get(client, "/apis")).status == 403
            assert (await made.get(client, SERVICE)).status == 200, "remembered"


async def test_a_cluster_that_does_not_answer_is_asked_again(
    tmp_path: Path, front_proxy: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(credentials, "_RETRY_S", 0.01)
    async with ApiServer(tmp_path) as api:
        api.trust(front_proxy)
        api.failing = 403
        async with running(settings(), api.account) as made:
            await until(lambda: len(api.requests) > 3, "it is asked again")
            told = [record.message for record in caplog.records if record.levelno == logging.WARNING]
            assert len(told) == 1, "and the log says so once"
            assert "extension-apiserver-authentication could not be had" in told[0]
            api.failing = None
            await until(lambda: made.autoscaling._credentials.trust.ca, "the configmap is read")


async def test_a_new_configuration_counts_from_the_next_request(front_proxy: Authority) -> None:
    async with running(settings(client_ca=str(front_proxy.ca), authorization="none")) as made:
        client = front_proxy.sign("any", CLIENT).client(None)
        assert (await made.rate(client)).status == 200
        made.settings = replace(made.settings, metrics_api=replace(made.settings.metrics_api, services={}))
        assert (await made.get(client, SERVICE)).status == 404


async def test_a_certificate_that_is_made_has_the_names(front_proxy: Authority, tmp_path: Path) -> None:
    made = certificates.made([SERVER_NAME])
    assert b"PRIVATE KEY" in made.key
    ca = tmp_path / "made.crt"
    ca.write_bytes(made.certificate)
    listening = open_listening("127.0.0.1:0", 1)[0]
    with listening, pytest.raises(ssl.SSLError):
        certificates.context(replace(made, key=b"none"), "")
    assert anonymous(ca).get_ca_certs()[0]["subjectAltName"] == (("DNS", SERVER_NAME),)


async def test_files_that_are_replaced_are_read_again(
    tmp_path: Path, front_proxy: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Authority(tmp_path, "first"), Authority(tmp_path, "second")
    shown = tmp_path / "tls.crt", tmp_path / "tls.key"

    def show(authority: Authority) -> None:
        pair = authority.sign(SERVER_NAME, SERVER)
        for path, source in zip(shown, (pair.certificate, pair.key), strict=True):
            replacement = path.with_suffix(".new")
            replacement.write_bytes(source.read_bytes())
            replacement.rename(path)

    show(first)
    given = settings(client_ca=str(front_proxy.ca), authorization="none", certificate=str(shown[0]), key=str(shown[1]))
    pair = front_proxy.sign("any", CLIENT)
    async with running(given) as made:
        assert (await made.get(pair.client(first.ca), "/apis")).status == 200
        was = made.autoscaling._credentials.context
        show(second)
        await until(lambda: made.autoscaling._credentials.context is not was, "the files are read again")
        assert (await made.get(pair.client(second.ca), "/apis")).status == 200
        shown[1].write_text("broken")
        await until(lambda: "what was good stays in force" in caplog.text, "the broken file is read")
        assert (await made.get(pair.client(second.ca), "/apis")).status == 200, "what was good stays"


async def test_two_replicas_answer_as_one(front_proxy: Authority, tmp_path: Path) -> None:
    key = tmp_path / "peer.key"
    key.write_text("0123456789abcdef\n")
    sources = Fake("fake://one"), Fake("fake://two")
    files: dict[str, Any] = {"client_ca": str(front_proxy.ca), "authorization": "none", "peer_key": str(key)}
    client = front_proxy.sign("any", CLIENT).client(None)
    async with (
        running(settings(peers=sources[0], **files)) as one,
        running(settings(peers=sources[1], **files)) as two,
    ):
        assert (await one.get(client, SERVICE)).status == 503, "before it knows the others"
        for source in sources:
            source.control.find(f"127.0.0.1:{one.port}", f"127.0.0.1:{two.port}")
        await until(lambda: all(source.control.found.empty() for source in sources), "the replicas are found")
        for each in (one, two):
            each.supervised.report()
            await each.get(client, "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/fairlead_queued_requests")
            each.supervised.report()
        (item,) = (await one.get(client, PODS.replace("requests_per_second", "error_ratio"))).json["items"]
        assert item["value"] == "0"
        assert one.autoscaling._replicas is not None
        view = await one.autoscaling._replicas.view(with_endpoints=True)
        figures = view.endpoints("shop")["10.0.0.1:80"]
        assert figures.requests == 20, "ten of each"


async def test_a_fault_of_its_own_ends_it_and_nothing_else(
    front_proxy: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    made = Running(settings(client_ca=str(front_proxy.ca), authorization="none"), None)
    made.supervised.totals = None  # type: ignore[method-assign, assignment]
    made.supervised.report()
    async with asyncio.timeout(recorded.LIMIT_S):
        await made.autoscaling.run(open_listening("127.0.0.1:0", 1)[0])
    assert "the metrics API has ended by a fault of its own" in caplog.text


@contextmanager
def problems(found: list[str]) -> Iterator[None]:
    with pytest.raises(ConfigError) as refused:
        yield
    found += refused.value.problems


@pytest.mark.parametrize(
    ("api", "words"),
    [
        ({}, ["no cluster to ask; set metrics_api.client_ca", "set metrics_api.authorization to none"]),
        ({"client_ca": "/dev/null", "authorization": "none"}, ["/dev/null has no certificate in it"]),
        ({"client_ca": "/nothing", "authorization": "none"}, ["/nothing"]),
        ({"client_ca": "/nothing", "authorization": "none", "certificate": "/a", "key": "/b"}, ["/a"]),
    ],
)
def test_what_is_missing_at_the_start_is_said(api: dict[str, Any], words: list[str]) -> None:
    told: list[str] = []
    with problems(told):
        Running(settings(**api), None)
    assert len(told) == len(words)
    for problem, expected in zip(told, words, strict=True):
        assert problem.startswith("metrics_api")
        assert expected in problem


def test_a_key_of_replicas_that_is_none_is_said(front_proxy: Authority) -> None:
    told: list[str] = []
    with problems(told):
        given = {"authorization": "none", "peers": Fake("x"), "peer_key": "/dev/null"}
        Running(settings(client_ca=str(front_proxy.ca), **given), None)
    assert told == ["metrics_api.peer_key: /dev/null: a key has at least 16 bytes; make one with openssl rand -hex 32"]


def test_without_the_library_a_certificate_has_to_be_given(
    front_proxy: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(names: object) -> None:
        raise RuntimeError(certificates._MISSING)

    monkeypatch.setattr(certificates, "made", missing)
    told: list[str] = []
    with problems(told):
        Running(settings(client_ca=str(front_proxy.ca), authorization="none"), None)
    assert "pip install 'fairlead[metrics-api]'" in told[0]
