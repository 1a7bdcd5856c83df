"""Who the client is when a trusted proxy sends its requests: what it says is judged here, and what is sent on of it.

Owns the networks whose word counts (`Trust`), the reading of X-Forwarded-For, and the fields that say it all to the
endpoint. Never decides on a route: that is what Host is for. Invariants: of what is read here only an IP address ever
becomes the client's; X-Forwarded-For, -Proto, -Host and X-Request-Id are sent on once each at most, and -Proto, -Host
and X-Request-Id hold one value of a narrow alphabet. Costs those who are not trusted nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

import cython

if cython.compiled:
    from cython.cimports.fairlead.wire.fields import decimal, is_host
    from cython.cimports.fairlead.wire.http1 import RequestHead
else:
    from fairlead.wire.fields import decimal, is_host
    from fairlead.wire.http1 import RequestHead

UNIX = b"unix"  # stands for the address of a peer on a Unix socket
_V4_MAPPED = bytes(10) + b"\xff\xff"
_ALNUM = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SCHEME = _ALNUM + b"+-."  # RFC 3986 3.1
_ID = _ALNUM + b"-._~:/+=@"  # nothing that means something to a log, a shell, a query or a page, and no comma
_BETWEEN = b", \t"  # what a list may begin and end with and mean nothing by it (RFC 9110 5.6.1)
_MAX_SCHEME = 16
_MAX_ID = 128
_MAX_ADDRESS = 64  # bytes of an address with its brackets and its port; it takes 53
_REMEMBERED = 4096  # addresses that were read; more than a proxy has clients at a time is forgotten


class Trust:
    """The `trusted_proxies` of a listener: networks in their canonical form, addresses, and "unix"."""

    def __init__(self, proxies: Sequence[str]) -> None:
        networks = [ip_network(text) for text in proxies if text != "unix"]
        self._networks: list[tuple[int, int, int]] = [
            (net.max_prefixlen // 8, int(net.network_address), int(net.netmask)) for net in networks
        ]
        self._has_unix = "unix" in proxies
        self._seen: dict[bytes, tuple[bytes, bool] | None] = {}

    def holds(self, peer: bytes) -> bool:
        """Whether a peer is trusted: an address, or UNIX."""
        if peer == UNIX:
            return self._has_unix
        found = self._look_up(peer)
        return found is not None and found[1]

    def client(self, forwarded_for: bytes | None, peer: bytes) -> bytes:
        """The client's address: the rightmost in X-Forwarded-For that is not trusted itself, else the leftmost.

        Each proxy has appended whom it saw. What stands to the left of the first that is not trusted is that client's
        own word; what stands to the left of anything that is no address was said by somebody who is not known. This is
        real_ip_recursive of nginx: a client within the trusted networks is one, too.
        """
        client = peer
        if forwarded_for is None:
            return client
        forwarded_for = forwarded_for.strip(_BETWEEN)
        end = len(forwarded_for)
        while end >= 0:
            start = forwarded_for.rfind(b",", 0, end) + 1
            found = self._look_up(forwarded_for[start:end].strip(b" \t"))
            if found is None:
                break
            client, is_trusted = found
            if not is_trusted:
                break
            end = start - 1
        return client

    def _look_up(self, text: bytes) -> tuple[bytes, bool] | None:
        """The address in its canonical form and whether it is trusted; None when it is no address. Remembered."""
        if len(text) > _MAX_ADDRESS:
            return None
        if text in self._seen:
            return self._seen[text]
        packed = _packed(text)
        found = None if packed is None else (_text(packed), self._covers(packed))
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[text] = found
        return found

    def _covers(self, packed: bytes) -> bool:
        number = int.from_bytes(packed, "big")
        size = len(packed)
        return any(width == size and number & mask == network for width, network, mask in self._networks)


def forwarded_fields(head: RequestHead, peer: bytes, proto: bytes) -> bytes:
    """The lines that say who the client is, of what the trusted `peer` says and of what is seen here.

    `proto` is what the peer itself speaks.
    """
    return b"".join(
        [
            _forwarded_for(head.forwarded_for, peer),
            b"X-Forwarded-Proto: ",
            _scheme(head.forwarded_proto) or proto,
            b"\r\nX-Forwarded-Host: ",
            _host(head.forwarded_host) or head.host,
            b"\r\n",
        ]
    )


def request_id_of(claimed: bytes | None) -> bytes:
    """The request id of a trusted proxy; b"" when there is none, or one that nobody should have to handle."""
    if claimed is None or len(claimed) > _MAX_ID or claimed.strip(_ID):
        return b""
    return claimed


def _forwarded_for(claimed: bytes | None, peer: bytes) -> bytes:
    """X-Forwarded-For with the peer appended; a Unix socket has no address to append."""
    before = b"" if claimed is None else claimed.strip(_BETWEEN)
    if peer == UNIX:
        return b"X-Forwarded-For: " + before + b"\r\n" if before else b""
    return b"X-Forwarded-For: " + (before + b", " + peer if before else peer) + b"\r\n"


def _scheme(claimed: bytes | None) -> bytes:
    value = _single(claimed)
    return b"" if len(value) > _MAX_SCHEME or value.strip(_SCHEME) else value


def _host(claimed: bytes | None) -> bytes:
    value = _single(claimed)
    return value if is_host(value) else b""


def _single(claimed: bytes | None) -> bytes:
    """What a field says that has one value; b"" for nothing, and for different things: which one would be read?"""
    if claimed is None or b"," not in claimed:
        return claimed or b""
    values = [value.strip(b" \t") for value in claimed.split(b",")]
    first = values[0].lower()
    for value in values:
        if value.lower() != first:
            return b""
    return values[0]


def _packed(text: bytes) -> bytes | None:
    """The 4 or 16 bytes of an address: IPv4, IPv6 with or without brackets, a port behind IPv4 and behind brackets.

    None for anything else, such as `unknown`, identifiers that hide an address (RFC 7239 6.3) and zones.
    """
    address = text
    if text.startswith(b"["):
        address, bracket, port = text[1:].partition(b"]")
        if not bracket or b":" not in address or (port and not _is_port(port)):
            return None
    elif text.count(b":") == 1:
        address, _, port = text.partition(b":")
        if b"." not in address or not _is_port(b":" + port):
            return None
    return _read(address)


def _is_port(text: bytes) -> bool:
    return text.startswith(b":") and 0 <= decimal(text, 1, len(text), 5) <= 65535


def _read(address: bytes) -> bytes | None:
    if not address.isascii() or b"\0" in address:
        return None
    try:
        packed = inet_pton(AF_INET6 if b":" in address else AF_INET, address.decode())
    except OSError:
        return None
    return packed[12:] if packed.startswith(_V4_MAPPED) else packed


def _text(packed: bytes) -> bytes:
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed).encode()
