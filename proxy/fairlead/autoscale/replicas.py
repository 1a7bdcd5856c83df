"""The other replicas of Fairlead: found by a source of endpoints, asked when somebody wants figures, and remembered.

Owns the connections to them and what each said last. Invariants: the answer is of all replicas, or there is none: what
some of them saw looks like less traffic, and an autoscaler would act on it. One that is not ready any more need not
answer; one that does not answer counts with its last word for the length of a window.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Final, Protocol, final

import aiohttp

from fairlead.autoscale import failures, peers
from fairlead.autoscale.peers import Together, Told, View
from fairlead.discovery import Found, Source
from fairlead.model import State

_LOG: Final = logging.getLogger("fairlead.autoscale")
_FRESH_S: Final = 2.0  # what was heard this recently is not asked for again
_LIMIT: Final = aiohttp.ClientTimeout(total=2.0)  # an autoscaler waits, and with it all its others


class Views(Protocol):
    """Raises failures.Failure when not all that should be seen can be."""

    async def view(self, with_endpoints: bool) -> View:
        """What there is to see now."""


@final
class Alone:
    """There are no other replicas."""

    def __init__(self, own: View) -> None:
        self._own = own

    async def view(self, with_endpoints: bool) -> View:
        return self._own


@final
class Replicas:
    """This replica among the others that `source` finds, itself among them. `length_s` is that of a window."""

    def __init__(self, own: View, source: Source, key: bytes, length_s: float) -> None:
        self.name = secrets.token_hex(8)
        self._own = own
        self._source = source
        self._key = key
        self._length_s = length_s
        self._found: Found | None = None
        self._myself: set[str] = set()
        self._heard: dict[tuple[str, bool], tuple[float, Told]] = {}
        self._problems: dict[str, str] = {}
        self._session: aiohttp.ClientSession | None = None
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Follow the source until cancelled."""
        try:
            async with aclosing(self._source.watch()) as changes:
                async for found in changes:
                    self._take(found)
        finally:
            session, self._session = self._session, None
            if session is not None:
                await session.close()

    def answer(self, target: str, header: str, services: Mapping[str, float]) -> tuple[bytes, str] | None:
        """What to tell a peer and its signature, or None for who has not the key."""
        now = time.time()
        nonce = peers.asked(self._key, target, header, now)
        if nonce is None:
            return None
        body = peers.tell(self.name, self._own, services, now, target == peers.WITH_ENDPOINTS)
        return body, peers.answer(self._key, nonce, body)

    @property
    def count(self) -> int:
        """How many share the traffic, as far as is known."""
        found = self._found.endpoints if self._found else ()
        return max(sum(each.state is State.READY for each in found), 1)

    async def view(self, with_endpoints: bool) -> View:
        if self._found is None or (self._found.problem and not self._found.endpoints):
            problem = self._found.problem if self._found else "nothing was heard of them yet"
            raise failures.unavailable(f"the other replicas are not known: {self._source.text}: {problem}")
        ready = {each.address: each.state is State.READY for each in self._found.endpoints}
        async with self._lock:  # whoever else asks meanwhile gets the same answers
            others = [address for address in ready if address not in self._myself]
            await asyncio.gather(*(self._refresh(address, with_endpoints) for address in others))
        told, silent = [], []
        for address in others:
            heard = self._heard.get((address, with_endpoints))
            if heard is not None and time.monotonic() - heard[0] <= self._length_s:
                told.append(heard[1])
            elif ready[address] and address not in self._myself:
                silent.append(address)
        if silent:
            raise failures.unavailable(
                f"only {len(ready) - len(silent)} of {len(ready)} replicas were heard; "
                f"{silent[0]}: {self._problems.get(silent[0], 'silence')}"
            )
        return Together(self._own, told)

    def _take(self, found: Found) -> None:
        self._found = found
        there = {each.address for each in found.endpoints}
        self._myself &= there
        self._heard = {key: heard for key, heard in self._heard.items() if key[0] in there}
        self._problems = {address: problem for address, problem in self._problems.items() if address in there}

    async def _refresh(self, address: str, with_endpoints: bool) -> None:
        heard = self._heard.get((address, with_endpoints))
        if heard is not None and time.monotonic() - heard[0] < _FRESH_S:
            return
        try:
            told = await self._ask(address, peers.WITH_ENDPOINTS if with_endpoints else peers.PATH)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            self._note(address, f"{type(error).__name__}: {error}")
            return
        self._note(address, "")
        if told.replica == self.name:
            self._myself.add(address)
        else:
            self._heard[address, with_endpoints] = (time.monotonic(), told)

    async def _ask(self, address: str, target: str) -> Told:
        now, nonce = time.time(), secrets.token_hex(16)
        headers = {peers.HEADER: peers.question(self._key, target, nonce, now)}
        async with self._opened().get(f"https://{address}{target}", headers=headers, allow_redirects=False) as reply:
            body = await reply.read()
            if reply.status != 200:
                raise ValueError(f"it answers {reply.status}; has it the same peer_key?")
            if not peers.is_answer(self._key, nonce, body, reply.headers.get(peers.HEADER, "")):
                raise ValueError("its answer is not signed with the peer_key")
        return peers.hear(body, now)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE  # what it says is signed with the key, whatever certificate it made
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), timeout=_LIMIT)
        return self._session

    def _note(self, address: str, problem: str) -> None:
        was = self._problems.get(address, "")
        if problem != was:
            self._problems[address] = problem
            if problem:
                _LOG.warning("metrics API: replica %s is not heard: %s", address, problem)
            else:
                _LOG.info("metrics API: replica %s is heard again", address)


def read_key(path: str) -> bytes:
    """The key in a file. Raises OSError, and ValueError when it is too short to be one."""
    key = Path(path).read_bytes().strip()
    if len(key) < peers.SHORTEST_KEY:
        raise ValueError(f"{path}: a key has at least {peers.SHORTEST_KEY} bytes; make one with openssl rand -hex 32")
    return key
