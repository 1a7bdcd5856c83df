"""When a file may have become another: inotify on the directories whose entries decide what its path names.

A file is seldom changed in place: editors and atomic writers rename a new one over it, and Kubernetes swaps a symbolic
link one directory up. So the directories are watched: the file's own, that of each symbolic link on the way, and of
what does not exist yet the nearest that does. Never reads the file. The waiting is done by a thread for each file,
because the library that hides inotify can only block; it ends with the watch, or with the process's main thread.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, final

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

# Changes that follow each other this closely are one; also how soon a closed watch ends. The thread wakes this often,
# which costs a worker on the same core: at 50 ms the p99 of 5,000 requests/s showed it.
_STEP_MS: Final = 200
_DEBOUNCE_MS: Final = 500  # but a file that is written all the time is looked at this often
_POLL_MS = 1000  # when the kernel gives no more inotify instances (128 for a user by default); sees whole seconds
_MAX_LINKS: Final = 40  # as many as the kernel follows


async def changes(path: Path) -> AsyncGenerator[None, None]:
    """Once when the watching has begun, so that a first look misses nothing, and again after each possible change."""
    while True:
        directories = _directories(path)
        watcher = _open(list(directories))
        if watcher is None:
            await asyncio.sleep(_POLL_MS / 1000)
            continue
        async with _followed(watcher) as changed:
            while _directories(path) == directories:  # else these are not the ones to watch any more
                yield
                await changed.wait()
                changed.clear()


def _directories(path: Path) -> dict[str, tuple[int, int]]:
    """The directories to watch and their identities, which tell one from another that has taken its place."""
    directories: dict[str, tuple[int, int]] = {}
    for directory in _deciding(path):
        with suppress(OSError):
            status = os.stat(directory)
            directories[str(directory)] = (status.st_dev, status.st_ino)
    return directories


def _deciding(path: Path) -> list[Path]:
    current = Path("/")
    rest = list(path.absolute().parts[1:])
    found: list[Path] = []
    links = 0
    while rest:
        entry = current / rest.pop(0)
        target = _target(entry)
        if target is not None and links < _MAX_LINKS:
            links += 1
            found.append(current)
            current, rest = Path("/"), [*(current / target).parts[1:], *rest]
        elif not rest or not entry.is_dir():
            return [*found, current]
        else:
            current = Path(os.path.normpath(entry))  # ".." after a link's target is the real parent: no link is left
    return [*found, current]


def _target(entry: Path) -> str | None:
    try:
        return os.readlink(entry)
    except OSError:
        return None


@final
class _Stop:
    """Ends the watching thread: when told to, and when the process ends without having told it."""

    def __init__(self) -> None:
        self.told = False

    def is_set(self) -> bool:
        return self.told or not threading.main_thread().is_alive()


def _open(directories: list[str]) -> RustNotify | None:
    """Watches by inotify, or else by polling; None when a directory has vanished in between."""
    for polling in (False, True):
        with suppress(OSError, WatchfilesRustInternalError):
            return RustNotify(directories, False, polling, _POLL_MS, False, True)
    return None


@asynccontextmanager
async def _followed(watcher: RustNotify) -> AsyncIterator[asyncio.Event]:
    """An event that is set by each change. Leaving waits for the thread, for at most a step."""
    loop = asyncio.get_running_loop()
    changed, ended, stop = asyncio.Event(), asyncio.Event(), _Stop()

    def tell(event: asyncio.Event) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            loop.call_soon_threadsafe(event.set)

    def follow() -> None:
        try:
            with watcher:
                while isinstance(watcher.watch(_DEBOUNCE_MS, _STEP_MS, 0, stop), set):
                    tell(changed)
        finally:
            tell(ended)

    threading.Thread(target=follow, name="file changes").start()
    try:
        yield changed
    finally:
        stop.told = True
        await ended.wait()
