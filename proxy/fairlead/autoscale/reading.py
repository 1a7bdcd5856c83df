"""The `metrics_api` of a configuration document, to its settings: what each field may say, and what they need together.

Never touches files or the network, so that checking a configuration is the same reading as starting with it. As in
reader.py, None means that it has complained.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, TypeVar

from fairlead import discovery
from fairlead.autoscale.objects import parse_object
from fairlead.autoscale.settings import Described, MetricsApi
from fairlead.discovery.address import bind_address
from fairlead.fields import build, checked, read_group
from fairlead.yaml_nodes import Value, quoted, suggest

_LEAST: Final = 0.01  # requests at once: less is none
_OFF: Final = ("", "off")
_DNS_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)

_T = TypeVar("_T")


def read_metrics_api(value: Value, services: Collection[str], base_dir: Path) -> MetricsApi | None:
    """`services` are the names that the document has."""
    if not value.is_mapping and not value.is_null and value.text() in _OFF:
        return MetricsApi()
    readers = {
        "bind": lambda inner: checked(inner, lambda text: "" if text in _OFF else bind_address(text, base_dir)),
        "certificate": lambda inner: _path(inner, base_dir),
        "key": lambda inner: _path(inner, base_dir),
        "client_ca": lambda inner: _path(inner, base_dir),
        "peers": lambda inner: checked(inner, lambda text: discovery.parse(text, 1, base_dir) if text else None),
        "peer_key": lambda inner: _path(inner, base_dir),
        "server_names": lambda inner: _texts(inner, _dns_name),
        "client_names": lambda inner: _texts(inner, str),
        "services": lambda inner: _services(inner, services),
    }
    found = read_group(value, MetricsApi, readers)
    api = build(MetricsApi, found)
    if api is not None and value.is_mapping:
        _check(value, api)
    return api


def _check(value: Value, api: MetricsApi) -> None:
    given = {key for key, inner in value.mapping().items() if inner.node.value}
    for one, other in (("certificate", "key"), ("peers", "peer_key")):
        if (one in given) != (other in given):
            value.complain(f"has one of {one} and {other} without the other; give both, or none")
    if api.client_names and not api.client_ca:
        value.mapping()["client_names"].complain("goes with client_ca; without that the cluster says both")


def _services(value: Value, services: Collection[str]) -> dict[str, Described]:
    found = {}
    for name, inner in value.mapping().items():
        if name not in services:
            inner.complain(f"there is no service {quoted(name)}; {suggest(name, services)}")
        readers = {
            "object": lambda one: checked(one, lambda text: parse_object(text) if text else None),
            "pods": _by_text,
            "labels": _by_text,
        }
        described = build(Described, read_group(inner, Described, readers), name=name)
        if described is not None and 0 < described.concurrency < _LEAST:
            inner.mapping()["concurrency"].complain(f"is {described.concurrency:g}, and must be at least {_LEAST:g}")
        if described is not None:
            found[name] = described
    return found


def _by_text(value: Value) -> dict[str, str]:
    read = {key: inner.text() for key, inner in value.mapping().items()}
    return {key: text for key, text in read.items() if text is not None}


def _texts(value: Value, parse: Callable[[str], str]) -> tuple[str, ...] | None:
    read = [checked(item, parse) for item in (value.items() if value.is_list else [value])]
    found = tuple(text for text in read if text is not None)
    return found or None


def _path(value: Value, base_dir: Path) -> str | None:
    return checked(value, lambda text: str(base_dir / text) if text else "")


def _dns_name(text: str) -> str:
    if not _DNS_NAME.fullmatch(text):
        raise ValueError(f"is {quoted(text)}, and must be a DNS name, such as fairlead-metrics.default.svc")
    return text
