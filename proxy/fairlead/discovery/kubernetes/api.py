"""Requests to the API: one object or page, or a watch as a stream of events, with errors that say what to do.

Owns the HTTP session and its credentials: they are read again when the API does not know us any more, when its
certificate does not fit, and at most once for each request. A connection on which nobody answers is noticed by the
kernel's keepalive, and a watch on which nothing comes by its own limit. Never retries anything else: that is mirror.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, final
from urllib.parse import urlsplit

import aiohttp

import fairlead
from fairlead.discovery.kubernetes.access import Access, Login, log_in
from fairlead.discovery.kubernetes.answers import NONSENSE, OK, UNAUTHORIZED, ApiError, Silence, What, refusal
from fairlead.discovery.kubernetes.lines import Lines, TooLong

_CONNECT_S: Final = 5.0
_ANSWER_S: Final = 30.0  # a page of a list, whole; the head of a watch's answer
_KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
_UNACKNOWLEDGED_MS: Final = 20_000
_MOST_BODY: Final = 4096  # of an answer that refuses

Json = Mapping[str, Any]
Query = dict[str, str | int]


@final
@dataclass(frozen=True, slots=True)
class _Session:
    """A login, and the connections that were made with it."""

    login: Login
    http: aiohttp.ClientSession


@final
class Api:
    """One API server, as one user. Opens itself with the first request."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._session: _Session | None = None
        self._lock = asyncio.Lock()
        self._is_outdated = False

    async def get(self, path: str, query: Query, what: What) -> Json:
        """A decoded answer. Raises ApiError."""
        return await self._answer(path, query, what, None)

    async def merge(self, path: str, patch: Json, what: What) -> Json:
        """Merge this into an object (RFC 7396); what has become of it. Raises ApiError."""
        return await self._answer(path, {}, what, json.dumps(patch).encode())

    async def _answer(self, path: str, query: Query, what: What, patch: bytes | None) -> Json:
        try:
            async with asyncio.timeout(_ANSWER_S), self._request(path, query, what, _ANSWER_S, patch) as response:
                body = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreached(error) from error
        return _object(body)

    @asynccontextmanager
    async def watch(
        self, path: str, query: Query, what: What, silence_s: float
    ) -> AsyncIterator[AsyncGenerator[Json, None]]:
        """The events of a watch as they come. Raises ApiError, and Silence when nothing comes for `silence_s`."""
        try:
            async with asyncio.timeout(_ANSWER_S) as limit, self._request(path, query, what, silence_s) as response:
                limit.reschedule(None)
                yield self._events(response)
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreached(error) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.http.close()
        self._session = None

    @asynccontextmanager
    async def _request(
        self, path: str, query: Query, what: What, read_s: float, patch: bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        session = await self._opened(None)
        response = await _send(session, path, query, read_s, patch)
        if response.status == UNAUTHORIZED:
            response.release()
            response = await _send(await self._opened(session), path, query, read_s, patch)
        try:
            if response.status != OK:
                body = (await response.content.read(_MOST_BODY)).decode(errors="replace")
                raise refusal(response.status, body, response.headers.get("Retry-After", ""), what)
            yield response
        finally:
            response.release()  # closes the connection of an answer that was not read to its end

    async def _opened(self, refused: _Session | None) -> _Session:
        """The session in force; one that was refused, or whose certificates do not fit, is replaced.

        Then watches of the old one that still run are cut, and go on with the new.
        """
        async with self._lock:
            current = self._session
            if current is None or current is refused or self._is_outdated:
                login = await log_in(self._access)
                if current is not None and not self._is_outdated and await _is_the_same(login, current.login):
                    return current  # the answer would be the same: do not cut the watches that still run
                connector = aiohttp.TCPConnector(ssl=login.tls(), socket_factory=_socket, limit=0)
                await self.close()
                self._session = _Session(login, aiohttp.ClientSession(connector=connector, trust_env=True))
                self._is_outdated = False
            assert self._session is not None
            return self._session

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncGenerator[Json, None]:
        lines = Lines()
        try:
            async for data in response.content.iter_any():
                for line in lines.feed(data):
                    yield _object(line)
        except aiohttp.SocketTimeoutError as error:
            raise Silence from error
        except TooLong as error:
            raise ApiError(f"the Kubernetes API sends {error}", NONSENSE) from error
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreached(error) from error

    def _unreached(self, error: Exception) -> ApiError:
        if isinstance(error, aiohttp.ClientSSLError):
            self._is_outdated = True
        where = urlsplit(self._session.login.host).netloc if self._session else "its address"
        return ApiError(f"the Kubernetes API at {where} cannot be reached: {_reason(error)}")


async def _send(
    session: _Session, path: str, query: Query, read_s: float, patch: bytes | None
) -> aiohttp.ClientResponse:
    login = session.login
    headers = {"Accept": "application/json", "User-Agent": f"fairlead/{fairlead.__version__}", **await login.headers()}
    if patch is not None:
        headers["Content-Type"] = "application/merge-patch+json"
    if session.http.closed:  # replaced in between
        raise ApiError("the credentials for the Kubernetes API have changed")
    return await session.http.request(
        "GET" if patch is None else "PATCH",
        login.host + path,
        data=patch,
        params={key: str(value) for key, value in query.items()},
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=read_s),
        proxy=login.proxy,
        server_hostname=login.server_name,
        allow_redirects=False,
    )


async def _is_the_same(one: Login, other: Login) -> bool:
    headers = await one.headers()
    return bool(headers) and one.host == other.host and headers == await other.headers()


def _socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket whose end is noticed when the other side has vanished without a word."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        made.setsockopt(socket.IPPROTO_TCP, option, value)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
    made.setblocking(False)
    return made


def _object(data: bytes) -> Json:
    try:
        decoded = json.loads(data)
    except ValueError as error:
        raise ApiError(f"the Kubernetes API sends what is no JSON: {data[:60]!r}", NONSENSE) from error
    if not isinstance(decoded, dict):
        raise ApiError(f"the Kubernetes API sends what is no object: {data[:60]!r}", NONSENSE)
    return decoded


def _reason(error: Exception) -> str:
    """The same words for the same reason: no ports of ours, no times."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return f"TLS: {error.__cause__ or error}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(inner, OSError) and inner.errno and inner.errno > 0:
        return os.strerror(inner.errno)
    return (inner.strerror if isinstance(inner, OSError) else None) or str(inner) or type(inner).__name__
