"""What has changed between two snapshots, and both as JSON: all that the supervisor tells a worker.

Owns the text form of the values in model.py. Never a form that can name code (pickle). Endpoints are lists and not
objects: a service has 10,000 of them, the rest is few. Invariant: a worker that has applied `difference(a, b)` to `a`
has `b`; one that starts has `difference(Snapshot(), b)`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, TypeVar

from fairlead.model import (
    Ejection,
    Endpoint,
    Hash,
    Listener,
    ListenerLimits,
    ListenerTimeouts,
    Protocol,
    Queue,
    Retries,
    Route,
    Service,
    ServiceLimits,
    ServiceTimeouts,
    Snapshot,
    State,
    Trigger,
    Update,
)

_T = TypeVar("_T")


def difference(old: Snapshot, new: Snapshot) -> Update:
    """What makes `new` of `old`. Unchanged values are recognised by identity first, so it costs little."""
    return Update(
        version=new.version,
        services=_changed(old.services, new.services),
        listeners=_changed(old.listeners, new.listeners),
        gone_services=tuple(name for name in old.services if name not in new.services),
        gone_listeners=tuple(name for name in old.listeners if name not in new.listeners),
    )


def _changed(old: Mapping[str, _T], new: Mapping[str, _T]) -> tuple[_T, ...]:
    return tuple(value for name, value in new.items() if (was := old.get(name)) is not value and was != value)


def encode(update: Update) -> bytes:
    """The update as JSON."""
    message = {
        "type": "update",
        "version": update.version,
        "services": [_service_to_json(service) for service in update.services],
        "listeners": [asdict(listener) for listener in update.listeners],
        "gone_services": update.gone_services,
        "gone_listeners": update.gone_listeners,
    }
    return json.dumps(message, separators=(",", ":")).encode()


def decode(message: Mapping[str, Any]) -> Update:
    """The update that `encode` gave, after `json.loads`. Raises KeyError, TypeError or ValueError when it is none."""
    return Update(
        version=message["version"],
        services=tuple(_service_from_json(raw) for raw in message["services"]),
        listeners=tuple(_listener_from_json(raw) for raw in message["listeners"]),
        gone_services=tuple(message["gone_services"]),
        gone_listeners=tuple(message["gone_listeners"]),
    )


def _service_to_json(service: Service) -> dict[str, Any]:
    rows = [(e.address, e.weight, e.state) for e in service.endpoints]
    return {**asdict(replace(service, endpoints=())), "endpoints": rows}


def _service_from_json(raw: dict[str, Any]) -> Service:
    states = {state.value: state for state in State}  # a lookup: calling the Enum takes three times as long
    given = {
        "endpoints": tuple([Endpoint(address, weight, states[state]) for address, weight, state in raw["endpoints"]]),
        "hash": Hash(**raw["hash"]) if raw["hash"] is not None else None,
        "timeouts": ServiceTimeouts(**raw["timeouts"]),
        "limits": ServiceLimits(**raw["limits"]),
        "ejection": _ejection_from_json(raw["ejection"]),
        "retries": Retries(**{**raw["retries"], "statuses": tuple(raw["retries"]["statuses"])}),
        "queue": Queue(**raw["queue"]) if raw["queue"] is not None else None,
    }
    return Service(**{**raw, **given})


def _ejection_from_json(raw: dict[str, Any]) -> Ejection:
    triggers = {name: Trigger(raw[name]) for name in ("gateway", "errors", "success_rate", "latency")}
    return Ejection(**{**raw, **triggers})


def _listener_from_json(raw: dict[str, Any]) -> Listener:
    given = {
        "protocol": Protocol(raw["protocol"]),
        "routes": tuple(Route(**route) for route in raw["routes"]),
        "trusted_proxies": tuple(raw["trusted_proxies"]),
        "debug_from": tuple(raw["debug_from"]),
        "timeouts": ListenerTimeouts(**raw["timeouts"]),
        "limits": ListenerLimits(**raw["limits"]),
    }
    return Listener(**{**raw, **given})
