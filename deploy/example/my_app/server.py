"""The web server of a pod: what it answers, and how it ends.

Owns the listening socket, the faults in force and the order of the end. `/faults` and `/die` are for whoever shows or
tests something: a real app would not have them, so keep this one away from the internet. Every reply says which pod it
is from (X-Pod) and to which path (X-Path). Invariant: once it has stopped listening it never listens again.

GET /            the pod's name; `/?latency=0.2&status=500` makes this one reply slow or wrong
GET /healthz     liveness: 200, or 503 when told to be unhealthy
GET /ready       readiness: 200, or 503 when told so, before MY_APP_START_S has passed, and while it ends
GET /call        what the address in MY_APP_CALLS answers, with its status: for an app that has a proxy beside it
GET /faults      the faults in force and what is in flight; POST /faults?latency=0.2 changes, DELETE /faults ends them
POST /die        the process is gone at once, in the middle of everything
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import signal
from collections.abc import Callable
from typing import Final, final

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from my_app.ending import Manner
from my_app.faults import Faults, changed

CALL_LIMIT_S: Final = 30.0
IN_FLIGHT_LIMIT_S: Final = 20.0  # for what is in flight at the end; below a pod's usual grace period of 30 s


@final
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a pod is told about itself."""

    name: str
    host: str = "0.0.0.0"
    port: int = 8080
    start_s: float = 0.0  # not ready before
    calls: str = ""


@final
class Server:
    """One pod. `run` serves until `end` is called and done; `exit_at_once` is what dying means."""

    def __init__(self, place: Place, faults: Faults, exit_at_once: Callable[[int], object] = os._exit) -> None:
        self.port = 0
        self.listening = asyncio.Event()
        self._place = place
        self._normal = faults
        self._faults = faults
        self._exit_at_once = exit_at_once
        self._ending = asyncio.Event()
        self._started = False
        self._in_flight = 0
        self._unhung = asyncio.Event()
        self._busy = 0
        self._turn = asyncio.Condition()

    async def run(self) -> None:
        """Serve, and end as the faults in force say once `end` was called."""
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=IN_FLIGHT_LIMIT_S, handle_signals=False)
        await runner.setup()
        site = web.TCPSite(runner, self._place.host, self._place.port, backlog=1024)
        await site.start()
        self.port = runner.addresses[0][1]
        self.listening.set()
        starting = asyncio.get_running_loop().call_later(self._place.start_s, self._start)
        try:
            await self._ending.wait()
            await asyncio.sleep(self._faults.sigterm.delay_s)
        finally:
            starting.cancel()
            self._unhung.set()
            await runner.cleanup()  # stops listening, closes idle connections, waits for what is in flight

    def end(self) -> None:
        """What SIGTERM asks for."""
        if self._faults.sigterm.manner is Manner.DIE:
            self._exit_at_once(128 + signal.SIGTERM)
        else:
            self._ending.set()

    def _start(self) -> None:
        self._started = True

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/faults", self._say_faults)
        app.router.add_post("/faults", self._change_faults)
        app.router.add_delete("/faults", self._end_faults)
        app.router.add_post("/die", self._die)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/ready", self._ready)
        app.router.add_get("/call", self._call)
        app.router.add_route("*", "/{rest:.*}", self._hello)
        app.on_response_prepare.append(self._name_it)
        return app

    async def _name_it(self, request: web.BaseRequest, reply: web.StreamResponse) -> None:
        reply.headers["X-Pod"] = self._place.name
        reply.headers["X-Path"] = request.rel_url.raw_path  # so that a client can tell its reply from another's
        if self._says_goodbye:
            reply.headers["Connection"] = "close"  # the next request goes elsewhere; no connection is closed under it
            reply.force_close()

    @property
    def _says_goodbye(self) -> bool:
        return self._ending.is_set() and self._faults.sigterm.manner is Manner.GRACEFUL

    async def _hello(self, request: web.Request) -> web.Response:
        self._in_flight += 1
        try:
            return await self._reply(request)
        finally:
            self._in_flight -= 1

    async def _reply(self, request: web.Request) -> web.Response:
        await self._perhaps_hang()
        try:
            faults = changed(self._faults, request.query) if request.query else self._faults
        except ValueError as error:
            return web.Response(status=400, text=f"{error}\n")
        delay_s = faults.latency + faults.jitter * random.random()
        if delay_s:
            await self._work(delay_s)
        if faults.ratio and random.random() < faults.ratio:
            return web.Response(status=faults.status, text=f"{self._place.name} was told to fail\n")
        return web.Response(text=f"{self._place.name}\n")

    async def _work(self, delay_s: float) -> None:
        """Be busy, when it is this request's turn: of the whole pod only so many are at a time."""
        async with self._turn:
            await self._turn.wait_for(lambda: not 0 < self._faults.concurrency <= self._busy)
            self._busy += 1
        try:
            await asyncio.sleep(delay_s)
        finally:
            self._busy -= 1
            async with self._turn:
                self._turn.notify_all()

    async def _healthz(self, _: web.Request) -> web.Response:
        await self._perhaps_hang()
        return _probe(self._faults.healthy, "alive", "told to be unhealthy")

    async def _ready(self, _: web.Request) -> web.Response:
        await self._perhaps_hang()
        if self._says_goodbye:
            return _probe(False, "", "ending")
        if not self._started:
            return _probe(False, "", "starting")
        return _probe(self._faults.ready, "ready", "told to be not ready")

    async def _perhaps_hang(self) -> None:
        while self._faults.hang and not self._ending.is_set():
            await self._unhung.wait()

    async def _call(self, _: web.Request) -> web.Response:
        if not self._place.calls:
            return web.Response(status=404, text="MY_APP_CALLS names nothing to call\n")
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=CALL_LIMIT_S)) as session,
                session.get(self._place.calls) as reply,
            ):
                return web.Response(status=reply.status, body=await reply.read())
        except (ClientError, TimeoutError) as error:
            return web.Response(status=502, text=f"{self._place.calls}: {type(error).__name__}: {error}\n")

    async def _say_faults(self, _: web.Request) -> web.Response:
        said = {field.name: getattr(self._faults, field.name) for field in dataclasses.fields(Faults)}
        said |= {"sigterm": str(self._faults.sigterm), "in_flight": self._in_flight}
        return web.json_response({"pod": self._place.name, **said})

    async def _change_faults(self, request: web.Request) -> web.Response:
        try:
            self._set(changed(self._faults, request.query))
        except ValueError as error:
            return web.Response(status=400, text=f"{error}\n")
        return await self._say_faults(request)

    async def _end_faults(self, request: web.Request) -> web.Response:
        self._set(self._normal)
        return await self._say_faults(request)

    def _set(self, faults: Faults) -> None:
        self._faults = faults
        self._unhung.set()  # who hangs looks anew
        self._unhung = asyncio.Event()

    async def _die(self, _: web.Request) -> web.Response:
        self._exit_at_once(1)
        return web.Response(text="survived\n")


def _probe(good: bool, word: str, reason: str) -> web.Response:
    return web.Response(text=f"{word}\n") if good else web.Response(status=503, text=f"{reason}\n")
