"""The configuration: from a file, from a command line, and back as what is in effect.

The way in and out; the reading itself is reader.py, the settings are settings.py. Every problem is reported at once, as
"FILE:LINE: FIELD: what is wrong; what to do". Invariant: Settings that leave here are usable, and hold every default.

`python -m fairlead.config` writes the reference page.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fairlead import discovery
from fairlead.autoscale.settings import Described, MetricsApi
from fairlead.discovery import Source
from fairlead.discovery.address import bind_address
from fairlead.errors import ConfigError
from fairlead.fields import to_plain
from fairlead.model import Listener, Protocol, Route
from fairlead.reader import Reader, parse_admin, parse_balance, parse_workers
from fairlead.reference import reference as reference
from fairlead.settings import AUTO_WORKERS
from fairlead.settings import AccessLog as AccessLog
from fairlead.settings import Admin as Admin
from fairlead.settings import Drain as Drain
from fairlead.settings import Kubernetes as Kubernetes
from fairlead.settings import ServiceSettings as ServiceSettings
from fairlead.settings import Settings as Settings
from fairlead.yaml_nodes import Document, read_text

_DEFAULT = "default"  # the name of what a command line describes

_T = TypeVar("_T")


def load(path: Path) -> Settings:
    """The configuration in a file. Raises ConfigError with every problem."""
    return parse(read_text(path), str(path), path.absolute().parent)


def parse(text: str, file: str, base_dir: Path) -> Settings:
    """The configuration in a text; `base_dir` is where relative paths start. Raises ConfigError with every problem."""
    document = Document(file)
    settings = Reader(base_dir.absolute()).settings(document.root(text))
    document.check()
    assert settings is not None  # whoever gives None has complained
    return settings


def one_liner(
    listen: Sequence[str], to: Sequence[str], *, tcp: bool, balance: str, workers: int, admin: str, base_dir: Path
) -> Settings:
    """What `fairlead run --listen A --to B --to C` means: one service, behind each address.

    Raises ConfigError with every problem, each naming its option.
    """
    options = _Options(base_dir.absolute())
    binds = options.each("--listen", listen, bind_address)
    sources = options.each("--to", to, lambda text, base: discovery.parse(text, 1, base))
    policies = options.each("--balance", [balance], parse_balance)
    admins = options.each("--admin", [admin], parse_admin)
    if workers != AUTO_WORKERS:
        options.each("--workers", [str(workers)], lambda text, _: parse_workers(text))
    if admins and admins[0] in binds and not admins[0].endswith(":0"):
        options.problems.append(f"--admin: {admins[0]} is the address of --listen; choose another, or off")
    if options.problems:
        raise ConfigError(options.problems)
    service = ServiceSettings(name=_DEFAULT, sources=tuple(sources), balance=policies[0])
    listeners = [_listener(place, bind, tcp) for place, bind in enumerate(binds)]
    return Settings(
        listeners={listener.name: listener for listener in listeners},
        services={_DEFAULT: service},
        admin=Admin(bind=admins[0]),
        workers=workers,
    )


def _listener(place: int, bind: str, tcp: bool) -> Listener:
    name = f"{_DEFAULT}-{place + 1}" if place else _DEFAULT
    if tcp:
        return Listener(name=name, bind=bind, protocol=Protocol.TCP, service=_DEFAULT)
    return Listener(name=name, bind=bind, routes=(Route(service=_DEFAULT),))


class _Options:
    """The options of a command line, and what is wrong with them."""

    def __init__(self, base_dir: Path) -> None:
        self._base_dir = base_dir
        self.problems: list[str] = []

    def each(self, option: str, texts: Sequence[str], parse_one: Callable[[str, Path], _T]) -> list[_T]:
        """What an option's values mean, without those that mean nothing."""
        found: list[_T] = []
        if not texts:
            self.problems.append(f"{option}: is missing; give it at least once")
        for text in texts:
            try:
                value = parse_one(text, self._base_dir)
            except ValueError as error:
                self.problems.append(f"{option}: {error}")
                continue
            if value in found:
                self.problems.append(f"{option}: {text!r} is given twice; remove one")
            found.append(value)
        return found


def to_json(settings: Settings) -> dict[str, Any]:
    """What is in effect, every default filled in: the shape and keys of the file, durations in seconds."""
    return {
        "listeners": {name: _listener_to_json(listener) for name, listener in settings.listeners.items()},
        "services": {name: _service_to_json(service) for name, service in settings.services.items()},
        "admin": to_plain(settings.admin),
        "kubernetes": to_plain(settings.kubernetes),
        "workers": settings.workers or "auto",
        "drain": to_plain(settings.drain),
        "access_log": to_plain(settings.access_log),
        "metrics_api": _metrics_api_to_json(settings.metrics_api),
    }


def _listener_to_json(listener: Listener) -> dict[str, Any]:
    plain = to_plain(listener)
    for key in ("routes", "trusted_proxies", "debug_from") if listener.protocol is Protocol.TCP else ("service",):
        del plain[key]
    return plain


def _service_to_json(service: ServiceSettings) -> dict[str, Any]:
    return {**to_plain(service), "endpoints": [_source_to_json(source) for source in service.sources]}


def _metrics_api_to_json(api: MetricsApi) -> dict[str, Any]:
    services = {name: _described_to_json(each) for name, each in api.services.items()}
    return {**to_plain(api), "peers": api.peers.text if api.peers else "", "services": services}


def _described_to_json(described: Described) -> dict[str, Any]:
    name = str(described.object) if described.object else ""
    return {**to_plain(described), "object": name, "pods": dict(described.pods), "labels": dict(described.labels)}


def _source_to_json(source: Source) -> str | dict[str, Any]:
    return source.text if source.weight == 1 else {"address": source.text, "weight": source.weight}


if __name__ == "__main__":
    sys.stdout.write(reference())
