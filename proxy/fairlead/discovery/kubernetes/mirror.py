"""A local copy of the objects of one kind in one namespace, kept true by a list and then a watch from its version.

Owns one connection, whoever shares the copy, and the rules by which the copy stays good:

- What is there stands until a whole list has come: then the new is put in the place of the old in one step. A list that
  fails or ends in the middle changes nothing, and an API that is away for hours changes nothing.
- A watch ends by itself every few minutes and is resumed. One that breaks is resumed at once, and only what fails again
  is told as a problem, with how long ago the copy was last known to be true.
- 410, as a status or as an ERROR event, means that the history is gone: list again. So does every answer that a watch
  should not have, and a watch on which not even a bookmark came: its version may lie in a future that never comes, as
  after the restoration of a backup.
- Pauses double up to ten seconds and are random, so that a thousand proxies do not return in step. They stay below two
  while no answer comes at all: with the API the rollout goes on whose Pods have to be known.

Only what somebody asks for is listed, where a label says whom an object belongs to: a sidecar must not make the API
send it the slices of a thousand Services. Beyond `_MOST_NAMED` names the whole namespace is followed.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Final, Generic, Protocol, final

from fairlead.discovery.kubernetes.answers import (
    GONE,
    NONSENSE,
    TOO_MANY,
    TOO_SHORT,
    UNREACHED,
    ApiError,
    Silence,
    What,
    error_event,
)
from fairlead.discovery.kubernetes.kinds import ALL, Kind, T
from fairlead.discovery.kubernetes.objects import Json, Malformed

_log = logging.getLogger("fairlead.kubernetes")

_PAGE: Final = 250  # objects of a page: one of slices of 100 endpoints is then 8 MB of JSON at most
_MOST_NAMED: Final = 50  # names in a selector; more would make a URL that proxies in between refuse
_GATHER_S: Final = 0.02  # names that are asked for within this time are listed together
_WATCH_S: Final = (240.0, 480.0)  # how long a watch may last, at random
_SILENCE_S: Final = 95.0  # bookmarks come every 60 s
_STEADY_S: Final = 5.0  # a watch that has lasted this long was no failure
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
_LONGEST_UNREACHED_S: Final = 1.5  # while nobody is there: trying costs the API nothing, and a rollout goes on with it
_MOST_ODD: Final = 100  # errors that are remembered as told
_TRIES_TO_PAGE: Final = 2  # after this many expired continue tokens in a row all is asked for at once

Tell = Callable[[], None]
Query = dict[str, str | int]
Events = AbstractAsyncContextManager[AsyncGenerator[Json, None]]


class Asks(Protocol):
    """What is needed of api.py."""

    async def get(self, path: str, query: Query, what: What) -> Json: ...

    def watch(self, path: str, query: Query, what: What, silence_s: float) -> Events: ...


@final
class Mirror(Generic[T]):
    """`run` keeps it true; `follow` says what is asked for and who is told of changes."""

    def __init__(self, api: Asks, kind: Kind[T], namespace: str) -> None:
        self._api = api
        self._kind = kind
        self._what = What(kind.resource, kind.group, namespace)
        self._path = kind.path(namespace)
        self._followers: dict[str, list[Tell]] = {}
        self._listed: frozenset[str] | None = frozenset()  # the names that the copy holds; None is all
        self._version = ""
        self._scope: asyncio.Timeout | None = None
        self._is_followed = asyncio.Event()
        self._contact = 0.0  # when the API was last heard, on the monotonic clock
        self._failures = 0  # in a row
        self._was_gone = False
        self._concerned: dict[str, str] = {}  # by the name of an object whom it concerns
        self._odd: set[str] = set()  # objects that could not be read, each told once
        self.objects: dict[str, dict[str, T]] = {}  # by whom they concern, then by name
        self.is_listed = False
        self.problem = ""
        self.stale_since = 0.0  # on the monotonic clock; 0 while the copy is true

    def follow(self, name: str, tell: Tell) -> None:
        """Call `tell` after each change of what concerns `name`, or of the problem."""
        self._followers.setdefault(name, []).append(tell)
        self._is_followed.set()
        if not self._holds(name) and self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time() + _GATHER_S)

    def unfollow(self, name: str, tell: Tell) -> None:
        followers = self._followers[name]
        followers.remove(tell)
        if not followers:
            del self._followers[name]
        if not self._followers:
            self._is_followed.clear()
            if self._scope is not None:
                self._scope.reschedule(0)

    def is_known(self, name: str) -> bool:
        """Whether the copy can say anything of this name."""
        return self.is_listed and self._holds(name)

    def of(self, name: str) -> dict[str, T]:
        """The objects that concern a name, by their own names."""
        return self.objects.get(name, {})

    async def run(self) -> None:
        """Keep the copy true until cancelled; while nobody follows, there is none and nothing is asked."""
        pauses = retry_pauses()
        while True:
            if not self._followers:
                self._forget()
                await self._is_followed.wait()
                await asyncio.sleep(_GATHER_S)
            began = time.monotonic()
            pause = 0.0
            try:
                await self._go_on()
                pauses = retry_pauses()
            except (ApiError, Silence) as error:
                is_steady = time.monotonic() - began > _STEADY_S
                if is_steady:
                    self._failures = 0
                if not self._fail(error) or is_steady:
                    pauses = retry_pauses()
                pause = pause_after(error, pauses)
            except Exception as error:  # the root of the task: a bug must not end the following for good
                _log.exception("following %s in %s failed", self._what.resource, self._what.namespace)
                self._version = ""
                self._fail(ApiError(f"{type(error).__name__}: {error}"))
                pause = next(pauses)
            await asyncio.sleep(pause)

    def _forget(self) -> None:
        self.objects, self._concerned = {}, {}
        self._listed, self.is_listed, self._version = frozenset(), False, ""
        self.problem, self.stale_since, self._failures = "", 0.0, 0

    async def _go_on(self) -> None:
        """A list if one is needed, then one watch to its end."""
        try:
            async with asyncio.timeout(None) as self._scope:
                if not self._version or not all(map(self._holds, self._followers)):
                    self._version = await self._list()
                await self._watch()
        except TimeoutError:  # somebody asks for more than is listed, or nobody for anything
            self._version = ""
        finally:
            self._scope = None

    # The list.

    async def _list(self) -> str:
        """Put all that there is in the place of what was; gives its version."""
        names = self._wanted()
        for limit in (*[_PAGE] * _TRIES_TO_PAGE, 0):
            try:
                items, version = await self._pages(limit, names)
            except ApiError as error:
                if error.status != GONE or not limit:
                    raise
            else:
                break
        fresh = {name for name in self._followers if not self._holds(name)}
        self._listed = names
        self._swap(items, fresh)
        return version

    async def _pages(self, limit: int, names: frozenset[str] | None) -> tuple[list[Json], str]:
        query = self._selector(names)
        if limit:
            query["limit"] = limit
        items: list[Json] = []
        while True:
            page = await self._api.get(self._path, query, self._what)
            found, metadata = page.get("items") or [], page.get("metadata")
            version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
            if not isinstance(found, list) or not isinstance(metadata, dict) or not isinstance(version, str):
                raise ApiError(f"the Kubernetes API sends a list of {self._what.resource} that is none", NONSENSE)
            items += found
            rest = metadata.get("continue")
            if not rest:
                return items, version
            query["continue"] = rest

    def _wanted(self) -> frozenset[str] | None:
        names = frozenset(self._followers)
        return names if self._kind.label and len(names) <= _MOST_NAMED else None

    def _holds(self, name: str) -> bool:
        return self._listed is None or name in self._listed

    def _selector(self, names: frozenset[str] | None) -> Query:
        return {} if names is None else {"labelSelector": f"{self._kind.label} in ({','.join(sorted(names))})"}

    def _swap(self, items: list[Json], fresh: set[str]) -> None:
        """Take on a whole list; `fresh` are the names of which nothing was known before."""
        old, new = self.objects, dict[str, dict[str, T]]()
        for raw in items:
            read = self._read(raw)
            if read is not None:
                new.setdefault(self._kind.concerns(read), {})[self._kind.name(read)] = read
        self.objects = new
        self._concerned = {name: concerned for concerned, known in new.items() for name in known}
        changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        is_first, self.is_listed = not self.is_listed, True
        for name in list(self._followers):
            if is_first or name in changed or ALL in changed or name in fresh:
                self._tell(name)

    def _read(self, raw: Json) -> T | None:
        """An object; one that cannot be read stays as it was, if it was."""
        try:
            return self._kind.read(raw)
        except Malformed as error:
            if str(error) not in self._odd:
                if len(self._odd) >= _MOST_ODD:
                    self._odd.clear()
                self._odd.add(str(error))
                _log.error("%s in %s: %s; it is left as it was", self._what.resource, self._what.namespace, error)
            return self._known(raw)

    def _known(self, raw: Json) -> T | None:
        metadata = raw.get("metadata") if isinstance(raw, dict) else None
        name = metadata.get("name") if isinstance(metadata, dict) else None
        concerned = self._concerned.get(name) if isinstance(name, str) else None
        return None if concerned is None else self.objects[concerned].get(str(name))

    # The watch.

    async def _watch(self) -> None:
        limit_s = random.uniform(*_WATCH_S)
        query = self._selector(self._listed)
        query |= {"watch": 1, "allowWatchBookmarks": "true", "resourceVersion": self._version}
        query |= {"timeoutSeconds": round(limit_s)}
        began, has_come = time.monotonic(), False
        silence_s = min(_SILENCE_S, limit_s + _STEADY_S)
        async with self._api.watch(self._path, query, self._what, silence_s) as events, aclosing(events):
            self._contact = time.monotonic()
            self._recover()
            async for event in events:
                self._contact = time.monotonic()
                self._take(event)
                has_come = True
        self._contact = time.monotonic()
        if not has_come and self._contact - began < _STEADY_S:
            raise ApiError("the Kubernetes API ends every watch at once", TOO_SHORT)
        self._failures = 0
        if not has_come:
            self._version = ""

    def _take(self, event: Json) -> None:
        """One event. Raises ApiError."""
        raw = event.get("object")
        kind = event.get("type")
        if kind == "ERROR" or not isinstance(raw, dict):
            raise error_event(raw)
        metadata = raw.get("metadata")
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if kind in ("ADDED", "MODIFIED", "DELETED"):
            self._apply(raw, is_gone=kind == "DELETED")
        if isinstance(version, str):
            self._version = version
        self._failures = 0
        self._was_gone = False

    def _apply(self, raw: Json, is_gone: bool) -> None:
        read = self._read(raw)
        if read is None:
            return
        name, concerned = self._kind.name(read), self._kind.concerns(read)
        before = self._concerned.get(name)
        if before is not None and (is_gone or before != concerned):
            self._drop(before, name)
        if not is_gone and self.objects.get(concerned, {}).get(name) != read:
            self.objects.setdefault(concerned, {})[name] = read
            self._concerned[name] = concerned
            self._tell(concerned)

    def _drop(self, concerned: str, name: str) -> None:
        del self._concerned[name]
        known = self.objects[concerned]
        del known[name]
        if not known:
            del self.objects[concerned]
        self._tell(concerned)

    # What goes wrong.

    def _fail(self, error: ApiError | Silence) -> bool:
        """Note a failure, and say whether it is one: history that is gone is none, unless a list does not help."""
        status = error.status if isinstance(error, ApiError) else None
        if status not in (UNREACHED, TOO_MANY, TOO_SHORT):
            self._version = ""  # what a watch may not answer, and what is not heard, is listed
        if status == GONE and not self._was_gone:
            self._was_gone = True
            return False
        self._failures += 1
        if not self.stale_since:
            self.stale_since = self._contact if status is None else time.monotonic()
        text = str(error) if isinstance(error, ApiError) else "the Kubernetes API has gone silent"
        is_told = self._failures > 1 or not self.is_listed  # the first may be over with the next try
        if is_told and text != self.problem:
            self.problem = text
            self._tell_all()
        return True

    def _recover(self) -> None:
        """A watch has begun: from here on the copy is true."""
        was, self.problem, self.stale_since = self.problem, "", 0.0
        if was:
            self._tell_all()

    def _tell(self, name: str) -> None:
        for tell in self._followers.get(name, ()):
            tell()
        if name == ALL:
            self._tell_all()

    def _tell_all(self) -> None:
        for followers in list(self._followers.values()):
            for tell in followers:
                tell()


def pause_after(error: ApiError | Silence, pauses: Iterator[float]) -> float:
    """How long to wait after this failure; `pauses` are those of all in a row."""
    pause = next(pauses)
    if not isinstance(error, ApiError):
        return pause
    if error.status == UNREACHED:
        pause = min(pause, _LONGEST_UNREACHED_S * random.uniform(0.5, 1.0))
    return pause + error.retry_after_s


def retry_pauses() -> Iterator[float]:
    """How long to wait after each failure in a row."""
    pause = _FIRST_PAUSE_S
    while True:
        yield pause * random.uniform(0.5, 1.0)
        pause = min(pause * 2, _LONGEST_PAUSE_S)
