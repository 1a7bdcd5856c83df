"""The specification of what a Service and its slices mean, as a table of cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from fairlead.discovery.kubernetes.meaning import Meaning, Place, meaning
from fairlead.discovery.kubernetes.objects import Malformed, read_pod, read_service, read_slice, state_of
from fairlead.discovery.kubernetes.ports import choose_port
from fairlead.model import State
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.recorded import Json, endpoint, endpoint_slice, hints, pod, service, usable

NOWHERE = Place()
A, B, C = "10.0.0.1", "10.0.0.2", "10.0.0.3"
MIXED = (endpoint(A, "RS-"), endpoint(B, "-ST"), endpoint(C, "---"))


@pytest.mark.parametrize(
    ("conditions", "state"),
    [
        ((True, True, False), State.READY),
        ((None, None, None), State.READY),  # ready is true unless said otherwise
        ((None, False, None), State.READY),
        ((None, None, True), State.READY),  # a slice made by hand: who says that it terminates must say not ready
        ((False, None, None), State.UNREADY),
        ((False, None, True), State.UNREADY),  # serving is as ready
        ((False, True, True), State.DRAINING),
        ((False, False, True), State.UNREADY),
        ((False, True, False), State.UNREADY),  # it serves, and is not to be used: something else says so
        ((False, True, None), State.UNREADY),  # terminating is false
        ((True, False, False), State.READY),  # publishNotReadyAddresses: ready whatever the probe says
        ((True, True, True), State.READY),  # and even while it terminates
    ],
)
def test_conditions(conditions: tuple[bool | None, bool | None, bool | None], state: State) -> None:
    assert state_of(*conditions) is state


@dataclass(frozen=True)
class Case:
    says: str
    slices: tuple[Json, ...]
    used: set[str]
    service: Json = field(default_factory=service)
    port: str = "http"
    place: Place = NOWHERE


def _near(zone: str, *, node: str = "", address: str = A, conditions: str = "RS-") -> Json:
    return endpoint(address, conditions, **hints(zone, node))


CASES = (
    Case("no slices: nothing", (), set()),
    Case("a slice of nothing: nothing", (endpoint_slice(ports=None),), set()),
    Case("ready ones are used, and nothing else", (endpoint_slice(*MIXED),), {f"{A}:8080"}),
    Case(
        "with none ready, those that terminate and serve are used",
        (endpoint_slice(endpoint(A, "---"), endpoint(B, "-ST"), endpoint(C, "--T")),),
        {f"{B}:8080"},
    ),
    Case("with none that serves, nothing is used", (endpoint_slice(endpoint(A, "---"), endpoint(C, "--T")),), set()),
    Case("absent conditions mean ready", (endpoint_slice(endpoint(A, None)),), {f"{A}:8080"}),
    Case(
        "several slices are united, whoever manages them",
        (endpoint_slice(endpoint(A), name="x"), endpoint_slice(endpoint(B), name="y")),
        {f"{A}:8080", f"{B}:8080"},
    ),
    Case(
        "while an endpoint moves, the better of its conditions counts",
        (endpoint_slice(endpoint(A, "---"), name="x"), endpoint_slice(endpoint(A, "RS-"), name="y")),
        {f"{A}:8080"},
    ),
    Case(
        "and so whichever comes first",
        (endpoint_slice(endpoint(A, "RS-"), name="x"), endpoint_slice(endpoint(A, "-ST"), name="y")),
        {f"{A}:8080"},
    ),
    Case(
        "the address of a Pod that ends, given to a new one, is ready",
        (endpoint_slice(endpoint(A, "-ST", "old"), endpoint(A, "RS-", "new")),),
        {f"{A}:8080"},
    ),
    Case(
        "a number is a port of the Service, not of the Pods",
        (endpoint_slice(endpoint(A)),),
        {f"{A}:8080"},
        port="80",
    ),
    Case(
        "slices are matched by the name of the Service's port",
        (endpoint_slice(endpoint(A), ports=({"name": "metrics", "port": 9100}, {"name": "http", "port": 8080})),),
        {f"{A}:9100"},
        service(ports=({"name": "http", "port": 80}, {"name": "metrics", "port": 90, "targetPort": "m"})),
        "90",
    ),
    Case(
        "Pods may give a named port different numbers",
        (
            endpoint_slice(endpoint(A), name="x"),
            endpoint_slice(endpoint(B), name="y", ports=({"name": "http", "port": 9090},)),
        ),
        {f"{A}:8080", f"{B}:9090"},
    ),
    Case(
        "a slice without the port is passed over",
        (endpoint_slice(endpoint(A)), endpoint_slice(endpoint(B), name="y", ports=({"name": "other", "port": 1},))),
        {f"{A}:8080"},
    ),
    Case(
        "a port of the same name for UDP is another",
        (endpoint_slice(endpoint(A), ports=({"name": "http", "port": 1, "protocol": "UDP"},)),),
        set(),
    ),
    Case(
        "the single port of a Service needs no name",
        (endpoint_slice(endpoint(A), ports=({"name": "", "port": 8080},)),),
        {f"{A}:8080"},
        service(ports=({"port": 80},)),
        "80",
    ),
    Case(
        "no ports at all are all ports: the Pods' own number", (endpoint_slice(endpoint(A), ports=None),), {f"{A}:8080"}
    ),
    Case(
        "a port without a number is all ports",
        (endpoint_slice(endpoint(A), ports=({"name": "http"},)),),
        {f"{A}:8080"},
    ),
    Case(
        "all ports, but the Service only has a name for it: nobody knows the number",
        (endpoint_slice(endpoint(A), ports=None),),
        set(),
        service(ports=({"name": "http", "port": 80, "targetPort": "web"},)),
    ),
    Case(
        "without targetPort the Pods' port is the Service's",
        (endpoint_slice(endpoint(A), ports=None),),
        {f"{A}:80"},
        service(ports=({"name": "http", "port": 80},)),
    ),
    Case(
        "a headless Service without ports: the number that is asked for",
        (endpoint_slice(endpoint(A), ports=None),),
        {f"{A}:6379"},
        service(ports=(), clusterIP="None"),
        "6379",
    ),
    Case(
        "dual stack: the first family of the Service",
        (endpoint_slice(endpoint(A)), endpoint_slice(endpoint("fd00::1"), name="6", family="IPv6")),
        {"[fd00::1]:8080"},
        service(ipFamilies=["IPv6", "IPv4"]),
    ),
    Case(
        "dual stack: the other one where the first has nothing that can be used",
        (endpoint_slice(endpoint(A, "---")), endpoint_slice(endpoint("fd00::1"), name="6", family="IPv6")),
        {"[fd00::1]:8080"},
        service(ipFamilies=["IPv4", "IPv6"]),
    ),
    Case(
        "IPv6 addresses in any form are the same address",
        (
            endpoint_slice(endpoint("FD00:0::1", "---"), name="x", family="IPv6"),
            endpoint_slice(endpoint("fd00::1"), name="y", family="IPv6"),
        ),
        {"[fd00::1]:8080"},
    ),
    Case(
        "names in the place of addresses are left out",
        (endpoint_slice(endpoint("a.example.com"), family="FQDN"),),
        set(),
    ),
    Case(
        "of several addresses of an endpoint the first is used",
        (endpoint_slice({**endpoint(A), "addresses": [A, B]}),),
        {f"{A}:8080"},
    ),
    Case(
        "hints for our zone",
        (endpoint_slice(_near("a"), _near("b", address=B)),),
        {f"{B}:8080"},
        place=Place("n1", "b"),
    ),
    Case(
        "hints, and we do not know where we are",
        (endpoint_slice(_near("a"), _near("b", address=B)),),
        {f"{A}:8080", f"{B}:8080"},
    ),
    Case(
        "hints, and none for our zone",
        (endpoint_slice(_near("a"), _near("b", address=B)),),
        {f"{A}:8080", f"{B}:8080"},
        place=Place("n1", "c"),
    ),
    Case(
        "one missing hint turns hints off",
        (endpoint_slice(_near("a"), endpoint(B)),),
        {f"{A}:8080", f"{B}:8080"},
        place=Place("n1", "a"),
    ),
    Case(
        "the missing hint of an endpoint that is not used does not",
        (endpoint_slice(_near("a"), _near("b", address=B), endpoint(C, "-ST")),),
        {f"{A}:8080"},
        place=Place("n1", "a"),
    ),
    Case(
        "hints for our node come before those for our zone",
        (endpoint_slice(_near("a", node="n1"), _near("a", node="n2", address=B)),),
        {f"{B}:8080"},
        place=Place("n2", "a"),
    ),
    Case(
        "without an endpoint for our node, those for our zone",
        (endpoint_slice(_near("a", node="n1"), _near("b", node="n2", address=B)),),
        {f"{A}:8080"},
        place=Place("n3", "a"),
    ),
    Case(
        "while an endpoint moves, the hint that one of its slices has counts",
        (endpoint_slice(endpoint(A), name="x"), endpoint_slice(_near("a"), _near("b", address=B), name="y")),
        {f"{A}:8080"},
        place=Place("", "a"),
    ),
    Case(
        "endpoints that terminate are used whatever hints say",
        (endpoint_slice(endpoint(A, "-ST"), _near("b", address=B, conditions="-ST")),),
        {f"{A}:8080", f"{B}:8080"},
        place=Place("", "b"),
    ),
)


@pytest.mark.parametrize("case", CASES, ids=[case.says for case in CASES])
def test_what_gets_new_requests(case: Case) -> None:
    assert usable(_meaning(case)) == case.used


def _meaning(case: Case) -> Meaning:
    known = read_service(case.service)
    return meaning(known, [read_slice(raw) for raw in case.slices], choose_port(known, case.port), case.place)


def test_endpoints_that_are_not_used_are_told_in_the_order_of_addresses() -> None:
    found = _meaning(Case("", (endpoint_slice(*reversed(MIXED)),), set()))
    assert [(each.address, each.state) for each in found.endpoints] == [
        (f"{A}:8080", State.READY),
        (f"{B}:8080", State.DRAINING),
        (f"{C}:8080", State.UNREADY),
    ]


def test_endpoints_of_other_zones_are_not_told() -> None:
    case = Case(
        "", (endpoint_slice(_near("a"), _near("b", address=B), endpoint(C, "---")),), set(), place=Place("", "a")
    )
    assert [each.address for each in _meaning(case).endpoints] == [f"{A}:8080", f"{C}:8080"]
    assert _meaning(case).notes == ("hints: 1 of 2 endpoints, those for zone a",)


def test_notes_say_what_is_not_followed() -> None:
    raw = service(
        sessionAffinity="ClientIP",
        sessionAffinityConfig={"clientIP": {"timeoutSeconds": 600}},
        internalTrafficPolicy="Local",
    )
    slices = (endpoint_slice(endpoint(A)), endpoint_slice(endpoint("a.example.com"), name="names", family="FQDN"))
    affinity, local, left_out = _meaning(Case("", slices, set(), raw)).notes
    assert "600 s" in affinity
    assert "Local" in local
    assert "names" in left_out


@pytest.mark.parametrize(
    ("slices", "is_unsettled"),
    [
        ((endpoint_slice(endpoint(A), ports=({"name": "web", "port": 1},)),), True),
        ((endpoint_slice(endpoint(A)),), False),
        ((endpoint_slice(ports=None),), False),
        ((endpoint_slice(endpoint("a.example.com"), family="FQDN"),), False),
    ],
)
def test_slices_without_the_port_are_a_change_under_way(slices: tuple[Json, ...], is_unsettled: bool) -> None:
    assert _meaning(Case("", slices, set())).is_unsettled is is_unsettled


PORTS = service(
    ports=(
        {"name": "http", "port": 80, "targetPort": 8080},
        {"name": "metrics", "port": 9100},
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53},
    )
)


@pytest.mark.parametrize(
    ("text", "name"), [("http", "http"), ("80", "http"), ("53", "dns-tcp"), ("metrics", "metrics")]
)
def test_ports_by_name_and_number(text: str, name: str) -> None:
    assert choose_port(read_service(PORTS), text).name == name


@pytest.mark.parametrize(
    ("text", "raw", "says"),
    [
        ("htpp", PORTS, "Service my-app has no port htpp; did you mean http?"),
        ("8080", PORTS, "Service my-app has no port 8080; that is a port of its Pods; write http (80)"),
        ("dns", PORTS, "Service my-app: port dns is UDP, and Fairlead forwards TCP"),
        ("x", PORTS, "Service my-app has no port x; it has http (80), metrics (9100), dns-tcp (53)"),
        ("x", service(ports=()), "Service my-app has no port x; it has no ports; write a number"),
        ("x", service(ports=({"port": 80},)), "Service my-app has no port x; it has 80"),
        (
            "80",
            service(ports=({"name": "a", "port": 1, "protocol": "SCTP"},)),
            "Service my-app has no port 80; it has none for TCP",
        ),
    ],
)
def test_a_port_that_is_not_there(text: str, raw: Json, says: str) -> None:
    with pytest.raises(ValueError) as error:
        choose_port(read_service(raw), text)
    assert str(error.value) == says


def test_the_port_of_an_external_name_is_what_is_asked_for() -> None:
    raw = service(type="ExternalName", externalName="db.example.com", ports=({"name": "pg", "port": 5432},))
    known = read_service(raw)
    assert known.external_name == "db.example.com"
    assert (choose_port(known, "5433").number, choose_port(known, "pg").number) == (5433, 5432)


@pytest.mark.parametrize(
    ("read", "raw"),
    [
        (read_service, {}),
        (read_service, []),
        (read_service, {"metadata": {"name": 1}}),
        (read_service, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": "x"}]}}),
        (read_service, {"metadata": {"name": "a"}, "spec": {"ports": 1}}),
        (read_slice, {"metadata": {"name": "a"}}),
        (read_slice, endpoint_slice(endpoint("not an address"))),
        (read_slice, endpoint_slice(endpoint(A), family="IPv6") | {"endpoints": [{"addresses": []}]}),
        (read_slice, endpoint_slice() | {"endpoints": ["10.0.0.1"]}),
        (read_pod, pod("a", cpu="much")),
        (read_pod, None),
    ],
)
def test_what_no_api_server_sends_is_one_error(read: Any, raw: object) -> None:  # noqa: ANN401 (any of the readers)
    with pytest.raises(Malformed):
        read(raw)


_KEYS = ["name", "port", "ports", "addresses", "conditions", "ready", "hints", "forZones", "targetRef", "kind", "type"]
_KEYS += ["containers", "resources", "requests", "cpu", "sessionAffinity", "sessionAffinityConfig", "ipFamilies"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just("10.0.0.1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=6),
    max_leaves=30,
)


@given(_JSON, _JSON, st.sampled_from(["IPv4", "IPv6", "FQDN", "?"]))
def test_anything_is_an_object_or_malformed(spec: Any, endpoints: Any, family: str) -> None:  # noqa: ANN401 (any JSON)
    metadata = {"name": "a", "labels": spec, "annotations": endpoints}
    for read in (read_service, read_slice, read_pod):
        raw = {"metadata": metadata, "spec": spec, "addressType": family, "endpoints": endpoints, "ports": spec}
        try:
            read(raw)
        except Malformed as error:
            assert " a " in str(error)
