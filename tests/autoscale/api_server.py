"""An API server with the three things that are asked of one, over TLS, answering as the recordings do."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web
from autoscale.authority import SERVER, Authority
from autoscale.recorded import lines
from fairlead.autoscale.cluster import Account
from fairlead.control.sockets import open_listening

TOKEN = "the-token"


def answers_of(case: str) -> list[Any]:
    """The bodies that were recorded in a case."""
    found = lines("aggregated-server-authn-authz")
    return [line["json"] for line in found if line.get("case") == case and line["dir"] == "<" and "json" in line]


class ApiServer:
    """To be entered. What a test changes: `configmap`, `allowed`, `pods`, and `failing`, a status for everything."""

    def __init__(self, folder: Path) -> None:
        self._authority = Authority(folder, "cluster-ca")
        self._pair = self._authority.sign("localhost", SERVER)
        self._token = folder / "token"
        self._token.write_text(TOKEN + "\n")
        self._runner: web.ServerRunner | None = None
        self.requests: list[tuple[str, str, Any]] = []
        (self.configmap,) = answers_of("configmap get")
        self.allowed = True
        self.pods: list[Any] = []
        self.failing: int | None = None
        self.url = ""

    @property
    def account(self) -> Account:
        return Account(self.url, self._token, self._authority.ca)

    def trust(self, authority: Authority) -> None:
        """The configmap names this authority for front proxies."""
        data = {**self.configmap["data"], "requestheader-client-ca-file": authority.ca.read_text()}
        self.configmap = {**self.configmap, "data": data}

    async def __aenter__(self) -> ApiServer:
        listening = open_listening("127.0.0.1:0", 1)[0]
        self.url = f"https://localhost:{listening.getsockname()[1]}"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pair.certificate, self._pair.key)
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.0)
        await self._runner.setup()
        await web.SockSite(self._runner, listening, ssl_context=context).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.requests.append((request.method, request.raw_path, body))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _json({"kind": "Status", "message": "Unauthorized"}, 401)
        if self.failing:
            (status,) = answers_of("403 SubjectAccessReview")
            return _json(status, self.failing)
        if request.path.endswith("/extension-apiserver-authentication"):
            return _json(self.configmap)
        if request.path.endswith("/subjectaccessreviews"):
            return _json({**(body or {}), "status": {"allowed": self.allowed}}, 201)
        if request.path.endswith("/pods"):
            return _json({"kind": "PodList", "items": self.pods})
        return web.Response(status=404, text="404 page not found\n")


def _json(body: Any, status: int = 200) -> web.Response:  # noqa: ANN401 (whatever was recorded)
    return web.Response(status=status, text=json.dumps(body), content_type="application/json")
