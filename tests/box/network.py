"""Addresses for pods: a network namespace for each, or, where there are none, an address of the loopback network.

A box is entered by being run anew under unshare(1) in a network, process and mount namespace of its own. Whatever
becomes of the run, the kernel ends every process in there with the first, and the interfaces with the last: nothing
has a name outside, so nothing can be left over or in the way of another run. A pod's namespace is held, as in
Kubernetes, by a process that does nothing but pause.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
from collections.abc import Sequence
from itertools import count
from typing import Final, Protocol, final

NODE: Final = "10.231.0.1"  # a real API server refuses loopback addresses in slices
_FIRST: Final = 10  # pods are numbered from here
_ENTER: Final = ("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_AS_ROOT: Final = ("--user", "--map-root-user")
_PAUSE: Final = "ip link set lo up && echo ready && exec sleep infinity"


class Sandbox(Protocol):
    """Where a pod's processes run. `bind` and `port` are what they listen on; port 0 is any."""

    address: str
    bind: str
    port: int

    def command(self, *words: str) -> list[str]:
        """The command, to be run in there."""

    async def remove(self) -> None:
        """From now on nobody is at the address."""


class Network(Protocol):
    """`node` is the address at which the suite itself is reached by pods."""

    node: str

    async def sandbox(self) -> Sandbox: ...


def entering(command: Sequence[str]) -> list[str]:
    """The command that runs another in a box. Raises OSError that says what is missing."""
    prefix = [*_ENTER, *(() if os.geteuid() == 0 else _AS_ROOT)]
    try:
        tried = subprocess.run([*prefix, "ip", "link", "set", "lo", "up"], capture_output=True, text=True, timeout=20)
    except FileNotFoundError:
        raise OSError("there is no unshare(1): it is in util-linux") from None
    if tried.returncode:
        who = "root" if os.geteuid() == 0 else "this user"
        raise OSError(f"{who} may not make network namespaces here ({tried.stderr.strip()}); run it as root on a Linux")
    return [*prefix, *command]


@final
class Namespace:
    """The sandbox of a pod behind a bridge."""

    bind = "0.0.0.0"
    port = 8080

    def __init__(self, address: str, link: str, pause: asyncio.subprocess.Process) -> None:
        self.address = address
        self._link = link
        self._pause = pause

    def command(self, *words: str) -> list[str]:
        return [*_inside(self._pause.pid), *words]

    async def ip(self, *lines: str) -> None:
        """More of its interfaces and routes."""
        await _ip(*lines, within=_inside(self._pause.pid))

    async def remove(self) -> None:
        await _ip(f"link del {self._link}")
        self._pause.kill()
        await self._pause.wait()


@final
class Bridge:
    """Namespaces behind a bridge. Only inside a box: `open` makes the bridge, and nothing has to be closed."""

    node = NODE

    def __init__(self) -> None:
        self._numbers = count(_FIRST)

    async def open(self) -> None:
        await _ip("link set lo up", "link add box type bridge", f"addr add {NODE}/16 dev box", "link set box up")

    async def sandbox(self) -> Namespace:
        number = next(self._numbers)
        address, link = f"10.231.{number >> 8}.{number & 255}", f"pod{number}"
        pause = await asyncio.create_subprocess_exec(
            "unshare", "--net", "sh", "-c", _PAUSE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert pause.stdout is not None
        if await pause.stdout.readline() != b"ready\n":
            raise OSError("a pod's network namespace could not be made")
        await _ip(f"link add {link} type veth peer name eth0 netns {pause.pid}", f"link set {link} master box up")
        sandbox = Namespace(address, link, pause)
        await sandbox.ip(f"addr add {address}/16 dev eth0", "link set eth0 up")
        return sandbox


@final
class _Address:
    """A sandbox that is only an address. Nobody else listens there: it is one of 16 million, and of a random part."""

    port = 0

    def __init__(self, address: str) -> None:
        self.address = self.bind = address

    def command(self, *words: str) -> list[str]:
        return list(words)

    async def remove(self) -> None:
        """What has listened there has ended, and others are not given the address."""


@final
class Loopback:
    """Addresses of 127.0.0.0/8, which need no rights. A pod that is gone refuses connections; none is left hanging."""

    node = "127.0.0.1"

    def __init__(self) -> None:
        self._part = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}"
        self._numbers = count(1)

    async def sandbox(self) -> _Address:
        return _Address(f"{self._part}.{next(self._numbers)}")


def _inside(pid: int) -> tuple[str, ...]:
    return ("nsenter", f"--net=/proc/{pid}/ns/net", "--")


async def _ip(*lines: str, within: tuple[str, ...] = ()) -> None:
    process = await asyncio.create_subprocess_exec(
        *within, "ip", "-batch", "-", stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    _, said = await process.communicate("\n".join(lines).encode() + b"\n")
    if process.returncode:
        raise OSError(f"ip: {said.decode().strip()}")
