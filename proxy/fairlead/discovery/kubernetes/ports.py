"""Which port of a Service is meant by a name or a number, or why none is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from fairlead.discovery.kubernetes.objects import TCP, ClusterService, ServicePort


def choose_port(service: ClusterService, text: str) -> ServicePort:
    """The port. Raises ValueError saying what the Service has instead."""
    is_number = text.isdecimal()
    if is_number and (service.external_name or not service.ports):
        return ServicePort("", int(text), TCP, int(text))  # nothing stands between this number and the endpoints
    named = [port for port in service.ports if (str(port.number) if is_number else port.name) == text]
    fitting = [port for port in named if port.protocol == TCP]
    if fitting:
        return fitting[0]
    if named:
        raise ValueError(f"Service {service.name}: port {text} is {named[0].protocol}, and Fairlead forwards TCP")
    raise ValueError(f"Service {service.name} has no port {text}; {_instead(service, text)}")


def _instead(service: ClusterService, text: str) -> str:
    offered = [port for port in service.ports if port.protocol == TCP]
    behind = [port for port in offered if str(port.target) == text]
    if behind:
        return f"that is a port of its Pods; write {_written(behind[0])}"
    if not offered:
        return "it has no ports; write a number" if not service.ports else "it has none for TCP"
    names = [written for port in offered for written in (port.name, str(port.number)) if written]
    meant = get_close_matches(text, names, n=1)
    return f"did you mean {meant[0]}?" if meant else f"it has {listed([_written(port) for port in offered])}"


def _written(port: ServicePort) -> str:
    return f"{port.name} ({port.number})" if port.name else str(port.number)


def nearest(wanted: str, names: Sequence[str]) -> str:
    """What to write instead of a name that does not exist; "" when there is nothing to choose from."""
    meant = get_close_matches(wanted, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(meant)}?" if meant else f"there is {listed(sorted(names))}" if names else ""


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
