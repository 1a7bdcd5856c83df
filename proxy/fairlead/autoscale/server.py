"""The metrics API over TLS: each connection's certificate, each request's user, permission and answer.

Owns the listening socket and the certificate that is shown now. Answers GET only, and so can change nothing. Invariant:
no figure leaves for a caller whose certificate the trusted authority did not sign, or whose user may not read it; what
is answered without a certificate are the probes, and other replicas that have the key.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, final

from aiohttp import web

from fairlead.autoscale import callers, documents, failures, peers
from fairlead.autoscale.access import Authorizer
from fairlead.autoscale.answers import Answers
from fairlead.autoscale.callers import Trust
from fairlead.autoscale.documents import JSON
from fairlead.autoscale.failures import Failure
from fairlead.autoscale.pods import Unavailable
from fairlead.autoscale.requests import Documents, Unknown, Values, read

_LOG: Final = logging.getLogger("fairlead.autoscale")
_PROBES: Final = ("/healthz", "/livez", "/readyz")
_STOP_S: Final = 1.0  # for replies that are being written when the server stops
_NOWHERE: Final = "404 page not found\n"


# What to tell a peer that asks for a target with a signature: a body and its signature, or None for a stranger.
Tell = Callable[[str, str], tuple[bytes, str] | None]


@final
class Server:
    """`answers` gives those of the configuration in force. `secure` is called before `start`, and again at any time."""

    def __init__(self, answers: Callable[[], Answers], authorizer: Authorizer, tell: Tell | None = None) -> None:
        self._answers = answers
        self._tell = tell
        self._authorizer = authorizer
        self._trust = Trust(ca="")
        self._context: ssl.SSLContext | None = None
        self._runner: web.ServerRunner | None = None

    def secure(self, context: ssl.SSLContext, trust: Trust) -> None:
        """New connections are accepted with these; those that are open go on with theirs, and with this trust."""
        self._context = context
        self._trust = trust

    async def start(self, listening: socket.socket, context: ssl.SSLContext) -> None:
        """Serve on a listening socket, which is closed with the server. `context` serves until it is replaced."""
        context.sni_callback = self._choose
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=_STOP_S)
        await runner.setup()
        await web.SockSite(runner, listening, ssl_context=context).start()
        self._runner = runner

    async def stop(self) -> None:
        """Close everything; a second call does nothing."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def _choose(self, connection: ssl.SSLSocket | ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        """Called for each connection, named or not: it gets the certificate and authorities of now."""
        if self._context is not None:
            connection.context = self._context

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except Failure as failure:
            return _refusal(failure)
        except Unavailable as error:
            _LOG.warning("%s: %s", request.raw_path, error)
            return _refusal(failures.internal(str(error)))
        except Exception:  # the root of the request: a bug is a 500, and its words stay here
            _LOG.exception("%s %s failed", request.method, request.raw_path)
            return _refusal(failures.internal("the log of the supervisor says more"))

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path in _PROBES:
            return web.Response(text="ok")
        if request.raw_path in (peers.PATH, peers.WITH_ENDPOINTS) and self._tell is not None:
            return self._to_peer(request, self._tell)
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        user = callers.caller(certificate, request.headers.items(), self._trust)
        if user is None:
            raise failures.unauthorized()
        try:
            asked, attributes = read(request.raw_path)
        except ValueError as error:
            raise failures.bad_request(str(error)) from error
        if request.method != "GET":
            raise failures.not_allowed()
        if not await self._authorizer.allows(user, attributes):
            raise failures.forbidden(user.name, attributes)
        if isinstance(asked, Unknown):
            if asked.is_known_group:
                raise failures.not_found()
            return web.Response(status=HTTPStatus.NOT_FOUND, text=_NOWHERE)
        accept = ",".join(request.headers.getall("Accept", []))
        if not documents.is_acceptable(accept):
            raise failures.not_acceptable()
        return await self._document(asked, accept)

    def _to_peer(self, request: web.BaseRequest, tell: Tell) -> web.StreamResponse:
        told = tell(request.raw_path, request.headers.get(peers.HEADER, ""))
        if told is None:
            raise failures.unauthorized()
        return web.Response(body=told[0], headers={"Content-Type": JSON, peers.HEADER: told[1]})

    async def _document(self, asked: Documents | Values, accept: str) -> web.StreamResponse:
        if isinstance(asked, Values):
            return _json(documents.values(asked, await self._answers().find(asked, time.time())))
        if not asked.group:
            document, content_type = documents.all_groups(accept)
            return _json(document, content_type=content_type)
        if not asked.version:
            return _json(documents.group(asked.group))
        return _json(documents.resources(asked.group, asked.version))


def _refusal(failure: Failure) -> web.Response:
    return _json(failure.document(), failure.status)


def _json(document: Any, status: HTTPStatus = HTTPStatus.OK, content_type: str = JSON) -> web.Response:  # noqa: ANN401
    body = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    headers = {"Content-Type": content_type, "Cache-Control": "no-cache, private", "X-Content-Type-Options": "nosniff"}
    return web.Response(status=status.value, body=body, headers=headers)
