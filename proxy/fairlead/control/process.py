"""One worker process as the supervisor sees it: started, spoken to, watched, started again when it dies.

Owns the process and its channel. Never decides what a worker is told: `Orders` does. Invariant: at most one process of
a number runs at a time, and each that ended was waited for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, final

from fairlead.control.channel import Channel, Message
from fairlead.model import Snapshot

_log = logging.getLogger("fairlead.supervisor")

_SETTLED_S: Final = 10.0  # a worker that lived this long is started again at once when it dies
_BACKOFF_S: Final = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)  # for those that die one after the other
_SILENT: Final = 30  # a worker that has said nothing for this many looks at it, one in a second, is stuck
# -P: what lies in the working directory must not be imported instead of the modules of those names.
_COMMAND: Final = (sys.executable, "-P", "-m", "fairlead.control.worker")


@final
@dataclass(slots=True)
class Handlers:
    """What the supervisor wants to hear of a worker."""

    on_start: Callable[[WorkerProcess], None]
    on_message: Callable[[WorkerProcess, Message], None]
    on_room: Callable[[WorkerProcess], None]  # all that was sent is with the kernel
    on_death: Callable[[WorkerProcess, str], None]  # how it ended


@final
class WorkerProcess:
    """The worker of one number, through all its lives. The command gets the channel's descriptor and the number."""

    def __init__(self, number: int, handlers: Handlers, command: Sequence[str] = _COMMAND) -> None:
        self.number = number
        self.sent = Snapshot()  # what it was told last
        self.pid = 0
        self.started = 0.0  # Unix time in seconds
        self.restarts = 0
        self.channel: Channel | None = None
        self._handlers = handlers
        self._command = command
        self._silent = 0  # how often it was looked at since it said something
        self._process: asyncio.subprocess.Process | None = None
        self._ending = asyncio.Event()

    @property
    def is_ending(self) -> bool:
        """Its next end is the last."""
        return self._ending.is_set()

    async def keep(self) -> None:
        """Run the process, again and again, until `end` was called and it has ended."""
        failures = 0
        while not self.is_ending:
            started = time.monotonic()
            how = await self._live()
            if self.is_ending:
                return
            failures = 0 if time.monotonic() - started > _SETTLED_S else failures + 1
            self.restarts += 1
            self._handlers.on_death(self, how)
            await self._rest(_BACKOFF_S[min(failures, len(_BACKOFF_S)) - 1] if failures else 0.0)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()

    async def _live(self) -> str:
        """One life; returns how it ended."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = await self._start(theirs.fileno())
            except OSError as error:  # no memory, no process ids: that passes, or somebody must see to it
                ours.close()
                return f"it cannot be started: {error.strerror or error}"
            except BaseException:
                ours.close()
                raise
        self._begin(process, ours)
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            self._finish()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    async def _start(self, fd: int) -> asyncio.subprocess.Process:
        # A session of its own: what a terminal sends (Ctrl-C) is for the supervisor, which drains.
        command = [*self._command, str(fd), str(self.number)]
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(*command, pass_fds=[fd], stdin=subprocess.DEVNULL, start_new_session=True)
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:  # the process may be there already, and nobody would wait for it
            process = await starting
            process.kill()
            await process.wait()
            raise

    def _begin(self, process: asyncio.subprocess.Process, ours: socket.socket) -> None:
        self._process = process
        self.pid = process.pid
        self.started = time.time()
        self.sent = Snapshot()
        self._silent = 0
        self.channel = Channel(asyncio.get_running_loop(), ours)
        self.channel.on_message = self._on_message
        self.channel.on_drained = self._on_room
        self.channel.open()
        self._handlers.on_start(self)

    def _finish(self) -> None:
        """Hear its last words: a worker reports what it has counted before it ends."""
        channel, self.channel = self.channel, None
        if channel is not None:
            channel.finish()

    def _on_message(self, message: Message, fd: int) -> None:
        if fd >= 0:
            os.close(fd)
        self._silent = 0
        self._handlers.on_message(self, message)

    def _on_room(self) -> None:
        self._handlers.on_room(self)

    def send(self, message: Message) -> None:
        """Send a small message, if there is anybody to read it."""
        if self.channel is not None:
            try:
                self.channel.send_message(message)
            except BufferError as error:
                _log.error("worker %d does not listen (%s) and is killed", self.number, error)
                self.kill()

    def end(self) -> None:
        """Its next end is the last; it was told to come to it."""
        self._ending.set()

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def kill_if_stuck(self) -> None:
        """To be called once a second. A worker that does not report hangs in a loop of a user's policy, or is stopped.

        Looks are counted and not seconds: if it is the supervisor that was stopped, all workers would seem silent.
        """
        if self.channel is None:
            return
        self._silent += 1
        if self._silent > _SILENT:
            _log.error("worker %d (pid %d) has said nothing for %d s and is killed", self.number, self.pid, _SILENT)
            self.kill()
