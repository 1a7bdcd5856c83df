"""The listening sockets: opened once by the supervisor, handed down to the workers, outliving each of them.

Each worker has its own socket for each TCP address (SO_REUSEPORT), so that the kernel spreads connections over the
queues; a Unix socket has one queue that all share. Because the supervisor keeps them open, what is queued when a
worker dies waits for its successor. Options are set here: accepted connections inherit them (socket(7), tcp(7)), which
saves two system calls for each.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from fairlead.errors import ConfigError

_UNIX: Final = "unix:"
_SOMAXCONN: Final = Path("/proc/sys/net/core/somaxconn")
# A client that reads nothing would else be given 2.8 MB of the kernel's memory and more, and when five hundred of them
# do so, every socket of the machine is short of it. What is on its way to a client that reads is not limited by this.
_UNSENT: Final = 262_144
_REASONS: Final[Mapping[int, str]] = {
    errno.EADDRINUSE: "the address is in use by another process; stop it or choose another",
    errno.EACCES: "not allowed; a port below 1024 needs CAP_NET_BIND_SERVICE, a Unix socket a writable directory",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EAFNOSUPPORT: "this machine does not speak that address family",
}


class Sockets:
    """The listening sockets of all workers, by the address that they are bound to."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._open: dict[str, list[socket.socket]] = {}

    def open(self, binds: Mapping[str, str]) -> None:
        """Open what is not open yet. `binds` is listener name -> bind.

        Raises ConfigError with every address that cannot be had; then nothing has changed.
        """
        fresh: dict[str, list[socket.socket]] = {}
        problems = []
        for name, bind in binds.items():
            key = _key(name, bind)
            if key in self._open or key in fresh:
                continue
            try:
                fresh[key] = open_listening(bind, self._workers, probe=not _overlaps(bind, [*self._open, *fresh]))
            except OSError as error:
                problems.append(f"listener {name}: {bind}: {explain(error)}")
        if problems:
            for key, sockets in fresh.items():
                _close_all(sockets)
                _unlink(key)
            raise ConfigError(problems)
        self._open.update(fresh)

    def keep(self, binds: Mapping[str, str]) -> None:
        """Close all but these."""
        for key in self._open.keys() - {_key(name, bind) for name, bind in binds.items()}:
            _close_all(self._open.pop(key))
            _unlink(key)

    def fd(self, name: str, bind: str, worker: int) -> int:
        """The descriptor of a worker's socket; the socket stays ours."""
        sockets = self._open[_key(name, bind)]
        return sockets[worker % len(sockets)].fileno()

    def address(self, name: str, bind: str) -> str:
        """What `bind` really is: a port of 0 has become one."""
        sockets = self._open.get(_key(name, bind))
        return _text(sockets[0].getsockname()) if sockets and not bind.startswith(_UNIX) else bind


def _key(name: str, bind: str) -> str:
    """A listener that is renamed keeps its socket; one on any free port (0) has its own."""
    return f"{name}@{bind}" if bind.endswith(":0") and not bind.startswith(_UNIX) else bind


def _overlaps(bind: str, keys: Iterable[str]) -> bool:
    """Whether our own sockets have the same port on another address, as when 127.0.0.1 becomes 0.0.0.0."""
    port = bind.rpartition(":")[2]
    return any(key.rpartition(":")[2] == port for key in keys)


def open_listening(bind: str, count: int, probe: bool = True) -> list[socket.socket]:
    """`count` listening, non-blocking sockets on one TCP address, or the only one on a Unix address.

    With `probe` an address that any other process listens on is refused, even one that would share it. Raises OSError.
    """
    if bind.startswith(_UNIX):
        return [_open_unix(bind.removeprefix(_UNIX))]
    family, address = _parse(bind)
    if probe and address[1]:
        _open_tcp(family, address, share=False).close()
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            sockets.append(_open_tcp(family, address, share=True))
            address = sockets[0].getsockname()[:2]
            sockets[-1].listen(backlog())
    except OSError:
        _close_all(sockets)
        raise
    return sockets


def explain(error: OSError) -> str:
    """Why an address cannot be had, and what to do."""
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def backlog() -> int:
    """As many waiting connections as the kernel allows: a burst waits instead of being refused."""
    try:
        return int(_SOMAXCONN.read_text())
    except (OSError, ValueError):
        return socket.SOMAXCONN


def _parse(bind: str) -> tuple[socket.AddressFamily, tuple[str, int]]:
    host, _, port = bind.rpartition(":")
    if host.startswith("["):
        return socket.AF_INET6, (host.strip("[]"), int(port))
    return socket.AF_INET, (host or "0.0.0.0", int(port))


def _open_tcp(family: socket.AddressFamily, address: tuple[str, int], share: bool) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:  # what is written is what is bound; and no client is ever ::ffff:192.0.2.1
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return opened


def _open_unix(path: str) -> socket.socket:
    _remove_stale(path)
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        opened.bind(path)
        opened.listen(backlog())
    except OSError:
        opened.close()
        raise
    return opened


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on: a process that was killed leaves its own behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            if Path(path).is_socket():
                os.unlink(path)
        except OSError:
            pass  # absent, or one that binding will complain about


def _unlink(bind: str) -> None:
    if bind.startswith(_UNIX):
        with suppress(OSError):
            os.unlink(bind.removeprefix(_UNIX))


def _text(name: tuple[str, int]) -> str:
    return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"


def _close_all(sockets: list[socket.socket]) -> None:
    for opened in sockets:
        opened.close()
