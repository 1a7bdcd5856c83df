"""Which pods a label selector means, and their addresses: the seam between an answer and whoever knows the pods.

A metric of pods is asked for by selector, and what an autoscaler gets it averages, items for strangers included. So the
answer has to hold exactly those pods: the cluster says which (cluster.py), or the configuration where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol, final

from fairlead.autoscale.objects import Objects
from fairlead.autoscale.selector import Selector


@final
@dataclass(frozen=True, slots=True)
class Pod:
    """`addresses` are IPs, or whole addresses of endpoints."""

    name: str
    addresses: frozenset[str]


class Pods(Protocol):
    """Raises `Unavailable` when it cannot say."""

    async def select(self, namespace: str, selector: Selector, text: str) -> list[Pod]:
        """The pods of a namespace that the selector means; `text` is how the caller wrote it."""


class Unavailable(Exception):
    """What has to be asked elsewhere could not be had; the text says what and why."""


@final
class ConfiguredPods:
    """Those that the configuration names."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def select(self, namespace: str, selector: Selector, text: str) -> list[Pod]:
        found: dict[str, set[str]] = {}
        for name in self._objects.within(namespace):
            for service in self._objects.services[name]:
                described = self._objects.described.get(service)
                if described is not None and selector.matches(described.labels):
                    for pod, address in described.pods.items():
                        found.setdefault(pod, set()).add(address)
        return [Pod(pod, frozenset(addresses)) for pod, addresses in found.items()]


def by_address(endpoints: Iterable[str]) -> dict[str, list[str]]:
    """The endpoints by their address and by its IP, so that 10,000 of them are not gone through for each pod."""
    found: dict[str, list[str]] = {}
    for endpoint in endpoints:
        for key in {endpoint, host(endpoint)} - {""}:
            found.setdefault(key, []).append(endpoint)
    return found


def host(endpoint: str) -> str:
    """The IP of an endpoint's address in the form that the API uses; "" for a Unix socket."""
    text = endpoint.rpartition(":")[0].strip("[]")
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
