"""The processes that are started: where they run, what they cost, and that they end.

Owns every child of the comparison. Each has a session of its own, so a Ctrl-C at the terminal reaches only the
program itself, which then ends its children one by one; the kernel ends them should it be killed. Never signals what
it did not start. Invariant: when the `with` of a process is left, neither it nor a descendant of it is alive.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import final

HOST = "127.0.0.1"
_STOP_S = 10.0


class CompareError(Exception):
    """Something went wrong with a measurement. The text says what, to a person."""


@final
class Child:
    """A started process with all its descendants."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def last_words(self) -> str:
        """The end of what it wrote, for a message."""
        text = self._log.read_text(errors="replace").strip()
        return text[-600:] or "it wrote nothing"

    def cpu_ns(self) -> int:
        """Processor time of the tree so far, user and system, in the scheduler's own nanoseconds.

        /proc/PID/stat has the same sum in ticks of 10 ms. Read for each thread: a process's own file is that of its
        first thread, and Envoy works in another.
        """
        total = 0
        for pid in tree(self.pid):
            for task in Path(f"/proc/{pid}/task").glob("*"):
                with suppress(OSError):
                    total += int((task / "schedstat").read_text().split()[0])
        return total

    def pss_bytes(self, kinds: Collection[str] = ("Pss",)) -> int:
        """Proportional set size of the tree: a page that several processes map is divided among them.

        "Pss" is all of it; "Pss_Anon" and "Pss_Shmem" are what the processes have allocated. The rest is files, mostly
        code, and its share changes whenever anybody on the machine starts or ends a program with the same libraries.
        """
        total = 0
        for pid in tree(self.pid):
            with suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    name, _, value = line.partition(":")
                    if name in kinds:
                        total += int(value.split()[0]) * 1024
        return total

    def stop(self) -> None:
        """End the whole tree at once: a measured process has nothing to save, and draining would take its time."""
        descendants = {pid: _identity(pid) for pid in tree(self.pid)}
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(_STOP_S)
        for pid, identity in descendants.items():  # those that have made a session of their own
            if identity is not None and _identity(pid) == identity:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@contextmanager
def started(command: Sequence[str], core: int, log: Path, env: Mapping[str, str] | None = None) -> Iterator[Child]:
    """Run `command` on one core until the block ends. What it writes goes to the file `log`."""
    words = ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", str(core), *command]
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, env=env
        )
    child = Child(process, log)
    try:
        yield child
    finally:
        child.stop()


def tree(pid: int) -> list[int]:
    """The process and all its descendants that live."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(path.name))
        if fields is not None:
            parents.setdefault(int(fields[1]), []).append(int(path.name))
    found = [pid]
    for known in found:  # grows while it is walked
        found.extend(parents.get(known, ()))
    return found


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, which may hold spaces and brackets: state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _identity(pid: int) -> str | None:
    """When the process was started: a number that is used again by another differs in this."""
    fields = _stat(pid)
    return None if fields is None or fields[0] == "Z" else fields[19]


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses, below the range that the kernel gives to outgoing connections.

    A port from that range could be taken by any of the thousands of connections of the run before it is listened on.
    """
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    candidates = random.sample(range(10000, max(low, 11000)), 900)
    ports: list[int] = []
    for port in candidates:
        if len(ports) == count:
            break
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            ports.append(port)
    if len(ports) < count:
        raise CompareError("there are no free ports between 10000 and the range for outgoing connections")
    return ports


def raise_descriptor_limit() -> int:
    """The soft limit becomes the hard one, here and in everything that is started. Returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
