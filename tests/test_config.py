"""The configuration as a whole: what a file means, everything that is wrong with one, and the way back."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from fairlead import config
from fairlead.config import load, one_liner, parse, to_json
from fairlead.discovery.dns import DnsSource
from fairlead.discovery.file import FileSource
from fairlead.discovery.kubernetes.access import Access
from fairlead.discovery.kubernetes.source import KubernetesSource
from fairlead.discovery.kubernetes.weights import Weights
from fairlead.discovery.static import StaticSource
from fairlead.errors import ConfigError
from fairlead.model import (
    Hash,
    Listener,
    ListenerLimits,
    ListenerTimeouts,
    Protocol,
    Queue,
    Retries,
    Route,
    ServiceLimits,
    ServiceTimeouts,
)
from fairlead.settings import AccessLog, Admin, Drain, ServiceSettings, Settings
from hypothesis import given, settings
from hypothesis import strategies as st

BASE = Path("/base")

WHOLE = """
listeners:
  web:
    bind: 0.0.0.0:8080
    protocol: http
    routes:
      - {host: API.example.com, path: /v1, service: api}
      - {service: shop}
    timeouts: {head: 5, keepalive: 1m30s}
    limits: {max_head_bytes: 64KiB, max_connections: 1000}
    trusted_proxies: [10.0.0.0/8, "2001:DB8:0::/32", 192.0.2.7, unix]
  short:
    bind: "[::]:8081"
    service: shop
  cache:
    bind: unix:cache.sock
    protocol: tcp
    service: cache
services:
  shop:
    endpoints: file:shop.yaml
    balance: least-request
  api:
    endpoints: ["10.0.0.1:8080", {address: "10.0.0.2:8080", weight: 3}, dns://api:80, {address: file:x, weight: 2}]
    timeouts: {connect: 250ms}
    limits: {max_idle: 0}
  cache:
    endpoints: {address: dns://Cache.default.svc:6379, weight: 2}
admin:
  bind: ":9901"
workers: 3
drain: {delay: 1s, limit: 1m}
access_log: {to: log/access.log, format: text, sample: 0.5}
"""

SMALL = """
listeners:
  web: {bind: ":8080", service: shop}
services:
  shop: {endpoints: 10.0.0.1:80}
"""


def read(text: str) -> Settings:
    return parse(text, "f", BASE)


def problems(text: str, base_dir: Path = BASE) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse(text, "f", base_dir)
    return refused.value.problems


def test_everything_given() -> None:
    assert read(WHOLE) == Settings(
        listeners={
            "web": Listener(
                name="web",
                bind="0.0.0.0:8080",
                routes=(Route(service="api", host="api.example.com", path="/v1"), Route(service="shop")),
                timeouts=ListenerTimeouts(head_s=5.0, keepalive_s=90.0),
                limits=ListenerLimits(max_head_bytes=65536, max_connections=1000),
                trusted_proxies=("10.0.0.0/8", "2001:db8::/32", "192.0.2.7", "unix"),
            ),
            "short": Listener(name="short", bind="[::]:8081", routes=(Route(service="shop"),)),
            "cache": Listener(name="cache", bind="unix:/base/cache.sock", protocol=Protocol.TCP, service="cache"),
        },
        services={
            "shop": ServiceSettings(
                name="shop", sources=(FileSource(Path("/base/shop.yaml")),), balance="least-request"
            ),
            "api": ServiceSettings(
                name="api",
                sources=(
                    StaticSource("10.0.0.1:8080"),
                    StaticSource("10.0.0.2:8080", 3),
                    DnsSource("api", 80),
                    FileSource(Path("/base/x"), 2),
                ),
                timeouts=ServiceTimeouts(connect_s=0.25),
                limits=ServiceLimits(max_idle=0),
            ),
            "cache": ServiceSettings(name="cache", sources=(DnsSource("cache.default.svc", 6379, 2),)),
        },
        admin=Admin(bind="0.0.0.0:9901"),
        workers=3,
        drain=Drain(delay_s=1.0, limit_s=60.0),
        access_log=AccessLog(to="/base/log/access.log", format="text", sample=0.5),
    )


def test_defaults() -> None:
    found = read(SMALL)
    assert found == Settings(
        listeners={"web": Listener(name="web", bind="0.0.0.0:8080", routes=(Route(service="shop"),))},
        services={"shop": ServiceSettings(name="shop", sources=(StaticSource("10.0.0.1:80"),))},
    )
    assert (found.admin.bind, found.workers, found.drain.delay_s, found.access_log.to) == ("127.0.0.1:9900", 0, 5.0, "")


@pytest.mark.parametrize(
    ("text", "admin"),
    [
        ("admin: off", ""),
        ("admin: {bind: off}", ""),
        ("admin: {bind: ''}", ""),
        ("admin:", "127.0.0.1:9900"),
        ("admin: {bind: 127.0.0.1:0}", "127.0.0.1:0"),
    ],
)
def test_the_admin_server_can_be_elsewhere_or_off(text: str, admin: str) -> None:
    assert read(SMALL + text).admin == Admin(bind=admin)


@pytest.mark.parametrize(("text", "to"), [("off", ""), ("''", ""), ("stderr", "stderr"), ("/var/a.log", "/var/a.log")])
def test_where_the_access_log_goes(text: str, to: str) -> None:
    assert read(f"{SMALL}access_log: {{to: {text}}}").access_log.to == to


@pytest.mark.parametrize(("text", "workers"), [("auto", 0), ("1", 1), ("1024", 1024)])
def test_workers(text: str, workers: int) -> None:
    assert read(f"{SMALL}workers: {text}").workers == workers


def test_anchors_and_merge_keys_work() -> None:
    found = read(
        """
        listeners:
          one: &one {bind: ":8080", service: shop, timeouts: &slow {head: 30}}
          two: {<<: *one, bind: ":8081"}
        services:
          shop: {endpoints: 10.0.0.1:80}
        """
    )
    assert found.listeners["two"].timeouts == found.listeners["one"].timeouts == ListenerTimeouts(head_s=30.0)


WRONG = {
    # text after SMALL, or a whole file when it has listeners: the problems, without the file
    "": [
        "1: configuration: has no 'listeners'; add listeners: ...",
        "1: configuration: has no 'services'; add services: ...",
    ],
    "listeners: {}\nservices: {}": [
        "1: listeners: is empty; add at least one, NAME: {...}",
        "2: services: is empty; add at least one, NAME: {...}",
    ],
    "listeners:\nservices: []": [
        "1: listeners: is empty, and must be a mapping (KEY: VALUE)",
        "2: services: is a list, and must be a mapping (KEY: VALUE)",
    ],
    "- a": [
        "1: configuration: is a list, and must be a mapping (KEY: VALUE) with any of "
        "access_log, admin, drain, kubernetes, listeners, metrics_api, services, workers"
    ],
    "worker: 1": ["6: worker: is unknown; did you mean 'workers'?"],
    "workers: 0": ["6: workers: is '0', and must be auto or from 1 to 1024"],
    "workers: -1": ["6: workers: is '-1', and must be auto or from 1 to 1024"],
    "workers: 99999999999999999999": ["6: workers: is '99999999999999999999', and must be a whole number"],
    "admin: {bind: localhost:9900}": [
        "6: admin.bind: 'localhost:9900' does not start with an IP address; write 127.0.0.1:9900 or :9900"
    ],
    "admin: on": ["6: admin: is 'on', and must be a mapping (KEY: VALUE) with any of bind"],
    "admin: {bind: ':8080'}": [
        "3: listeners.web.bind: is where the admin server listens; choose another, or set admin.bind"
    ],
    "drain: {delay: 1 day}": [
        "6: drain.delay: is '1 day', and must be a duration: seconds, or such as 250ms, 5s, 1m30s or 1h"
    ],
    "access_log: {sample: 2, format: xml}": [
        "6: access_log.sample: is 2, and must be from 0 to 1",
        "6: access_log.format: is 'xml', and must be json or text",
    ],
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_with_the_file(text: str) -> None:
    whole = text if text == "" or text.startswith(("listeners:", "- ")) else SMALL + text
    assert problems(whole) == [f"f:{problem}" for problem in WRONG[text]]


WRONG_LISTENERS = {
    "{service: shop}": ["2: listeners.a: has no 'bind'; add bind: ..."],
    "": [
        "2: listeners.a: has no 'bind'; add bind: ...",
        "2: listeners.a: has no routes; add routes: [{service: NAME}], or ",
    ],
    "{bind: 8080, service: shop}": ["2: listeners.a.bind: '8080' is only a port; write ':8080' for every IPv4 address"],
    "{bind: 1.2.3.4:5, prtocol: tcp, service: shop}": ["2: listeners.a.prtocol: is unknown; did you mean 'protocol'?"],
    "{bind: 1.2.3.4:5, protocol: udp, service: shop}": ["2: listeners.a.protocol: is 'udp', and must be http or tcp"],
    "{bind: 1.2.3.4:5}": [
        "2: listeners.a: has no routes; add routes: [{service: NAME}], or service: NAME for all requests"
    ],
    "{bind: 1.2.3.4:5, protocol: tcp}": ["2: listeners.a: has no service; a tcp listener needs service: NAME"],
    "{bind: 1.2.3.4:5, protocol: tcp, service: shop, routes: [{service: shop}]}": [
        "2: listeners.a.routes: is for http listeners; a tcp listener has one service: NAME"
    ],
    "{bind: 1.2.3.4:5, service: shop, routes: [{host: a.b, service: shop}]}": [
        "2: listeners.a.service: is given beside routes; make it the last of them: - {service: NAME}"
    ],
    "{bind: 1.2.3.4:5, service: shpo}": ["2: listeners.a.service: there is no service 'shpo'; did you mean 'shop'?"],
    "{bind: 1.2.3.4:5, service: [shop]}": ["2: listeners.a.service: is a list, and must be a text or a number"],
    "{bind: 1.2.3.4:5, routes: []}": ["2: listeners.a.routes: is empty; add at least {service: NAME}"],
    "{bind: 1.2.3.4:5, routes: shop}": ["2: listeners.a.routes: is 'shop', and must be a list"],
    "{bind: 1.2.3.4:5, routes: [shop]}": [
        "2: listeners.a.routes[0]: is 'shop', and must be a mapping (KEY: VALUE) with any"
    ],
    "{bind: 1.2.3.4:5, routes: [{host: a.b}]}": ["2: listeners.a.routes[0]: has no 'service'; add service: ..."],
    "{bind: 1.2.3.4:5, routes: [{service: x, host: 'a:1', path: b}, {servce: shop}]}": [
        "2: listeners.a.routes[0].service: there is no service 'x'; known are shop",
        "2: listeners.a.routes[0].host: is 'a:1', with a port; write 'a', ports are not compared",
        "2: listeners.a.routes[0].path: is 'b', and must start with '/'; write '/b'",
        "2: listeners.a.routes[1].servce: is unknown; did you mean 'service'?",
        "2: listeners.a.routes[1]: has no 'service'; add service: ...",
    ],
    "{bind: 1.2.3.4:5, routes: [{service: shop}, {host: a.b, service: shop}]}": [
        "2: listeners.a.routes[1]: is never reached: the route in line 2 takes host (any) and path /; "
    ],
    "{bind: 1.2.3.4:5, routes: [{path: x, service: shop}, {host: a.b, service: shop}]}": [
        "2: listeners.a.routes[0].path: is 'x', and must start with '/'; write '/x'"  # and hides nothing
    ],
    "{bind: 1.2.3.4:5, service: shop, timeouts: {haed: 1}, limits: {max_fields: -1}}": [
        "2: listeners.a.timeouts.haed: is unknown; did you mean 'head'?",
        "2: listeners.a.limits.max_fields: is -1, and must be from 0 to 2147483647",
    ],
    "{bind: 1.2.3.4:5, service: shop, trusted_proxies: [10.0.0.1/8, unix, lb.example, [a], 1.2.3.4, 1.2.3.4/32]}": [
        "2: listeners.a.trusted_proxies[0]: is '10.0.0.1/8', an address within a network; write '10.0.0.0/8' for the "
        "network, or '10.0.0.1' for the address",
        "2: listeners.a.trusted_proxies[2]: is 'lb.example', and must be a network such as 10.0.0.0/8 or ",
        "2: listeners.a.trusted_proxies[3]: is a list, and must be a text or a number",
        "2: listeners.a.trusted_proxies[5]: 1.2.3.4 is listed twice; remove one",
    ],
    "{bind: 1.2.3.4:5, service: shop, trusted_proxies: 10.0.0.0/8}": [
        "2: listeners.a.trusted_proxies: is '10.0.0.0/8', and must be a list"
    ],
    "{bind: 1.2.3.4:5, protocol: tcp, service: shop, trusted_proxies: [unix]}": [
        "2: listeners.a.trusted_proxies: is for http listeners; there is nothing in a TCP session to believe"
    ],
    "{bind: 1.2.3.4:5, service: shop, limits: {max_buffer_bytes: 100, max_client_connections: few}}": [
        "2: listeners.a.limits.max_buffer_bytes: is 100, too little for anything; set at least 4096, or 0 for no limit",
        "2: listeners.a.limits.max_client_connections: is 'few', and must be a whole number",
    ],
    "{bind: 1.2.3.4:5, service: shop, limits: {max_request_line_bytes: 40KiB, max_head_bytes: 128KiB}}": [
        "2: listeners.a.limits.max_head_bytes: leaves max_head_bytes (131072) above max_buffer_bytes (65536); "
        "lower max_head_bytes, or raise max_buffer_bytes"
    ],
    "{bind: 1.2.3.4:5, service: shop, limits: {max_request_line_bytes: 40KiB}}": [
        "2: listeners.a.limits.max_request_line_bytes: leaves max_request_line_bytes (40960) above max_head_bytes "
    ],
    "{bind: 1.2.3.4:5, service: shop, limits: {max_buffer_bytes: 16KiB}}": [
        "2: listeners.a.limits.max_buffer_bytes: leaves max_head_bytes (32768) above max_buffer_bytes (16384); "
    ],
    "{bind: 1.2.3.4:5, service: shop, limits: {max_connections: 10, max_client_connections: 11}}": [
        "2: listeners.a.limits.max_client_connections: leaves max_client_connections (11) above max_connections (10); "
    ],
    "shop": ["2: listeners.a: is 'shop', and must be a mapping (KEY: VALUE) with any of bind, debug_from, limits, "],
}


@pytest.mark.parametrize("listener", WRONG_LISTENERS)
def test_what_is_wrong_with_a_listener(listener: str) -> None:
    found = problems(f"listeners:\n  a: {listener}\nservices:\n  shop: {{endpoints: 10.0.0.1:80}}")
    expected = WRONG_LISTENERS[listener]
    assert len(found) == len(expected), found
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(f"f:{start}")


@pytest.mark.parametrize(
    "limits", ["max_head_bytes: 8KiB", "max_head_bytes: 0", "max_connections: 10", "max_client_connections: auto"]
)
def test_a_limit_alone_needs_no_other(limits: str) -> None:
    listeners = f"listeners:\n  a: {{bind: 1.2.3.4:5, service: s, limits: {{{limits}}}}}\n"
    read(f"{listeners}services:\n  s: {{endpoints: 10.0.0.1:80}}")


WRONG_SERVICES = {
    "": ["4: services.a: has no 'endpoints'; add endpoints: ..."],
    "{endpoints: }": ["4: services.a.endpoints: is empty, and must be a text or a number"],
    "{endpoints: []}": ["4: services.a.endpoints: is empty; list at least one, such as 10.0.0.1:8080"],
    "{endpoints: localhost:80}": [
        "4: services.a.endpoints: 'localhost:80' is a name and not an address; write dns://localhost:80 to have it"
    ],
    "{endpoints: ['10.0.0.1:80', 'k8://a/b:c', [x]]}": [
        "4: services.a.endpoints[1]: k8:// is no source of endpoints; did you mean k8s://?",
        "4: services.a.endpoints[2]: is a list, and must be a text or a number",
    ],
    "{endpoints: ['10.0.0.1:80', {address: '10.0.0.2:80', weight: 65536}]}": [
        "4: services.a.endpoints[1].weight: is 65536, and must be from 1 to 65535"
    ],
    "{endpoints: [{address: nonsense, weight: 0}]}": [
        "4: services.a.endpoints[0].weight: is 0, and must be from 1 to 65535",
        "4: services.a.endpoints[0].address: 'nonsense' is a name without a port; write dns://nonsense:80 to have it ",
    ],
    "{endpoints: [{adress: '10.0.0.1:80'}]}": [
        "4: services.a.endpoints[0].adress: is unknown; did you mean 'address'?",
        "4: services.a.endpoints[0]: has no address; write {address: IP:PORT}",
    ],
    "{endpoints: ['[::1]:80', '[0:0::1]:80']}": [
        "4: services.a.endpoints[1]: [::1]:80 is listed twice; remove one, or give it a weight"
    ],
    "{endpoints: 10.0.0.1:80, balance: rond-robin}": [
        "4: services.a.balance: 'rond-robin' is no policy: use round-robin, random, weighted, least-request, "
    ],
    "{endpoints: 10.0.0.1:80, balance: ./mine.py:Mine}": ["4: services.a.balance: there is no file /base/mine.py"],
    "{endpoints: 10.0.0.1:80, balance: []}": ["4: services.a.balance: is a list, and must be a text or a number"],
    "{endpoints: 'k8s://a/b:c', balance: weighted, weights: latency}": [
        "4: services.a.weights: is 'latency', which is not there yet; use annotation, cpu-request or equal"
    ],
    "{endpoints: 'k8s://a/b:c', balance: weighted, weights: anotation}": [
        "4: services.a.weights: is 'anotation', which is no source of weights; did you mean 'annotation'?"
    ],
    "{endpoints: 'k8s://a/b:c', weights: cpu-request}": [
        "4: services.a.weights: has no effect, as balance does not look at weights; use balance: weighted or least-req"
    ],
    "{endpoints: 'dns://a:80', balance: weighted, weights: annotation}": [
        "4: services.a.weights: is for k8s:// endpoints, and there are none; give weights in endpoints"
    ],
    "{endpoints: 10.0.0.1:80, balance: random, hash: {by: client-address}}": [
        "4: services.a.hash: is for balance: hash, or for a policy of your own; add balance: hash"
    ],
    "{endpoints: 10.0.0.1:80, hash: {header: X-User}}": [
        "4: services.a.hash: is for balance: hash, or for a policy of"
    ],
    "{endpoints: 10.0.0.1:80, balance: hash, hash: {by: client-adress}}": [
        "4: services.a.hash.by: is 'client-adress', and must be client-address; or write header: NAME or cookie: NAME"
    ],
    "{endpoints: 10.0.0.1:80, balance: hash, hash: {header: X-User, cookie: sid}}": [
        "4: services.a.hash: has header and cookie; keep one"
    ],
    "{endpoints: 10.0.0.1:80, balance: hash, hash: {header: 'X User', max_load: 1}}": [
        "4: services.a.hash.header: is 'X User', and must be the name of a header field",
        "4: services.a.hash.max_load: is 1, and must be from 1.05 to 100",
    ],
    "{endpoints: 10.0.0.1:80, balance: hash, hash: {header: X-Forwarded-For}}": [
        "4: services.a.hash.header: is 'X-Forwarded-For', which says nothing about a client here; name another field"
    ],
    "{endpoints: 10.0.0.1:80, balance: hash, hash: {cookie: 'a;b'}, slow_start: -1}": [
        "4: services.a.hash.cookie: is 'a;b', and must be the name of a cookie",
        "4: services.a.slow_start: is -1, and must be from 0 to 31536000",
    ],
    "{endpoints: 10.0.0.1:80, balance: hash, hash: client-address}": [
        "4: services.a.hash: is 'client-address', and must be a mapping"
    ],
    "{endpoints: 10.0.0.1:80, timeouts: {conect: 1}, limits: {max_idle: x}}": [
        "4: services.a.timeouts.conect: is unknown; did you mean 'connect'?",
        "4: services.a.limits.max_idle: is 'x', and must be a whole number",
    ],
}


@pytest.mark.parametrize("service", WRONG_SERVICES)
def test_what_is_wrong_with_a_service(service: str) -> None:
    found = problems(f"listeners:\n  web: {{bind: ':80', service: a}}\nservices:\n  a: {service}")
    expected = WRONG_SERVICES[service]
    assert len(found) == len(expected), found
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(f"f:{start}")


def test_only_http_can_tell_a_header() -> None:
    text = "listeners:\n  web: {bind: ':80', protocol: tcp, service: s}\nservices:\n  s:\n    endpoints: 10.0.0.1:1\n"
    by = "    balance: hash\n    hash: {cookie: sid}\n"
    expected = "f:7: services.s.hash: names what HTTP has, and listener web is tcp; write by: client-address"
    assert problems(text + by) == [expected]
    assert read(text.replace("tcp", "http") + by).services["s"].hash == Hash(by="", cookie="sid")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("hash: {by: client-address}", Hash()),
        ("hash: {}", Hash()),
        ("hash: null", None),
        ("slow_start: 30s", None),
        ("hash: {header: X-User, max_load: 1.5}", Hash(by="", header="X-User", max_load=1.5)),
        ("hash: {cookie: sid}", Hash(by="", cookie="sid")),
    ],
)
def test_what_is_hashed_is_read_and_read_again(given: str, found: Hash | None) -> None:
    read_once = read(SMALL.replace("80}", f"80, balance: hash, {given}}}"))
    assert read_once.services["shop"].hash == found
    assert read_once.services["shop"].slow_start_s == (30 if "slow" in given else 0)
    assert read(json.dumps(to_json(read_once))) == read_once


def test_a_policy_of_ones_own_may_have_keys(tmp_path: Path) -> None:
    text = "class Mine:\n    def __init__(self, endpoints, previous): ...\n    def pick(self, key, tried): ...\n"
    (tmp_path / "mine.py").write_text(text)
    (tmp_path / "f.yaml").write_text(SMALL.replace("80}", "80, balance: ./mine.py:Mine, hash: {cookie: sid}}"))
    assert load(tmp_path / "f.yaml").services["shop"].hash == Hash(by="", cookie="sid")


def test_two_listeners_on_one_address() -> None:
    listeners = "listeners:\n  a: {bind: ':80', service: s}\n  b: {bind: 0.0.0.0:80, service: s}\n"
    text = listeners + "services: {s: {endpoints: '10.0.0.1:1'}}"
    assert problems(text) == [
        "f:3: listeners.b.bind: is the address of listeners.a.bind in line 2, too; choose another"
    ]


def test_the_default_of_the_admin_server_is_an_address_too() -> None:
    text = "listeners:\n  a: {bind: 127.0.0.1:9900, service: s}\nservices: {s: {endpoints: '10.0.0.1:1'}}"
    assert problems(text) == [
        "f:2: listeners.a.bind: is where the admin server listens; choose another, or set admin.bind"
    ]
    assert read(f"{text}\nadmin: off").admin.bind == ""
    both_chosen = text.replace("9900", "0") + "\nadmin: {bind: 127.0.0.1:0}"
    assert read(both_chosen).admin.bind == "127.0.0.1:0"


@pytest.mark.parametrize("name", ["a b", "-a", "é", "''", "x" * 64])
def test_names_go_into_metrics(name: str) -> None:
    found = problems(f"listeners:\n  {name}: {{bind: ':80', service: s}}\nservices: {{s: {{endpoints: '10.0.0.1:1'}}}}")
    assert len(found) == 1
    assert "has a name that would not do in metrics and logs; use letters, digits and . _ - /" in found[0]


def test_all_problems_come_at_once_and_in_the_order_of_lines() -> None:
    found = problems(
        """listeners:
  web:
    bind: localhost:80
    routes:
      - {service: a}
      - {service: b}
services:
  s:
    endpoints: [x, y]
    balance: best
    balance: worst
nonsense: 1
"""
    )
    assert [int(problem.split(":")[1]) for problem in found] == [3, 5, 6, 9, 9, 10, 11, 12]


def test_a_policy_of_ones_own_is_stored_as_it_is_now(tmp_path: Path) -> None:
    policy = tmp_path / "mine.py"
    text = "class Mine:\n    def __init__(self, endpoints, previous): ...\n    def pick(self, key, tried): ...\n"
    policy.write_text(text)
    path = tmp_path / "fairlead.yaml"
    path.write_text(SMALL.replace("80}", "80, balance: ./mine.py:Mine}"))
    before = load(path)
    assert before.services["shop"].balance.startswith(f"{policy}:Mine@")
    assert load(path) == before
    policy.write_text(text + "# changed\n")
    assert load(path).services["shop"].balance != before.services["shop"].balance  # so that a reload publishes it
    path.write_text(SMALL.replace("80}", "80, balance: ./mine.py:Other}"))
    with pytest.raises(ConfigError, match="has no 'Other'"):
        load(path)


def test_a_file_is_named_as_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("fairlead.yaml")
    with pytest.raises(ConfigError) as refused:
        load(path)
    assert refused.value.problems == ["fairlead.yaml:1: file: does not exist; create it or name another"]
    path.write_text(SMALL + "x: 1")
    with pytest.raises(ConfigError, match=r"^fairlead\.yaml:6: x: is unknown"):
        load(path)
    path.write_text(SMALL.replace("10.0.0.1:80", "unix:app.sock"))
    assert load(path).services["shop"].sources == (StaticSource(f"unix:{tmp_path}/app.sock"),)


def liner(
    listen: Sequence[str] = ("127.0.0.1:8080",),
    to: Sequence[str] = ("10.0.0.1:80",),
    *,
    tcp: bool = False,
    balance: str = "round-robin",
    workers: int = 0,
    admin: str = "127.0.0.1:9900",
) -> Settings:
    return one_liner(listen, to, tcp=tcp, balance=balance, workers=workers, admin=admin, base_dir=BASE)


def test_one_line_of_http() -> None:
    assert liner([":8080"], ["10.0.0.1:80", "dns://shop:80"], workers=2, balance="random") == Settings(
        listeners={"default": Listener(name="default", bind="0.0.0.0:8080", routes=(Route(service="default"),))},
        services={
            "default": ServiceSettings(
                name="default", sources=(StaticSource("10.0.0.1:80"), DnsSource("shop", 80)), balance="random"
            )
        },
        workers=2,
    )


def test_one_line_of_tcp_on_two_addresses() -> None:
    found = liner([":1", ":2"], tcp=True, admin="off")
    assert found.listeners == {
        "default": Listener(name="default", bind="0.0.0.0:1", protocol=Protocol.TCP, service="default"),
        "default-2": Listener(name="default-2", bind="0.0.0.0:2", protocol=Protocol.TCP, service="default"),
    }
    assert found.admin.bind == ""


def test_what_is_wrong_with_a_line_is_said_of_the_option() -> None:
    with pytest.raises(ConfigError) as refused:
        liner(["localhost:80", ":80", ":80"], ["localhost:80"], balance="best", workers=-1, admin="9900")
    assert [problem.partition(":")[0] for problem in refused.value.problems] == [
        "--listen", "--listen", "--to", "--balance", "--admin", "--workers",
    ]  # fmt: skip
    assert refused.value.problems[1] == "--listen: ':80' is given twice; remove one"
    assert "write dns://localhost:80" in refused.value.problems[2]
    with pytest.raises(ConfigError) as refused:
        liner([], [])
    assert refused.value.problems == [
        "--listen: is missing; give it at least once",
        "--to: is missing; give it at least once",
    ]
    with pytest.raises(ConfigError, match=r"^--admin: 0\.0\.0\.0:9 is the address of --listen"):
        liner([":9"], admin=":9")
    assert liner(["127.0.0.1:0"], admin="127.0.0.1:0").admin.bind == "127.0.0.1:0"


@pytest.mark.parametrize("text", [WHOLE, SMALL, SMALL + "admin: off\n"])
def test_what_is_in_effect_can_be_read_again(text: str) -> None:
    plain = to_json(read(text))
    assert read(json.dumps(plain)) == read(text)
    assert yaml.safe_load(json.dumps(plain)) == plain


def test_what_is_in_effect_has_the_keys_of_the_file_and_every_default() -> None:
    plain = to_json(read(WHOLE))
    assert plain["listeners"]["cache"] == {
        "bind": "unix:/base/cache.sock",
        "protocol": "tcp",
        "service": "cache",
        "timeouts": to_json(read(SMALL))["listeners"]["web"]["timeouts"],
        "limits": to_json(read(SMALL))["listeners"]["web"]["limits"],
    }
    assert plain["listeners"]["short"]["routes"] == [{"service": "shop", "host": "", "path": "/"}]
    assert plain["services"]["api"]["endpoints"] == [
        "10.0.0.1:8080",
        {"address": "10.0.0.2:8080", "weight": 3},
        "dns://api:80",
        {"address": "file:///base/x", "weight": 2},
    ]
    assert plain["services"]["api"]["timeouts"]["connect"] == 0.25
    assert (plain["workers"], to_json(read(SMALL))["workers"]) == (3, "auto")
    assert plain["drain"] == {"delay": 1.0, "limit": 60.0}


KEYS = st.sampled_from(
    [
        *(
            "listeners",
            "services",
            "admin",
            "workers",
            "drain",
            "access_log",
            "metrics_api",
            "bind",
            "protocol",
            "routes",
            "service",
        ),
        *("host", "path", "timeouts", "limits", "endpoints", "balance", "address", "weight", "head", "connect"),
        *("max_idle", "max_head_bytes", "delay", "limit", "to", "format", "sample", "web", "shop", "<<", "x"),
    ]
)
SCALARS = st.text(max_size=5) | st.sampled_from(
    [
        *(":80", "[::]:80", "10.0.0.1:80", "dns://a:80", "file:x", "unix:/x", "k8s://a", "shop", "web", "http", "tcp"),
        *("/v1", "a.b", "*.b", "", "off", "auto", "round-robin", "x.py:Y", "/dev/null.py:Y", "x" * 300 + ".py:Y"),
        *("1", "-1", "5s", "32KiB", "json", "null", "é", "\0", "\ud800", "\n", "%", "[", "2" * 40, "../..", "\0.py:Y"),
    ]
)
TREES = st.recursive(
    SCALARS | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | SCALARS, inner, max_size=5),
    max_leaves=30,
)
SERVICES = st.fixed_dictionaries(
    {"endpoints": TREES | st.just("10.0.0.1:80")}, optional={"balance": SCALARS, "limits": TREES}
)
ROUTES = st.fixed_dictionaries({"service": SCALARS}, optional={"host": SCALARS, "path": SCALARS})
LISTENERS = st.fixed_dictionaries(
    {"bind": SCALARS | st.just(":1")},
    optional={
        "protocol": SCALARS,
        "service": SCALARS,
        "routes": TREES | st.lists(ROUTES, max_size=3),
        "timeouts": TREES,
    },
)
SHAPED = st.fixed_dictionaries(
    {
        "listeners": TREES | st.dictionaries(SCALARS | st.just("web"), LISTENERS, min_size=1, max_size=2),
        "services": TREES | st.dictionaries(SCALARS | st.just("shop"), SERVICES, min_size=1, max_size=2),
    },
    optional={"admin": TREES, "workers": TREES, "drain": TREES, "access_log": TREES, "metrics_api": TREES},
)


def assert_settings_or_problems(text: str) -> None:
    """Nothing but Settings or ConfigError, and every problem is one line that says where."""
    try:
        assert isinstance(parse(text, "f", BASE), Settings)
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            file, line, field, message = problem.split(":", 3)
            assert file == "f"
            assert 1 <= int(line) <= text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + 2
            assert field.strip()
            assert message.strip()
            assert problem.isprintable()


@settings(deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="listenrvc:-[]{}&*<>'\"!|#%\t\n 0", max_size=60))
def test_any_text_is_settings_or_problems(text: str) -> None:
    assert_settings_or_problems(text)
    assert_settings_or_problems(SMALL + text)


@settings(max_examples=200, deadline=None)
@given(TREES | SHAPED, st.booleans())
def test_any_structure_is_settings_or_problems(tree: object, flow: bool) -> None:
    assert_settings_or_problems(yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True))


@settings(deadline=None)
@given(st.lists(st.sampled_from(["*a", "{<<: *a}", "&a {x: *a}", "&a [*a]", "{<<: [*a, *a]}"]), min_size=1, max_size=4))
def test_aliases_that_lead_anywhere_are_settings_or_problems(values: list[str]) -> None:
    lines = [f"  n{place}: {value}" for place, value in enumerate(values)]
    assert_settings_or_problems("\n".join(["admin: &a {bind: ':1'}", "listeners:", *lines, "services: &a", *lines]))


NAMES = st.from_regex(r"\A[a-z][a-z0-9._/-]{0,8}\Z")
PORTS = st.integers(1, 65535)
ADDRESSES = st.builds("{}:{}".format, st.ip_addresses(v=4), PORTS)
SOURCES = ADDRESSES | st.builds("dns://{}:{}".format, st.sampled_from(["a", "b.c"]), PORTS) | st.just("file:x")
WEIGHED = st.fixed_dictionaries({"address": SOURCES, "weight": st.integers(1, 65535)})
SECONDS = st.integers(0, 10**6) | st.builds("{}ms".format, st.integers(0, 10**6)) | st.floats(0, 1000)
GOOD_SERVICES = st.fixed_dictionaries(
    {"endpoints": SOURCES | WEIGHED | st.lists(SOURCES, min_size=1, unique=True)},
    optional={
        "balance": st.sampled_from(["random", "weighted"]),
        "timeouts": st.dictionaries(st.sampled_from(["connect", "reply", "idle"]), SECONDS),
        "limits": st.dictionaries(st.sampled_from(["max_connections", "max_idle"]), st.integers(0, 10**6)),
    },
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, GOOD_SERVICES, min_size=1, max_size=3), st.sampled_from(["http", "tcp"]), SECONDS)
def test_any_good_configuration_is_read_and_read_again_as_what_is_in_effect(
    services: dict[str, object], protocol: str, delay: object
) -> None:
    listeners = {
        f"l{place}": {"bind": f":{place + 1}", "protocol": protocol, "service": name}
        for place, name in enumerate(services)
    }
    tree = {"listeners": listeners, "services": services, "drain": {"delay": delay}}
    found = read(yaml.safe_dump(tree))
    assert found.services.keys() == services.keys()
    assert read(json.dumps(to_json(found))) == found


def test_the_page_can_be_written_from_the_command_line() -> None:
    written = subprocess.run(
        [sys.executable, "-m", "fairlead.config"], capture_output=True, text=True, check=True, timeout=60
    )
    assert written.stdout == config.reference()


def test_sources_of_kubernetes_are_told_where_weights_and_the_api_are() -> None:
    settings = read(
        "listeners: {web: {bind: ':80', service: shop}}\n"
        "services:\n"
        "  shop: {endpoints: ['k8s://a/shop:http', '10.0.0.1:80'], weights: cpu-request, balance: least-request}\n"
        "kubernetes: {kubeconfig: kube/config, context: staging}\n"
    )
    access = Access(str(BASE / "kube/config"), "staging")
    wanted = KubernetesSource("a", "shop", "http", weights=Weights.CPU_REQUEST, access=access)
    assert settings.services["shop"].sources == (wanted, StaticSource("10.0.0.1:80"))
    assert settings.services["shop"].weights == "cpu-request"


RETRIES = """
listeners:
  web: {{bind: ":8080", service: shop, debug_from: {debug_from}}}
services:
  shop: {{endpoints: 10.0.0.1:80, retries: {retries}}}
"""


def test_retries_and_who_may_ask() -> None:
    retries = "{attempts: 2, reset: no, statuses: [503, 429], try_timeout: 2s, backoff: 5ms, budget: .5, budget_min: 1}"
    found = read(RETRIES.format(debug_from="[10.0.0.0/8, unix]", retries=retries))
    assert found.listeners["web"].debug_from == ("10.0.0.0/8", "unix")
    assert found.services["shop"].retries == Retries(
        attempts=2, reset=False, statuses=(503, 429), try_timeout_s=2.0, backoff_s=0.005, budget=0.5, budget_min=1.0
    )
    found = read(RETRIES.format(debug_from="[]", retries="{try_timeout: auto, statuses: []}"))
    assert found.listeners["web"].debug_from == ()
    assert found.services["shop"].retries == Retries(statuses=())
    shown = to_json(found)["services"]["shop"]["retries"]
    assert (shown["try_timeout"], shown["statuses"], shown["backoff"]) == ("auto", [], 0.025)


@pytest.mark.parametrize(
    ("retries", "complaint"),
    [
        ("{attempts: 0}", "retries.attempts: is 0"),
        ("{attempts: 6}", "retries.attempts: is 6"),
        ("{statuses: [200]}", "retries.statuses[0]: is '200', and must be a status from 400 to 599"),
        ("{statuses: [503, 503]}", "retries.statuses[1]: 503 is listed twice; remove one"),
        ("{statuses: 503}", "retries.statuses: is '503', and must be a list"),
        ("{budget: 2}", "retries.budget: is 2"),
        ("{try_timeout: later}", "retries.try_timeout: is 'later'"),
    ],
)
def test_retries_that_mean_nothing(retries: str, complaint: str) -> None:
    (problem,) = problems(RETRIES.format(debug_from="[]", retries=retries))
    assert complaint in problem


def test_a_tcp_session_cannot_ask_who_served_it() -> None:
    (problem,) = problems(SMALL.replace("service: shop", "service: shop, protocol: tcp, debug_from: [unix]"))
    assert problem.endswith("debug_from: is for http listeners; a TCP session has no field to ask with")


QUEUED = """
listeners: {{web: {{bind: ":8080", service: app}}}}
services:
  app: {{endpoints: {endpoints}, {more}}}
"""


@pytest.mark.parametrize(
    ("endpoints", "more", "problem"),
    [
        ("10.0.0.1:80", "queue: {max: 0}", "queue.max: is 0, and must be from 1"),
        ("10.0.0.1:80", "queue: {timeout: 0}", "queue.timeout: is 0, and must be from 0.1"),
        ("10.0.0.1:80", "max_in_flight: -1", "max_in_flight: is -1"),
        ("10.0.0.1:80", "queue: {}, scale_from_zero: deployment/a", "is for k8s:// endpoints, and there are none"),
        ("k8s://d/a:http", "scale_from_zero: deployment/a", "needs a queue"),
        ("k8s://d/a:http", "queue: {}, scale_from_zero: pod/a", "must be deployment/NAME or statefulset/NAME"),
    ],
)
def test_what_cannot_protect_is_an_error(endpoints: str, more: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        parse(QUEUED.format(endpoints=endpoints, more=more), "f.yaml", tmp_path)


def test_a_queue_is_there_when_it_is_named(tmp_path: Path) -> None:
    def queue(more: str) -> Queue | None:
        text = QUEUED.format(endpoints="k8s://d/a:http", more=more)
        return parse(text, "f.yaml", tmp_path).services["app"].queue

    assert queue("queue: ") is None
    assert queue("queue: {}") == Queue(max=1000, timeout_s=5.0)
    assert queue("queue: {max: 7, timeout: 1m}, scale_from_zero: deployment/a") == Queue(max=7, timeout_s=60.0)


def test_protect_is_for_http(tmp_path: Path) -> None:
    text = QUEUED.format(endpoints="10.0.0.1:80", more="protect: true").replace(
        "service: app", "service: app, protocol: tcp"
    )
    with pytest.raises(ConfigError, match="is for http, and listener web is tcp; use max_in_flight"):
        parse(text, "f.yaml", tmp_path)
