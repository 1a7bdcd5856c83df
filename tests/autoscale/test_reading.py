"""The `metrics_api` of a configuration: what it says, what is wrong with it, and how it is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fairlead.autoscale.settings import Described, MetricsApi, ObjectName
from fairlead.config import parse, to_json
from fairlead.discovery.dns import DnsSource
from fairlead.errors import ConfigError
from fairlead.model import AUTO
from fairlead.settings import Settings

BASE = """\
listeners:
  web: {bind: ":8080", service: shop}
services:
  shop:
    endpoints: 10.0.0.1:80
"""


def read(text: str) -> Settings:
    return parse(BASE + text, "f", Path("/base"))


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(text)
    return refused.value.problems


def test_a_concurrency_that_is_learned_is_shown_as_it_was_written() -> None:
    settings = read("    objective: 1s\nmetrics_api: {services: {shop: {concurrency: auto}}}")
    assert settings.metrics_api.services["shop"].concurrency == AUTO
    assert to_json(settings)["metrics_api"]["services"]["shop"]["concurrency"] == "auto"


def test_it_is_off_by_default() -> None:
    assert read("").metrics_api == read("metrics_api: off").metrics_api == MetricsApi()
    assert not MetricsApi().bind


WHOLE = """\
metrics_api:
  bind: 0.0.0.0:6443
  window: 1m
  hold: 10s
  certificate: tls.crt
  key: /keys/tls.key
  server_names: [fairlead.default.svc, fairlead.default.svc.cluster.local]
  client_ca: ca.crt
  client_names: front-proxy-client
  authorization: none
  peers: dns://fairlead-metrics:6443
  peer_key: peer.key
  services:
    shop:
      object: default/my-app
      concurrency: 12.5
      pods: {my-app-0: 10.0.0.1}
      labels: {app: my-app}
"""


def test_everything_given() -> None:
    assert read(WHOLE).metrics_api == MetricsApi(
        bind="0.0.0.0:6443",
        window_s=60.0,
        hold_s=10.0,
        certificate="/base/tls.crt",
        key="/keys/tls.key",
        server_names=("fairlead.default.svc", "fairlead.default.svc.cluster.local"),
        client_ca="/base/ca.crt",
        client_names=("front-proxy-client",),
        authorization="none",
        peers=DnsSource("fairlead-metrics", 6443),
        peer_key="/base/peer.key",
        services={
            "shop": Described(
                name="shop",
                object=ObjectName("default", "my-app"),
                concurrency=12.5,
                pods={"my-app-0": "10.0.0.1"},
                labels={"app": "my-app"},
            )
        },
    )


@pytest.mark.parametrize("text", [WHOLE, "", "metrics_api: {services: {shop: {}}}"])
def test_what_is_in_effect_can_be_shown_and_read_again(text: str) -> None:
    settings = read(text)
    shown = json.dumps(to_json(settings)["metrics_api"])
    assert read(f"metrics_api: {shown}").metrics_api == settings.metrics_api


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{bind: nowhere}", "metrics_api.bind"),
        ("{window: 1s}", "metrics_api.window: is 1, and must be from 5"),
        ("{peers: 10.0.0.1:6443}", "metrics_api: has one of peers and peer_key without the other"),
        ("{peers: nowhere, peer_key: a}", "metrics_api.peers"),
        ("{key: a}", "metrics_api: has one of certificate and key without the other"),
        ("{client_names: [a]}", "metrics_api.client_names: goes with client_ca"),
        ("{server_names: [a b]}", "metrics_api.server_names[0]: is 'a b', and must be a DNS name"),
        ("{authorization: maybe}", "metrics_api.authorization: is 'maybe', and must be cluster or none"),
        ("{services: {shpo: {}}}", "metrics_api.services.shpo: there is no service 'shpo'; did you mean 'shop'?"),
        ("{services: {shop: {object: my-app}}}", "object: is 'my-app', and must be NAMESPACE/SERVICE"),
        ("{services: {shop: {concurrency: -1}}}", "concurrency: is -1, and must be from 0"),
        ("{services: {shop: {concurrency: 0.001}}}", "concurrency: is 0.001, and must be at least 0.01"),
        (
            "{services: {shop: {concurrency: auto}}}",
            "concurrency: is auto, which is learned from replies that",
        ),
        ("{services: {shop: {pods: [a]}}}", "pods: is a list, and must be a mapping"),
        ("{bind: 0.0.0.0:8080}", "metrics_api: listens on 0.0.0.0:8080, as another does"),
        ("{bind: 127.0.0.1:9900}", "metrics_api: listens on 127.0.0.1:9900, as another does"),
        ("{color: red}", "metrics_api.color: is unknown"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, found: str) -> None:
    (problem,) = problems(f"metrics_api: {text}\n")
    assert problem.startswith("f:6: metrics_api")
    assert found in problem
