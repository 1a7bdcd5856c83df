"""The upstream of every measurement: two ports that answer from memory, in one process on the generator's core.

Owns the replies and their paths. The server itself is canned.pyx, compiled at first use. Run as a module it serves on
the ports that it is given until it is killed.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from loadtests.compare.processes import HOST, CompareError

_SOURCE = Path(__file__).with_name("canned.pyx")
_PATTERN = b"0123456789abcdefghijklmnopqrstuvwxyz"  # a byte that is lost or doubled shifts all that follows


@final
@dataclass(frozen=True, slots=True)
class Reply:
    """What the upstream answers to `path`; the first letter of the path tells replies apart."""

    path: str
    size: int
    is_last: bool = False  # the upstream closes the connection after it

    @property
    def body(self) -> bytes:
        return (_PATTERN * (self.size // len(_PATTERN) + 1))[: self.size]

    @property
    def message(self) -> bytes:
        closing = "Connection: close\r\n" if self.is_last else ""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {self.size}\r\n{closing}\r\n"
        return head.encode() + self.body


SMALL: Final = Reply("/small", 100)
PAGE: Final = Reply("/page", 1024)
LARGE: Final = Reply("/large", 1 << 20)
CLOSING: Final = Reply("/closing", 100, is_last=True)
REPLIES: Final = (SMALL, PAGE, LARGE, CLOSING)


def loopback(number: int, port: int) -> str:
    """One of the 16 million addresses of loopback: 127.1.0.1, 127.1.0.2, ... An upstream everywhere answers on each."""
    return f"127.{1 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}:{port}"


def compile_server() -> None:
    """Build canned.pyx beside itself unless that was done since it last changed."""
    built = _SOURCE.with_suffix(sysconfig.get_config_var("EXT_SUFFIX"))
    if built.exists() and built.stat().st_mtime >= _SOURCE.stat().st_mtime:
        return
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise CompareError("the upstream is compiled and there is no C compiler: apt-get install -y gcc python3-dev")
    source = str(_SOURCE.with_suffix(".c"))
    # Not by setuptools: it reads the pyproject.toml of the folder above and would build into the proxy's package.
    _run(sys.executable, "-m", "cython", "-3", str(_SOURCE), "-o", source)
    include = f"-I{sysconfig.get_path('include')}"
    _run(compiler, "-O2", "-w", "-shared", "-fPIC", include, source, "-o", str(built))


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise CompareError(f"the upstream cannot be compiled:\n{done.stdout[-1500:]}")


def command(ports: Sequence[int], is_everywhere: bool = False) -> list[str]:
    """How the upstream is started. With `is_everywhere` it answers on all of 127.0.0.0/8."""
    everywhere = ["--everywhere"] if is_everywhere else []
    return [sys.executable, "-m", "loadtests.compare.upstream", *everywhere, *map(str, ports)]


def _listen(port: int, is_everywhere: bool) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_everywhere:  # no address but loopback's, although no single one is bound
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    listener.bind(("" if is_everywhere else HOST, port))
    listener.listen(4096)
    listener.setblocking(False)
    return listener


def main() -> None:
    from loadtests.compare import canned  # only here: the tests of this file need no compiler

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ports", nargs="+", type=int)
    parser.add_argument("--everywhere", action="store_true")
    options = parser.parse_args()
    listeners = [_listen(port, options.everywhere) for port in options.ports]
    canned.serve([listener.fileno() for listener in listeners], {r.path[1]: (r.message, r.is_last) for r in REPLIES})


if __name__ == "__main__":
    main()
