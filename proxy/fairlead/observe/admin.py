"""The admin server: probes, metrics, the JSON API and the page, all read from the supervisor's Status.

Answers GET and HEAD only, and so can change nothing. Before what must be fresh it asks the workers for reports, once
for all who ask at the same time; it never touches the data plane otherwise. Only this module imports aiohttp: that
costs more than the rest of a start.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any, Final, final

from aiohttp import web
from aiohttp.typedefs import Middleware

from fairlead.observe import api
from fairlead.observe.scrape import Scrapes
from fairlead.observe.status import Phase, Status

_LOG: Final = logging.getLogger("fairlead.admin")
_EVENTS: Final = 100  # when ?limit= does not say
_STOP_S: Final = 1.0  # for replies that are being written when the server stops
_PAGE: Final = ("page.css", "page.js", "page.html")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@final
class Admin:
    """`status` gives the current Status; `refresh` asks the workers for reports, and bounds how often and how long."""

    def __init__(self, status: Callable[[], Status], refresh: Callable[[], Awaitable[None]]) -> None:
        self._status = status
        self._scrapes = Scrapes(status, refresh)
        self._runner: web.AppRunner | None = None

    async def start(self, listening: socket.socket) -> None:
        """Serve on a listening socket, which is closed with the server."""
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=_STOP_S)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        self._runner = runner

    async def stop(self) -> None:
        """Close everything; a second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def _application(self) -> web.Application:
        handlers: dict[str, Handler] = {
            "/": _page(),
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
            "/api/v1/services": self._services,
            "/api/v1/config": self._config,
            "/api/v1/events": self._events,
            "/api/v1/autoscale": self._autoscale,
        }
        application = web.Application(middlewares=[_errors_as_json(list(handlers))])
        application.add_routes([web.get(path, handler) for path, handler in handlers.items()])
        application.on_response_prepare.append(_add_headers)
        return application

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _: web.Request) -> web.Response:
        status = self._status()
        if status.phase is Phase.READY:
            return web.Response(text="ready\n")
        return web.Response(
            status=503, text=f"{status.phase}: {status.reason}\n" if status.reason else f"{status.phase}\n"
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        scrape = await self._scrapes.fresh()
        is_zipped = _accepts_gzip(request.headers.get("Accept-Encoding", ""))
        body, media_type = scrape.metrics(request.headers.get("Accept", ""), is_zipped)
        headers = {"Content-Type": media_type, "Vary": "Accept, Accept-Encoding"}
        if is_zipped:
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=headers)

    async def _services(self, _: web.Request) -> web.Response:
        return _json(api.services((await self._scrapes.fresh()).status))

    async def _config(self, _: web.Request) -> web.Response:
        return _json(api.config(self._status()))

    async def _autoscale(self, _: web.Request) -> web.Response:
        return _json(api.autoscale(self._status()))

    async def _events(self, request: web.Request) -> web.Response:
        try:
            limit = int(request.query.get("limit", _EVENTS))
            since = float(request.query.get("since", 0))
        except ValueError:
            limit = 0
        if limit < 1:
            raise web.HTTPBadRequest(text="limit must be a positive number, since a Unix time in seconds")
        return _json(api.events(self._status(), limit, since))


def _page() -> Handler:
    """The page as one document. Its style and script are allowed by their hash, and nothing else is."""
    style, script, document = (files(__package__).joinpath("page", name).read_text("utf-8") for name in _PAGE)
    body = document.replace("/*STYLE*/", style).replace("/*SCRIPT*/", script)
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

    async def page(_: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
        return web.Response(text=body, content_type="text/html", headers=headers)

    return page


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _errors_as_json(paths: list[str]) -> Middleware:
    """The middleware that turns whatever went wrong into {"error": ...}."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return _json({"error": f"there is nothing at {request.path}", "endpoints": paths}, 404)
        except web.HTTPMethodNotAllowed as error:
            return _json({"error": "only GET and HEAD are allowed"}, 405, {"Allow": error.headers["Allow"]})
        except web.HTTPException as error:
            return _json({"error": error.text}, error.status)
        except Exception:
            _LOG.exception("%s %s failed", request.method, request.path)
            return _json({"error": "internal error; the log of the supervisor says more"}, 500)

    return middleware


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "fairlead"
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"


def _json(value: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    body = json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n"
    return web.Response(status=status, text=body, content_type="application/json", headers=headers)


def _accepts_gzip(accept_encoding: str) -> bool:
    for part in accept_encoding.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
