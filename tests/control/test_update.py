"""Updates as JSON and back, and the difference of two snapshots."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from fairlead.control.update import decode, difference, encode
from fairlead.model import (
    Endpoint,
    Hash,
    Listener,
    ListenerLimits,
    ListenerTimeouts,
    Protocol,
    Route,
    Service,
    ServiceLimits,
    ServiceTimeouts,
    Snapshot,
    State,
    Update,
)
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c", "d"])
TEXT = st.text(max_size=8)
SECONDS = st.floats(0, 1e6)
COUNT = st.integers(0, 2**40)
ENDPOINTS = st.lists(st.builds(Endpoint, TEXT, st.integers(1, 65535), st.sampled_from(State)), max_size=4).map(tuple)
SERVICES = st.builds(
    Service,
    name=NAMES,
    balance=TEXT,
    hash=st.none() | st.builds(Hash, header=TEXT, cookie=TEXT, max_load=SECONDS),
    slow_start_s=SECONDS,
    endpoints=ENDPOINTS,
    timeouts=st.builds(ServiceTimeouts, connect_s=SECONDS, reply_s=SECONDS, idle_s=SECONDS),
    limits=st.builds(ServiceLimits, max_connections=COUNT, max_idle=COUNT),
    version=COUNT,
)
LISTENERS = st.builds(
    Listener,
    name=NAMES,
    bind=TEXT,
    protocol=st.sampled_from(Protocol),
    routes=st.lists(st.builds(Route, service=NAMES, host=TEXT, path=TEXT), max_size=3).map(tuple),
    service=NAMES,
    timeouts=st.builds(ListenerTimeouts, head_s=SECONDS, body_s=SECONDS, keepalive_s=SECONDS, idle_s=SECONDS),
    limits=st.builds(ListenerLimits, max_connections=COUNT, max_head_bytes=COUNT, max_fields=COUNT),
    trusted_proxies=st.lists(TEXT, max_size=3).map(tuple),
)
UPDATES = st.builds(
    Update,
    version=COUNT,
    services=st.lists(SERVICES, max_size=3).map(tuple),
    listeners=st.lists(LISTENERS, max_size=3).map(tuple),
    gone_services=st.lists(NAMES, max_size=2).map(tuple),
    gone_listeners=st.lists(NAMES, max_size=2).map(tuple),
)
SNAPSHOTS = st.builds(
    Snapshot,
    version=COUNT,
    services=st.lists(SERVICES, max_size=4).map(lambda all: {service.name: service for service in all}),
    listeners=st.lists(LISTENERS, max_size=4).map(lambda all: {listener.name: listener for listener in all}),
)


def applied(update: Update, to: Snapshot) -> Snapshot:
    """What a worker makes of an update."""
    services = {**to.services, **{service.name: service for service in update.services}}
    listeners = {**to.listeners, **{listener.name: listener for listener in update.listeners}}
    for name in update.gone_services:
        del services[name]
    for name in update.gone_listeners:
        del listeners[name]
    return Snapshot(version=update.version, services=services, listeners=listeners)


def transported(update: Update) -> Update:
    message: dict[str, Any] = json.loads(encode(update))
    assert message["type"] == "update"
    return decode(message)


@given(UPDATES)
def test_what_is_encoded_is_decoded(update: Update) -> None:
    assert transported(update) == update


@given(SNAPSHOTS, SNAPSHOTS)
def test_the_difference_makes_one_of_the_other(old: Snapshot, new: Snapshot) -> None:
    assert applied(difference(old, new), old) == new
    assert applied(transported(difference(old, new)), old) == new


@given(SNAPSHOTS)
def test_a_worker_that_starts_is_told_everything(snapshot: Snapshot) -> None:
    assert applied(difference(Snapshot(), snapshot), Snapshot()) == snapshot


@given(SNAPSHOTS)
def test_what_has_not_changed_is_not_sent(snapshot: Snapshot) -> None:
    equal = replace(
        snapshot,
        services={name: replace(service) for name, service in snapshot.services.items()},
        listeners=dict(snapshot.listeners),
    )
    assert difference(snapshot, equal) == Update(version=snapshot.version)


def test_only_the_changed_service_is_sent() -> None:
    a, b = Service(name="a"), Service(name="b", endpoints=(Endpoint("10.0.0.1:80"),))
    web = Listener(name="web", bind=":80", routes=(Route(service="a"),))
    old = Snapshot(version=1, services={"a": a, "b": b}, listeners={"web": web})
    fewer = replace(b, endpoints=(), version=2)
    new = Snapshot(version=2, services={"a": a, "b": fewer}, listeners={"web": web})
    assert difference(old, new) == Update(version=2, services=(fewer,))


def test_what_is_gone_is_named_in_a_stable_order() -> None:
    services = {name: Service(name=name) for name in map(str, range(20))}
    listeners = {name: Listener(name=name, bind=f":{name}") for name in services}
    update = difference(Snapshot(services=services, listeners=listeners), Snapshot(version=2))
    assert update == Update(version=2, gone_services=tuple(services), gone_listeners=tuple(listeners))


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"version": 1, "services": [{}], "listeners": [], "gone_services": [], "gone_listeners": []},
        {"version": 1, "services": [], "listeners": [{"name": "a"}], "gone_services": [], "gone_listeners": []},
    ],
)
def test_what_is_no_update_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        decode(message)


def test_ten_thousand_endpoints() -> None:
    """The times are told and not judged: pytest -rP shows them."""
    endpoints = tuple(Endpoint(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}:8080", n % 9 + 1) for n in range(10_000))
    update = Update(version=1, services=(Service(name="big", endpoints=endpoints),))
    start = time.perf_counter()
    text = encode(update)
    encoded = time.perf_counter()
    assert decode(json.loads(text)) == update
    decoded = time.perf_counter()
    print(f"{len(text)} bytes, encoded in {encoded - start:.3f} s, decoded in {decoded - encoded:.3f} s")
