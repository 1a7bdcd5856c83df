"""Fuzz target: who the client is by what a trusted proxy sends in X-Forwarded-For, against a reading with ipaddress."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from modes import COMPILED

_TRUSTED: Final = ("10.0.0.0/8", "2001:db8::/32")
_PEER: Final = b"10.0.0.9"
_LONGEST: Final = 64
_WITH_PORT: Final = re.compile(rb"(?:\[(?P<v6>[^\]]*:[^\]]*)\]|(?P<v4>[0-9.]+(?=:)))(?::(?P<port>[0-9]{1,5}))?")
_ADDRESS = ipaddress.IPv4Address | ipaddress.IPv6Address


def forwarded(data: bytes) -> None:
    """The client is the rightmost address that is not trusted, else the leftmost that can be read from the right."""
    trust = COMPILED["wire.forwarded"].Trust(_TRUSTED)
    for _ in range(2):  # read, and remembered
        client = trust.client(data, _PEER)
        assert _plain(ipaddress.ip_address(client.decode("ascii"))) == _client(data), data


def _client(data: bytes) -> _ADDRESS:
    client = ipaddress.ip_address(_PEER.decode())
    for member in reversed(data.strip(b", \t").split(b",")):
        address = _address(member.strip(b" \t"))
        if address is None:
            break
        client = address
        if not any(address in ipaddress.ip_network(network) for network in _TRUSTED):
            break
    return client


def _address(text: bytes) -> _ADDRESS | None:
    if len(text) > _LONGEST:
        return None
    parts = _WITH_PORT.fullmatch(text)
    if parts is not None:
        if int(parts["port"] or b"0") > 65535:
            return None
        text = parts["v6"] or parts["v4"]
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        return None
    return None if getattr(address, "scope_id", None) is not None else _plain(address)


def _plain(address: _ADDRESS) -> _ADDRESS:
    return getattr(address, "ipv4_mapped", None) or address
