"""The text form of addresses, checked and made canonical: of endpoints, and of what a listener binds.

Never resolves a name and needs no compiled code, so that a configuration can be checked anywhere. Invariant: two texts
that mean the same address become equal, because live state is kept by that text.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final, final

_UNIX: Final = "unix:"
_MAX_UNIX_BYTES: Final = 107  # sun_path holds 108, and its last byte stays NUL


@final
class IsName(ValueError):
    """It would have to be resolved; `name` is NAME:PORT."""

    def __init__(self, problem: str, name: str) -> None:
        super().__init__(problem)
        self.name = name


def endpoint_address(text: str, base_dir: Path) -> str:
    """The canonical form of "10.0.0.1:80", "[2001:db8::1]:80" or "unix:PATH".

    Raises IsName for a name, and else ValueError saying what is wrong.
    """
    if text.startswith(_UNIX):
        return _unix_address(text, base_dir)
    if ":" not in text and not _is_address(text):
        raise IsName(f"{text!r} is a name without a port", f"{text}:80")
    host, number = _split(text)
    if not _is_address(host):
        raise IsName(f"{text!r} is a name and not an address", text)
    return f"{_canonical_host(host)}:{port(number)}"


def bind_address(text: str, base_dir: Path) -> str:
    """The canonical form of "10.0.0.1:80", ":80", "[::]:80" or "unix:PATH"; port 0 lets the kernel choose."""
    if text.startswith(_UNIX):
        return _unix_address(text, base_dir)
    if text.isdecimal():
        raise ValueError(f"{text!r} is only a port; write ':{text}' for every IPv4 address of this machine")
    host, number = _split(text)
    if host == "*":
        raise ValueError(f"{text!r} does not say which family; write ':{number}' for IPv4 or '[::]:{number}' for IPv6")
    if host and not _is_address(host):
        raise ValueError(f"{text!r} does not start with an IP address; write 127.0.0.1:{number} or :{number}")
    return f"{_canonical_host(host or '0.0.0.0')}:{port(number, lowest=0)}"


def host_port(text: str) -> tuple[str, int]:
    """The two parts of "NAME:PORT". Raises ValueError saying what is wrong."""
    host, number = _split(text)
    return host, port(number)


def port(text: str, lowest: int = 1) -> int:
    """A port number. Raises ValueError saying what is wrong."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and lowest <= int(text) <= 65535):
        raise ValueError(f"the port {text!r} is not a number from {lowest} to 65535")
    return int(text)


def _split(text: str) -> tuple[str, str]:
    host, colon, number = text.rpartition(":")
    if not colon or host.startswith("[") != host.endswith("]") or _is_ip(text):
        raise ValueError(f"{text!r} has no port; write {_bracketed(text)}:80 for port 80")
    if "://" in text:
        raise ValueError(f"{text!r} is no address; write IP:PORT or unix:/PATH")
    if ":" in host and not host.startswith("["):
        raise ValueError(f"{text!r} has an IPv6 address without brackets; write [{host}]:{number}")
    return host, number


def _bracketed(text: str) -> str:
    return f"[{text}]" if ":" in text and not text.startswith("[") else text or "127.0.0.1"


def _is_address(host: str) -> bool:
    """Whether it is meant as an address. Names do not end in a number (RFC 1123 2.1, RFC 3696 2)."""
    return host.startswith("[") or not host or host.rpartition(".")[2].isdecimal()


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _canonical_host(host: str) -> str:
    try:
        if not host.startswith("["):
            return str(IPv4Address(host))
        address = IPv6Address(host[1:-1])
    except ValueError as error:
        raise ValueError(f"{host!r} is not an IP address: {error}") from None
    if address.scope_id is not None:
        raise ValueError(f"{host!r} has a zone, which is not supported; use a global or unique local address")
    return f"[{address}]"


def _unix_address(text: str, base_dir: Path) -> str:
    path = text.removeprefix(_UNIX)
    if not path or not path.isprintable():
        raise ValueError(f"{text!r} names no file; write unix:/run/app.sock")
    whole = str((base_dir / path).absolute())
    if len(whole.encode()) > _MAX_UNIX_BYTES:
        raise ValueError(f"the path {whole} is longer than the {_MAX_UNIX_BYTES} bytes that a Unix socket's may have")
    return f"{_UNIX}{whole}"
