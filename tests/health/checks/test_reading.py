"""The group `checks` of a service: what may be written, what is refused and where, and what is shown as in effect."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fairlead import config
from fairlead.errors import ConfigError
from fairlead.health.checks.settings import CheckSettings

FILE = """
listeners: {{web: {{bind: ":8080", service: shop}}}}
services:
  shop:
    endpoints: 10.0.0.1:80
    checks: {0}
"""


def read(checks: str) -> CheckSettings | None:
    return config.parse(FILE.format(checks), "fairlead.yaml", Path("/etc")).services["shop"].checks


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", None),
        ("{}", CheckSettings()),
        (
            "{path: /healthz?deep=1, interval: 10s, fast_interval: 250ms, timeout: 2, fall: 1, rise: 5, port: 9000}",
            CheckSettings(
                path="/healthz?deep=1", interval_s=10, fast_interval_s=0.25, timeout_s=2, fall=1, rise=5, port=9000
            ),
        ),
        (
            "{kind: http, method: HEAD, host: 'shop.example.com:80', status: [200, 300-399], headers: {X-A: b}}",
            CheckSettings(method="HEAD", host="shop.example.com:80", status=("200", "300-399"), headers={"X-A": "b"}),
        ),
        ("{status: 204}", CheckSettings(status=("204",))),
        ("{body: ok, readiness: replace}", CheckSettings(body="ok", readiness="replace")),
        (r"{kind: tcp, send: 'PING\r\n', expect: PONG}", CheckSettings(kind="tcp", send=r"PING\r\n", expect="PONG")),
        (
            "{kind: grpc, grpc_service: shop.v1.Shop, initial: down, all_failed: use-all}",
            CheckSettings(kind="grpc", grpc_service="shop.v1.Shop", initial="down", all_failed="use-all"),
        ),
    ],
)
def test_what_is_written_is_read_and_shown(text: str, settings: CheckSettings | None) -> None:
    assert read(text) == settings
    shown = config.to_json(config.parse(FILE.format(text), "fairlead.yaml", Path("/etc")))["services"]["shop"]["checks"]
    assert read(json.dumps(shown)) == settings


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("on", "checks: is 'on', and must be a mapping (KEY: VALUE)"),
        ("{paht: /}", "checks.paht: is unknown; did you mean 'path'?"),
        ("{kind: udp}", "checks.kind: is 'udp', and must be http or tcp or grpc"),
        ("{path: healthz}", "checks.path: is 'healthz', and must start with /"),
        ("{path: '/a b'}", "checks.path: is '/a b', and must start with /"),
        ("{path: '/a#b'}", "checks.path: is '/a#b', and must start with /"),
        ("{host: 'a b'}", "checks.host: is 'a b', and must be a host"),
        ("{status: 99}", "checks.status: is '99', and must be a status from 200 to 599"),
        ("{status: [200, 3xx]}", "checks.status[1]: is '3xx', and must be a status from 200 to 599"),
        ("{status: []}", "checks.status: is empty; list at least one, such as 200-399"),
        ("{headers: {Host: a}}", "checks.headers.Host: is given for Host, which a check sets by itself; use host"),
        ("{headers: {'a b': c}}", "checks.headers.'a b': is given for 'a b', which is no name of a header field"),
        ("{headers: {A: 'ü'}}", "checks.headers.A: is 'ü', and must be visible ASCII"),
        ("{body: ok, method: HEAD}", "checks.body: cannot be seen with method: HEAD"),
        ("{send: x}", "checks.send: is for kind: tcp, and this is http; remove it"),
        ("{kind: tcp, path: /x}", "checks.path: is for kind: http, and this is tcp; remove it"),
        ("{kind: tcp, host: x}", "checks.host: is for kind: http or grpc, and this is tcp; remove it"),
        (r"{kind: tcp, send: 'a\q'}", r"checks.send: has \q, which means nothing"),
        ("{kind: grpc, body: x}", "checks.body: is for kind: http, and this is grpc; remove it"),
        ("{interval: 1ms}", "checks.interval: is 0.001, and must be from 0.1 to"),
        ("{timeout: 0}", "checks.timeout: is 0, and must be from 0.1 to"),
        ("{fall: 0}", "checks.fall: is 0, and must be from 1 to 100"),
        ("{rise: 101}", "checks.rise: is 101, and must be from 1 to 100"),
        ("{jitter: 0.6}", "checks.jitter: is 0.6, and must be from 0 to 0.5"),
        ("{port: 70000}", "checks.port: is 70000, and must be from 0 to 65535"),
        ("{initial: up}", "checks.initial: is 'up', and must be as-source or down"),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(text)
    (found,) = refused.value.problems
    assert found.startswith("fairlead.yaml:6: services.shop.")
    assert problem in found


def test_a_check_that_cannot_be_read_is_told_with_everything_else() -> None:
    with pytest.raises(ConfigError) as refused:
        read("{kind: tcp, fall: x, send: 'a\\q', expect: [1]}")
    assert len(refused.value.problems) == 3
