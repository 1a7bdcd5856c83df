"""A configuration document to settings: what each field may say, and what the fields mean together.

Owns the names that must exist, the addresses that only one may have, and the sources and policies that must be there.
Never touches the network or the loop, so that checking a file is the same reading as starting with it. Every method
goes on after a problem, so that one reading finds them all; None means that it has complained.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar

from fairlead import balance, discovery
from fairlead.autoscale.reading import read_metrics_api
from fairlead.discovery import Source
from fairlead.discovery.address import bind_address
from fairlead.fields import build, checked, integer, members, read_group, read_weight
from fairlead.health.checks.reading import read_checks
from fairlead.model import AUTO, Ejection, Hash, Listener, ListenerLimits, Protocol, Queue, Retries, Route, Trigger
from fairlead.networks import parse_proxy
from fairlead.routes import Reach, parse_host, parse_path
from fairlead.settings import AUTO_WORKERS, AccessLog, Admin, Kubernetes, ServiceSettings, Settings
from fairlead.yaml_nodes import Value, quoted, suggest

OFF: Final = ("", "off")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}", re.ASCII)
_STREAMS: Final = ("stdout", "stderr")
_AUTO: Final = "auto"
_CLIENT_ADDRESS: Final = "client-address"
_UNHASHED: Final = "round-robin"  # any of those without keys
_KEYLESS: Final = balance.POLICIES.keys() - {"hash"}
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)  # RFC 9110 5.6.2
_NOT_KEPT: Final = frozenset(  # fields that are not in the head as it is sent on
    ("connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "forwarded", "x-request-id")
)
_MAX_WORKERS: Final = 1024
EQUAL: Final = "equal"
_WEIGHTS: Final = (EQUAL, "annotation", "cpu-request")
UNWEIGHTED: Final = ("round-robin", "random")  # policies for which all weights are the same

# Limits of a listener that can only be reached when the other is as large.
_WITHIN: Final = {
    "max_client_connections": "max_connections",
    "max_request_line_bytes": "max_head_bytes",
    "max_head_bytes": "max_buffer_bytes",
    "max_buffer_bytes": "max_buffered_bytes",
}
_HOLDS: Final = ("max_buffer_bytes", "max_buffered_bytes")  # wrong also when it is the only one that was given

_T = TypeVar("_T")


class Reader:
    """One reading of one document. The methods with a `value` read the field of their name."""

    def __init__(self, base_dir: Path) -> None:
        self._base_dir = base_dir
        self._services: Collection[str] = ()
        self._binds: dict[str, Value] = {}
        self._by_head: dict[str, Value] = {}  # what is hashed of services that only HTTP can tell
        self._protected: dict[str, Value] = {}  # where services are protected, which is for HTTP

    def settings(self, root: Value) -> Settings | None:
        """All of it."""
        services = _given(root).get("services")
        self._services = _given(services) if services else ()
        readers = {
            "listeners": lambda value: self._by_name(value, self._listener),
            "services": lambda value: self._by_name(value, self._service),
            "admin": self._admin,
            "workers": lambda value: checked(value, parse_workers),
            "access_log": self._access_log,
            "kubernetes": self._kubernetes,
            "metrics_api": lambda value: read_metrics_api(value, self._services, self._base_dir),
        }
        settings = build(Settings, read_group(root, Settings, readers))
        settings = _with_access(settings) if settings else None
        if settings and (shared := self._binds.get(settings.admin.bind)) and not settings.admin.bind.endswith(":0"):
            shared.complain("is where the admin server listens; choose another, or set admin.bind")
        api = settings.metrics_api.bind if settings else ""
        if settings and api and not api.endswith(":0") and api in (*self._binds, settings.admin.bind):
            root.mapping()["metrics_api"].complain(f"listens on {api}, as another does; choose another")
        if settings:
            self._check_learned(root, settings)
        for listener in settings.listeners.values() if settings else ():
            if listener.protocol is Protocol.TCP and (by := self._by_head.get(listener.service)):
                by.complain(f"names what HTTP has, and listener {listener.name} is tcp; write by: {_CLIENT_ADDRESS}")
            if listener.protocol is Protocol.TCP and (protect := self._protected.get(listener.service)):
                protect.complain(f"is for http, and listener {listener.name} is tcp; use max_in_flight")
        return settings

    def _check_learned(self, root: Value, settings: Settings) -> None:
        for name, described in settings.metrics_api.services.items():
            if described.concurrency == AUTO and name in settings.services and not settings.services[name].objective_s:
                inner = root.mapping()["metrics_api"].mapping()["services"].mapping()[name].mapping()["concurrency"]
                inner.complain(f"is auto, which is learned from replies that are late; set services.{name}.objective")

    def _by_name(self, value: Value, read: Callable[[str, Value], _T | None]) -> dict[str, _T] | None:
        named = value.mapping()
        if value.is_mapping and not named:
            value.complain("is empty; add at least one, NAME: {...}")
        found = {}
        for name, inner in named.items():
            if not _NAME.fullmatch(name):
                inner.complain("has a name that would not do in metrics and logs; use letters, digits and . _ - /")
            item = read(name, inner)
            if item is not None:
                found[name] = item
        return found

    def _listener(self, name: str, value: Value) -> Listener | None:
        readers = {
            "bind": self._bind,
            "routes": self._routes,
            "service": self._service_name,
            "trusted_proxies": _networks,
            "debug_from": _networks,
            "limits": _listener_limits,
        }
        found = read_group(value, Listener, readers)
        protocol = found.get("protocol", None if "protocol" in _given(value) else Protocol.HTTP)
        if protocol is Protocol.TCP:
            self._pass_sessions(value)
        elif protocol is Protocol.HTTP and (value.is_mapping or value.is_null):
            self._route_requests(value, found)
        return build(Listener, found, name=name)

    def _pass_sessions(self, value: Value) -> None:
        given = _given(value)
        if "routes" in given:
            given["routes"].complain("is for http listeners; a tcp listener has one service: NAME")
        if "trusted_proxies" in given:
            given["trusted_proxies"].complain("is for http listeners; there is nothing in a TCP session to believe")
        if "debug_from" in given:
            given["debug_from"].complain("is for http listeners; a TCP session has no field to ask with")
        if "service" not in given:
            value.complain("has no service; a tcp listener needs service: NAME")

    def _route_requests(self, value: Value, found: dict[str, Any]) -> None:
        """Of an http listener's `service`, which is short for a single route that takes everything, make that route."""
        given = _given(value)
        if "routes" in given and "service" in given:
            given["service"].complain("is given beside routes; make it the last of them: - {service: NAME}")
        elif "routes" not in given and "service" not in given:
            value.complain("has no routes; add routes: [{service: NAME}], or service: NAME for all requests")
        service = found.pop("service", None)
        if service is not None:
            found["routes"] = (Route(service=service),)

    def _bind(self, value: Value) -> str | None:
        bind = checked(value, lambda text: bind_address(text, self._base_dir))
        if bind is None or bind.endswith(":0"):
            return bind  # any free port: never the same twice
        if bind in self._binds:
            other = self._binds[bind]
            value.complain(f"is the address of {other.field} in line {other.line}, too; choose another")
        else:
            self._binds[bind] = value
        return bind

    def _routes(self, value: Value) -> tuple[Route, ...]:
        reach = Reach()
        routes = []
        for item in value.items():
            route = self._route(item)
            if route is not None:
                routes.append(route)
                if hidden := reach.add(route, item.line):
                    item.complain(hidden)
        if value.is_list and not value.items():
            value.complain("is empty; add at least {service: NAME}")
        return tuple(routes)

    def _route(self, value: Value) -> Route | None:
        readers = {
            "service": self._service_name,
            "host": lambda inner: checked(inner, parse_host),
            "path": lambda inner: checked(inner, parse_path),
        }
        found = read_group(value, Route, readers)
        bad = set(_given(value)) & {member.name for member in members(Route)} - found.keys()
        return None if bad else build(Route, found)  # with a default in the place of what is wrong it would mislead

    def _service_name(self, value: Value) -> str | None:
        name = value.text()
        if name is None or name in self._services:
            return name
        value.complain(f"there is no service {quoted(name)}; {suggest(name, self._services)}")
        return None

    def _service(self, name: str, value: Value) -> ServiceSettings | None:
        readers = {
            "sources": self._sources,
            "balance": lambda inner: checked(inner, lambda text: parse_balance(text, self._base_dir)),
            "weights": lambda inner: checked(inner, parse_weights),
            "hash": self._hash,
            "checks": read_checks,
            "ejection": _ejection,
            "retries": _retries,
            "queue": _queue,
            "scale_from_zero": lambda inner: checked(inner, discovery.check_scale_target),
        }
        found = read_group(value, ServiceSettings, readers)
        if found.get("weights"):
            self._weigh(value, found)
        if found.get("scale_from_zero"):
            _check_scale(_given(value)["scale_from_zero"], found)
        if found.get("protect"):
            self._protected[name] = _given(value)["protect"]
        if hashed := found.get("hash"):
            self._check_hash(name, value, found, hashed)
        return build(ServiceSettings, found, name=name)

    def _weigh(self, value: Value, found: dict[str, Any]) -> None:
        """Weights are a matter of the sources: those that can have them from there get them."""
        given = _given(value)["weights"]
        weights, sources = found["weights"], found.get("sources", ())
        if weights == EQUAL:
            return
        if sources and not any(map(discovery.is_of_kubernetes, sources)):
            given.complain("is for k8s:// endpoints, and there are none; give weights in endpoints")
        if found.get("balance", "round-robin") in UNWEIGHTED:
            given.complain("has no effect, as balance does not look at weights; use balance: weighted or least-request")
        found["sources"] = tuple(discovery.with_weights(source, weights) for source in sources)

    def _check_hash(self, name: str, value: Value, found: dict[str, Any], hashed: Hash) -> None:
        """Keys are a matter of the policy, and of the listeners that ask for the service."""
        given = _given(value)["hash"]
        if found.get("balance", "" if "balance" in _given(value) else _UNHASHED) in _KEYLESS:
            given.complain("is for balance: hash, or for a policy of your own; add balance: hash")
        if not hashed.by:
            self._by_head[name] = given

    def _hash(self, value: Value) -> Hash | None:
        """One of `by`, `header` and `cookie`; what is given as "" is not given, as in what is shown to be in effect."""
        if value.is_null:
            return None
        readers = {
            "header": lambda inner: checked(inner, parse_header),
            "cookie": lambda inner: checked(inner, parse_cookie),
        }
        found = read_group(value, Hash, readers)
        given = [key for key in ("by", "header", "cookie") if found.get(key)]
        if len(given) > 1:
            value.complain(f"has {' and '.join(given)}; keep one")
        if given == ["by"] and found["by"] != _CLIENT_ADDRESS:
            meant = "header: NAME or cookie: NAME"
            _given(value)["by"].complain(f"is {quoted(found['by'])}, and must be {_CLIENT_ADDRESS}; or write {meant}")
        if given and given != ["by"]:
            found["by"] = ""
        return Hash(**found)

    def _sources(self, value: Value) -> tuple[Source, ...]:
        found: dict[str, Source] = {}
        for item in value.items() if value.is_list else [value]:
            source = self._source(item)
            if source is not None and source.text in found:
                item.complain(f"{source.text} is listed twice; remove one, or give it a weight")
            elif source is not None:
                found[source.text] = source
        if value.is_list and not value.items():
            value.complain("is empty; list at least one, such as 10.0.0.1:8080")
        return tuple(found.values())

    def _source(self, value: Value) -> Source | None:
        weight = 1
        if value.is_mapping:
            given = value.mapping(("address", "weight"))
            if "weight" in given:
                weight = read_weight(given["weight"])
            if "address" not in given:
                value.complain("has no address; write {address: IP:PORT}")
                return None
            value = given["address"]
        return checked(value, lambda text: discovery.parse(text, weight, self._base_dir))

    def _admin(self, value: Value) -> Admin | None:
        if not value.is_mapping and not value.is_null and value.text() in OFF:
            return Admin(bind="")
        readers = {"bind": lambda inner: checked(inner, lambda text: parse_admin(text, self._base_dir))}
        return build(Admin, read_group(value, Admin, readers))

    def _kubernetes(self, value: Value) -> Kubernetes | None:
        readers = {
            "kubeconfig": lambda inner: checked(
                inner, lambda text: text and str(self._base_dir / Path(text).expanduser())
            )
        }
        return build(Kubernetes, read_group(value, Kubernetes, readers))

    def _access_log(self, value: Value) -> AccessLog | None:
        readers = {"to": lambda inner: checked(inner, self._log_target)}
        return build(AccessLog, read_group(value, AccessLog, readers))

    def _log_target(self, text: str) -> str:
        if text in OFF:
            return ""
        return text if text in _STREAMS else str(self._base_dir / text)


def _ejection(value: Value) -> Ejection | None:
    """`off` alone stands for all triggers; the longest time out must be one."""
    if not value.is_mapping and not value.is_null and value.text() in OFF:
        none = Trigger.OFF
        return Ejection(gateway=none, errors=none, success_rate=none, latency=none)
    ejection = build(Ejection, read_group(value, Ejection))
    given = _given(value)
    if ejection and ejection.max_s < ejection.base_s and (place := given.get("max") or given.get("base")):
        place.complain(f"leaves base ({ejection.base_s:g} s) above max ({ejection.max_s:g} s); lower base or raise max")
    return ejection


def _networks(value: Value) -> tuple[str, ...]:
    """Networks, addresses and `unix`, each once."""
    found: list[str] = []
    for item in value.items():
        proxy = checked(item, parse_proxy)
        if proxy in found:
            item.complain(f"{proxy} is listed twice; remove one")
        elif proxy is not None:
            found.append(proxy)
    return tuple(found)


def _retries(value: Value) -> Retries | None:
    return build(Retries, read_group(value, Retries, {"statuses": _statuses}))


def _statuses(value: Value) -> tuple[int, ...]:
    """Statuses that say that an endpoint, or this request there, has failed, each once."""
    found: list[int] = []
    for item in value.items():
        status = checked(item, parse_status)
        if status in found:
            item.complain(f"{status} is listed twice; remove one")
        elif status is not None:
            found.append(status)
    return tuple(found)


def _check_scale(given: Value, found: dict[str, Any]) -> None:
    """What is scaled is in the namespace of the service's k8s:// source, and nobody waits without a queue."""
    sources = found.get("sources", ())
    if sources and not any(map(discovery.is_of_kubernetes, sources)):
        given.complain("is for k8s:// endpoints, and there are none")
    if not found.get("queue"):
        given.complain("needs a queue, where requests wait meanwhile; add queue: {timeout: 1m}")


def _queue(value: Value) -> Queue | None:
    """A queue; none where all of its section is commented out."""
    return None if value.is_null else build(Queue, read_group(value, Queue))


def _listener_limits(value: Value) -> ListenerLimits | None:
    """The limits of a listener: those that are given must be reachable beside each other."""
    limits = build(ListenerLimits, read_group(value, ListenerLimits))
    given = _given(value)
    for name, room in _WITHIN.items():
        least, most = getattr(limits, name), getattr(limits, room)
        if 0 < most < least and (place := given.get(name) or (given.get(room) if room in _HOLDS else None)):
            place.complain(f"leaves {name} ({least}) above {room} ({most}); lower {name}, or raise {room}")
    return limits


def parse_balance(text: str, base_dir: Path) -> str:
    """A policy's name, or FILE.py:CLASS as it is now (`balance.pinned`). Raises ValueError saying what is wrong."""
    try:
        return balance.pinned(text, base_dir)
    except ValueError as error:
        meant = get_close_matches(text, balance.POLICIES, n=1)
        raise ValueError(f"{error}; did you mean {meant[0]!r}?" if meant else str(error)) from error


def parse_weights(text: str) -> str:
    """Where weights come from. Raises ValueError saying what is wrong."""
    if text == "latency":
        raise ValueError("is 'latency', which is not there yet; use annotation, cpu-request or equal")
    if text not in _WEIGHTS:
        meant = get_close_matches(text, _WEIGHTS, n=1)
        more = f"did you mean {meant[0]!r}?" if meant else f"use {', '.join(_WEIGHTS)}"
        raise ValueError(f"is {quoted(text)}, which is no source of weights; {more}")
    return text


def parse_header(text: str) -> str:
    """A field of a request by which it may be kept with others. Raises ValueError saying what is wrong."""
    if text and not _TOKEN.fullmatch(text):
        raise ValueError(f"is {quoted(text)}, and must be the name of a header field")
    if text.lower() in _NOT_KEPT or text.lower().startswith("x-forwarded-"):
        raise ValueError(f"is {quoted(text)}, which says nothing about a client here; name another field")
    return text


def parse_cookie(text: str) -> str:
    """A cookie by which a request may be kept with others. Raises ValueError saying what is wrong."""
    if text and not _TOKEN.fullmatch(text):
        raise ValueError(f"is {quoted(text)}, and must be the name of a cookie")
    return text


def parse_status(text: str) -> int:
    """A status after which a request may be tried again. Raises ValueError saying what is wrong."""
    if not text.isdecimal() or not 400 <= integer(text) <= 599:
        raise ValueError(f"is {quoted(text)}, and must be a status from 400 to 599")
    return integer(text)


def parse_admin(text: str, base_dir: Path) -> str:
    """Where the admin server listens; "" for nowhere. Raises ValueError saying what is wrong."""
    return "" if text in OFF else bind_address(text, base_dir)


def parse_workers(text: str) -> int:
    """How many worker processes. Raises ValueError saying what is wrong."""
    if text == _AUTO:
        return AUTO_WORKERS
    if not text.isdecimal() or not 1 <= integer(text) <= _MAX_WORKERS:
        raise ValueError(f"is {quoted(text)}, and must be auto or from 1 to {_MAX_WORKERS}")
    return integer(text)


def _with_access(settings: Settings) -> Settings:
    """The settings, with every source that asks the Kubernetes API told how to find it."""
    access = settings.kubernetes
    services = {
        name: replace(
            service,
            sources=tuple(discovery.with_access(each, access.kubeconfig, access.context) for each in service.sources),
        )
        for name, service in settings.services.items()
    }
    return replace(settings, services=services)


def _given(value: Value) -> dict[str, Value]:
    """The values of a mapping; what is none has none, and is complained of where it is read."""
    return value.mapping() if value.is_mapping else {}
