"""What `trusted_proxies` may list: networks, addresses and `unix`, each in one canonical form.

Stricter than the library: no netmasks, no zones, no IPv4 in IPv6 clothes (a peer that comes so is known by its IPv4
address), since each is a way to name another network than the one that was meant.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

from fairlead.yaml_nodes import quoted

UNIX: Final = "unix"
_SHAPE: Final = re.compile(r"[0-9a-f.:]{2,45}(?:/[0-9]{1,3})?", re.ASCII | re.IGNORECASE)
_WITH_PORT: Final = re.compile(
    r"([0-9.]{7,15}):[0-9]{1,5}|\[([0-9a-f:.]{2,45})\](?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE
)
_MAPPED_BITS: Final = 96


def parse_proxy(text: str) -> str:
    """Its canonical form: "10.0.0.0/8", "2001:db8::1" or "unix". Raises ValueError saying what is wrong."""
    if text == UNIX:
        return text
    if with_port := _WITH_PORT.fullmatch(text):
        raise ValueError(f"is {quoted(text)}; write {quoted(with_port[1] or with_port[2])}, without port and brackets")
    try:
        network = ip_network(text, strict=False) if _SHAPE.fullmatch(text) else None
    except ValueError:
        network = None
    if network is None:
        raise ValueError(
            f"is {quoted(text)}, and must be a network such as 10.0.0.0/8 or 2001:db8::/32, an address, or unix"
        )
    _check(network, text)
    return _written(network)


def _check(network: IPv4Network | IPv6Network, text: str) -> None:
    """Raise ValueError when the text most likely means another network."""
    address, slash, _ = text.partition("/")
    if slash and ip_network(address) != ip_network(network.network_address):
        raise ValueError(
            f"is {quoted(text)}, an address within a network; write {quoted(str(network))} for the network, "
            f"or {quoted(_written(ip_network(address)))} for the address"
        )
    first = network.network_address
    if isinstance(first, IPv6Address) and first.ipv4_mapped is not None and network.prefixlen >= _MAPPED_BITS:
        plain = IPv4Network((first.ipv4_mapped, network.prefixlen - _MAPPED_BITS))
        raise ValueError(f"is {quoted(text)}, an IPv4 network written as IPv6; write {quoted(_written(plain))}")


def _written(network: IPv4Network | IPv6Network) -> str:
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)
