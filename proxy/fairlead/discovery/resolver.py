"""Names to addresses as this machine is told to do it: its hosts file first, then the DNS servers of resolv.conf.

Both files are read for each name anew: they are short, and a container's may change under a running process. Asks for
A and AAAA records at the same time. Never remembers an answer: how long one holds is part of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final, final

import dns.asyncresolver
import dns.exception
import dns.resolver

_HOSTS_TTL_S: Final = 5.0  # a hosts file says nothing of how long it holds
_LOOPBACK: Final = ("127.0.0.1", "::1")
_FAMILIES: Final = ("A", "AAAA")


@final
@dataclass(frozen=True, slots=True)
class Answer:
    """The addresses of a name, and for how long. `problem` says which of the two families could not be had."""

    addresses: tuple[str, ...]
    ttl_s: float
    problem: str = ""


@final
class Unresolved(Exception):
    """There is no address. The text says why, in words that do not change while the reason does not."""


@final
@dataclass(frozen=True, slots=True)
class SystemResolver:
    """`limit_s` bounds a whole look-up, all servers and search domains together."""

    hosts: Path = Path("/etc/hosts")
    resolv_conf: Path = Path("/etc/resolv.conf")
    port: int = 53
    limit_s: float = 5.0

    async def __call__(self, name: str) -> Answer:
        """All addresses of `name`, from either family that has any. Raises Unresolved."""
        if listed := self._listed(name.rstrip(".")):
            return Answer(_in_order(listed), _HOSTS_TTL_S)
        resolver = self._configured()
        async with asyncio.TaskGroup() as asking:
            looks = [asking.create_task(_ask(resolver, name, family)) for family in _FAMILIES]
        return _combine([look.result() for look in looks])

    def _listed(self, name: str) -> set[str]:
        found = set()
        with suppress(OSError, UnicodeDecodeError):
            for line in self.hosts.read_text().splitlines():
                address, *names = line.partition("#")[0].split() or [""]
                if name in map(str.lower, names):
                    found.add(address)
        if not found and (name == "localhost" or name.endswith(".localhost")):
            return set(_LOOPBACK)  # RFC 6761 6.3: never a question for the DNS
        return found

    def _configured(self) -> dns.asyncresolver.Resolver:
        try:
            resolver = dns.asyncresolver.Resolver(str(self.resolv_conf))
            resolver.port = self.port
            resolver.lifetime = self.limit_s
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise Unresolved(f"{self.resolv_conf} names no DNS server: {error}") from error
        return resolver


@final
@dataclass(frozen=True, slots=True)
class _Records:
    """What one family gave: addresses, or none because there are none (`absent`), or none because it `failed`."""

    addresses: tuple[str, ...] = ()
    ttl_s: float = 0.0
    absent: str = ""
    failed: str = ""


async def _ask(resolver: dns.asyncresolver.Resolver, name: str, family: str) -> _Records:
    try:
        answer = await resolver.resolve(name, family, search=True)
    except dns.resolver.NXDOMAIN:
        return _Records(absent="no such name (NXDOMAIN)")
    except dns.resolver.NoAnswer:
        return _Records(absent="the name has no addresses")
    except dns.resolver.NoNameservers as error:
        return _Records(failed=f"the DNS servers failed: {_reasons(error)}")
    except dns.exception.Timeout:
        return _Records(failed=f"no answer from the DNS servers in {resolver.lifetime:g} s")
    except (dns.exception.DNSException, OSError) as error:
        return _Records(failed=f"{type(error).__name__}: {error}")
    return _Records(tuple(record.to_text() for record in answer), answer.chaining_result.minimum_ttl)


def _reasons(error: dns.resolver.NoNameservers) -> str:
    """What each server said, without its address, ports and times: those change from one look to the next."""
    said = {reason if isinstance(reason, str) else type(reason).__name__ for *_, reason, _ in error.kwargs["errors"]}
    return ", ".join(sorted(said))


def _combine(looks: list[_Records]) -> Answer:
    """One answer of both families. One that failed does not take the other's addresses away."""
    failed = [f"{family}: {look.failed}" for family, look in zip(_FAMILIES, looks, strict=True) if look.failed]
    answered = [look for look in looks if look.addresses]
    if answered:
        addresses = _in_order(address for look in answered for address in look.addresses)
        return Answer(addresses, min(look.ttl_s for look in answered), "; ".join(failed))
    if failed:
        raise Unresolved("; ".join(failed) if len(failed) < len(looks) else looks[0].failed)
    raise Unresolved(looks[0].absent)


def _in_order(addresses: Iterable[str]) -> tuple[str, ...]:
    """Each address once, IPv4 first; what is none, or has a zone that a connection could not name, is left out."""
    known = set()
    for text in addresses:
        with suppress(ValueError):
            address = ip_address(text)
            if "%" not in text:
                known.add(address)
    return tuple(str(address) for address in sorted(known, key=lambda one: (one.version, one.packed)))
