"""A stand-in for the API server: lists, watches and errors as a real one gives them, and every fault on demand.

It keeps objects and their history, and speaks to any client (`kubectl --server` works): limit and continue,
resourceVersion, label selectors, watches in chunks of JSON lines with bookmarks, 410 as a status and as an event,
401, 403, 404, 405, 406. What it does is compared with what a real one did in test_api_server.py. Two things differ on
purpose: it takes loopback addresses in slices, and but for scales it is not written to by HTTP: tests call `put` and
`delete`.
`faults` are the ways in which it misbehaves.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from kubernetes import resources, statuses
from kubernetes.resources import Json, Resource
from kubernetes.statuses import Failure

_CHUNK = 2048


@dataclass
class Faults:
    """What goes wrong. Statuses are given to requests until they are used up."""

    refuse: list[tuple[int, dict[str, str], str]] = field(
        default_factory=list
    )  # status, fields and body of the next answers
    broken_line: bytes = b""  # sent in the place of the next event
    is_silent: bool = False  # watches say nothing more, not even their end
    ends_mute: bool = False  # watches end without a bookmark
    cut_pages: bool = False  # continue tokens have expired
    slow_s: float = 0.0  # before each answer
    page_breaks: int = 0  # so many answers to lists end in the middle


@dataclass(eq=False)
class Watcher:
    resource: Resource
    namespace: str
    selector: dict[str, set[str]]
    lines: asyncio.Queue[tuple[bytes, int]]
    is_metadata: bool
    with_bookmarks: bool


class ApiServer:
    """Serves on a port of its own. `tokens` are users by token, `rules` what a user may do: None is all."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self._tls = tls
        self._host = host
        self._discovery = resources.discovery()
        self.objects: dict[tuple[str, str, str], Json] = {}  # by resource, namespace and name
        self.faults = Faults()
        self.tokens: dict[str, str] = {"secret": "tester"}
        self.rules: dict[str, set[tuple[str, str]] | None] = {"tester": None}  # (verb, resource)
        self.scales: dict[str, int] = {}  # replicas by path, without "/scale": deployments and stateful sets
        self.scale_conflicts = 0  # so many changes of scales meet with somebody else's
        self.version = 1000
        self.future_s = 3.0  # a list from the future is waited for as long as this
        self.floor = 0  # no watch from before this
        self.requests: list[str] = []
        self._history: list[tuple[int, str, Json, Json | None]] = []  # version, type, object, what was before
        self.watchers: set[Watcher] = set()
        self._runner: web.AppRunner | None = None
        self.port = 0

    # What tests do.

    def put(self, resource: str, raw: Mapping[str, Any]) -> Json:
        """Create or replace an object."""
        known = resources.named(resource)
        metadata = dict(raw["metadata"])
        key = (resource, metadata.get("namespace", "") if known.is_namespaced else "", metadata["name"])
        before = self.objects.get(key)
        self.version += 1
        old = before["metadata"] if before else {"uid": str(uuid.uuid4())}
        metadata = {**metadata, "uid": old["uid"], "resourceVersion": str(self.version)}
        made = {"kind": known.kind, "apiVersion": known.api_version, **raw, "metadata": metadata}
        self.objects[key] = made
        self._tell("MODIFIED" if before else "ADDED", made, before)
        return made

    def delete(self, resource: str, name: str, namespace: str = "default") -> None:
        before = self.objects.pop((resource, namespace if resources.named(resource).is_namespaced else "", name))
        self.version += 1
        last = {**before, "metadata": {**before["metadata"], "resourceVersion": str(self.version)}}
        self._tell("DELETED", last, before)

    def bookmark(self) -> None:
        """Send all watchers a bookmark, as a real one does every minute."""
        for watcher in self.watchers:
            if watcher.with_bookmarks:
                watcher.lines.put_nowait((_line("BOOKMARK", _bookmark(watcher.resource, self.version)), self.version))

    def compact(self) -> None:
        """Forget the history, as a restart does: no watch can be resumed from before now."""
        self.floor = self.version + 1
        self.version += 1
        self._history.clear()

    def end_watches(self, error: Json | None = None) -> None:
        """End all watches in order; with an error, after an ERROR event."""
        for watcher in self.watchers:
            if error is not None:
                watcher.lines.put_nowait((_line("ERROR", error), 0))
            watcher.lines.put_nowait((b"", 0))

    @property
    def watching(self) -> int:
        return len(self.watchers)

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self.port}"

    def kubeconfig(self, token: str = "secret") -> str:
        """The text of a kubeconfig for it."""
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "here",
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
                "clusters": [{"name": "here", "cluster": {"server": self.url}}],
                "users": [{"name": "me", "user": {"token": token}}],
            }
        )

    async def start(self) -> None:
        """Serve; again on the same port after `stop`."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self.port, reuse_address=True, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """As if killed: every connection ends, streams without their last chunk."""
        if self._runner is not None:
            server = self._runner.server
            for connection in list(server.connections) if server is not None else ():
                if connection.transport is not None:
                    connection.transport.abort()
            await self._runner.cleanup()
        self._runner = None

    def drop_connections(self) -> None:
        """Reset every connection, and go on serving."""
        assert self._runner is not None and self._runner.server is not None
        for connection in list(self._runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()
        self.watchers.clear()

    # What it answers.

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path_qs)
        await asyncio.sleep(self.faults.slow_s)
        if self.faults.refuse:
            status, fields, text = self.faults.refuse.pop(0)
            return web.Response(status=status, headers={**_fields(), **fields}, text=text)
        try:
            return await self._allowed(request)
        except Failure as failure:
            return _respond(failure.status, failure.body, failure.fields)

    async def _scale(self, request: web.Request, user: str) -> web.Response:
        """A Scale as autoscaling/v1 writes it: replicas are left out when there are none."""
        path = request.path.removesuffix("/scale")
        _, _, _, _, _, namespace, plural, name = path.split("/")
        resource = Resource(f"{plural}/scale", "Scale", "apps")
        rules = self.rules.get(user, set())
        if rules is not None and (request.method.lower(), resource.name) not in rules:
            raise statuses.forbidden(user, request.method.lower(), resource, namespace, name)
        if path not in self.scales:
            raise statuses.not_found(Resource(plural, "", "apps"), name)
        if request.method == "PATCH":
            assert request.content_type == "application/merge-patch+json"
            patch = await request.json()
            if self.scale_conflicts:
                self.scale_conflicts -= 1
                self.version += 1
            if patch["metadata"]["resourceVersion"] != str(self.version):
                raise statuses.conflict(Resource(plural, "", "apps"), name)
            self.version += 1
            self.scales[path] = patch["spec"]["replicas"]
        replicas = self.scales[path]
        metadata = {"name": name, "namespace": namespace, "resourceVersion": str(self.version)}
        spec = {"replicas": replicas} if replicas else {}
        body = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec}
        return _respond(200, {**body, "status": {"replicas": 0}})

    async def _allowed(self, request: web.Request) -> web.StreamResponse:
        user = self._user(request)
        if request.path.endswith("/scale"):
            return await self._scale(request, user)
        target = resources.target(request.path)
        verb = {"GET": "list", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(
            request.method, ""
        )
        if target is None or isinstance(target, str):
            return self._other(request, user, target)
        resource, namespace, name = target
        is_watch = request.query.get("watch", "") in ("1", "true")
        if verb == "list":
            verb = "watch" if is_watch else "get" if name else "list"
        rules = self.rules.get(user, set())
        if rules is not None and (verb, resource.name) not in rules:
            raise statuses.forbidden(user, verb, resource, namespace, name)
        if request.method != "GET":
            raise statuses.not_allowed()
        if not any(form in request.headers.get("Accept", "*/*") for form in ("*/*", "application/json")):
            raise statuses.not_acceptable()
        if is_watch:
            return await self._watch(request, resource, namespace)
        if name:
            return _respond(200, self._get(resource, namespace, name))
        return await self._list(request, resource, namespace)

    def _other(self, request: web.Request, user: str, what: str | None) -> web.Response:
        if request.path in ("/readyz", "/livez", "/healthz"):
            return web.Response(text="ok", headers=_fields())
        if self.rules.get(user, set()) is not None:
            raise statuses.forbidden_path(user, request.path)
        if request.path.rstrip("/") in self._discovery:
            return _respond(200, self._discovery[request.path.rstrip("/")])
        if what == resources.UNKNOWN:
            raise statuses.no_resource()
        fields = {**_served_fields(404), "X-Content-Type-Options": "nosniff"}
        return web.Response(status=404, text="404 page not found\n", headers=fields)

    def _user(self, request: web.Request) -> str:
        token = request.headers.get("Authorization", "").removeprefix("Bearer").strip()
        if not token:
            return "system:anonymous"
        if token not in self.tokens:
            raise statuses.unauthorized()
        return self.tokens[token]

    def _get(self, resource: Resource, namespace: str, name: str) -> Json:
        found = self.objects.get((resource.name, namespace, name))
        if found is None:
            raise statuses.not_found(resource, name)
        return found

    def _chosen(self, resource: Resource, namespace: str, selector: Mapping[str, set[str]]) -> list[Json]:
        return [
            raw
            for (name, where, _), raw in sorted(self.objects.items())
            if name == resource.name and namespace in ("", where) and _selects(selector, raw)
        ]

    async def _list(self, request: web.Request, resource: Resource, namespace: str) -> web.StreamResponse:
        query = request.query
        selector = _selector(query.get("labelSelector", ""))
        statuses.check_list(query)
        token, limit = query.get("continue", ""), max(int(query.get("limit", "0")), 0)
        version = query.get("resourceVersion", "")
        if version.isdecimal() and int(version) > self.version:
            await asyncio.sleep(self.future_s)
            raise statuses.too_large(int(version), self.version)
        if version == "0":
            limit = 0
        if query.get("resourceVersionMatch") == "Exact" and int(version) < self.floor:
            raise statuses.too_old_exact()
        at, start = _decode(token, self.version)
        if token and (self.faults.cut_pages or 0 < at < self.floor):
            raise statuses.expired_continue(_encode(-1, start))
        items = [raw for raw in self._chosen(resource, namespace, selector) if _place(raw, namespace) > start]
        metadata: Json = {"resourceVersion": str(at if at > 0 else self.version)}
        if limit and len(items) > limit:
            metadata["continue"] = _encode(at, _place(items[limit - 1], namespace))
            if not selector:
                metadata["remainingItemCount"] = len(items) - limit
            items = items[:limit]
        bare = [{key: value for key, value in raw.items() if key not in ("kind", "apiVersion")} for raw in items]
        body = {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata, "items": bare}
        if self.faults.page_breaks:
            self.faults.page_breaks -= 1
            return await _broken(request, json.dumps(body).encode())
        return await _stream(request, json.dumps(body, separators=(",", ":")).encode() + b"\n")

    async def _watch(self, request: web.Request, resource: Resource, namespace: str) -> web.StreamResponse:
        query = request.query
        statuses.check_watch(query)
        version = query.get("resourceVersion", "")
        watcher = Watcher(
            resource,
            namespace,
            _selector(query.get("labelSelector", "")),
            asyncio.Queue(),
            "PartialObjectMetadata" in request.headers.get("Accept", ""),
            query.get("allowWatchBookmarks", "") in ("1", "true"),
        )
        response = web.StreamResponse(headers={**_fields(), "Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        backlog = b"".join(self._backlog(watcher, version, query.get("sendInitialEvents") == "false"))
        for start in range(0, len(backlog), _CHUNK):
            await response.write(backlog[start : start + _CHUNK])
        if b'"type":"ERROR"' not in backlog:
            await self._follow(response, watcher, version, float(query.get("timeoutSeconds", "0")) or 3600.0)
        await response.write_eof()
        return response

    async def _follow(self, response: web.StreamResponse, watcher: Watcher, version: str, limit_s: float) -> None:
        """Send what happens until the time is over; just before its end comes a bookmark."""
        is_future = version.isdecimal() and int(version) > self.version
        self.watchers.add(watcher)
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    line, at = await watcher.lines.get()
                    if not line:
                        return
                    if self.faults.is_silent:
                        await asyncio.Event().wait()
                    if self.faults.broken_line:
                        line, self.faults.broken_line = self.faults.broken_line, b""
                    if not is_future or at > int(version):
                        await response.write(line)
        except TimeoutError:
            if watcher.with_bookmarks and not is_future and not self.faults.ends_mute:
                await response.write(_line("BOOKMARK", _bookmark(watcher.resource, self.version)))
        finally:
            self.watchers.discard(watcher)

    def _backlog(self, watcher: Watcher, version: str, from_now: bool) -> list[bytes]:
        """What a watch begins with: what is there, or what happened since its version."""
        if version in ("", "0") and not from_now:
            found = self._chosen(watcher.resource, watcher.namespace, watcher.selector)
            lines = [_line("ADDED", _shown(watcher, raw)) for raw in found]
            end = {**_bookmark(watcher.resource, self.version)}
            end["metadata"] = {**end["metadata"], "annotations": {"k8s.io/initial-events-end": "true"}}
            return [*lines, _line("BOOKMARK", end)] if watcher.with_bookmarks else lines
        if from_now:
            return []
        if int(version) < self.floor:
            return [_line("ERROR", statuses.too_old(int(version), self.floor))]
        events = [_event(watcher, *entry[1:]) for entry in self._history if entry[0] > int(version)]
        return [line for line in events if line]

    def _tell(self, kind: str, raw: Json, before: Json | None) -> None:
        self._history.append((self.version, kind, raw, before))
        for watcher in self.watchers:
            line = _event(watcher, kind, raw, before)
            if line:
                watcher.lines.put_nowait((line, self.version))


def _fields() -> dict[str, str]:
    return {"Audit-Id": str(uuid.uuid4()), "Cache-Control": "no-cache, private"}


def _served_fields(status: int) -> dict[str, str]:
    flow = {"X-Kubernetes-Pf-Flowschema-Uid": "1", "X-Kubernetes-Pf-Prioritylevel-Uid": "2"}
    return _fields() if status == 401 else {**_fields(), **flow}


def _respond(status: int, body: Json, fields: Mapping[str, str] | None = None) -> web.Response:
    text = json.dumps(body, separators=(",", ":")) + "\n"
    headers = {**_served_fields(status), **(fields or {})}
    return web.Response(status=status, body=text.encode(), content_type="application/json", headers=headers)


async def _stream(request: web.Request, body: bytes) -> web.StreamResponse:
    """Up to 2 kB with a length, what is more in chunks."""
    if len(body) <= _CHUNK:
        return web.Response(body=body, content_type="application/json", headers=_served_fields(200))
    response = web.StreamResponse(headers={**_served_fields(200), "Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    for start in range(0, len(body), _CHUNK):
        await response.write(body[start : start + _CHUNK])
    await response.write_eof()
    return response


async def _broken(request: web.Request, body: bytes) -> web.StreamResponse:
    """Half of a body, and then nothing but the end of the connection."""
    response = web.StreamResponse(headers={**_served_fields(200), "Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    assert request.transport is not None
    request.transport.abort()
    return response


def _selector(text: str) -> dict[str, set[str]]:
    """ "a=b,c in (d,e)": the values that each label may have."""
    found: dict[str, set[str]] = {}
    rest = text
    while rest:
        if " in (" in rest.partition(",")[0]:
            label, _, rest = rest.partition(" in (")
            values, _, rest = rest.partition(")")
            found[label.strip()] = set(values.split(","))
            rest = rest.lstrip(",")
        else:
            term, _, rest = rest.partition(",")
            label, _, value = term.partition("=")
            found[label.strip()] = {value.lstrip("=").strip()}
    return found


def _selects(selector: Mapping[str, set[str]], raw: Json) -> bool:
    labels = raw["metadata"].get("labels") or {}
    return all(labels.get(label) in values for label, values in selector.items())


def _place(raw: Json, namespace: str) -> str:
    """Where an object stands in the order of a list."""
    name = raw["metadata"]["name"]
    return f"/{name}" if namespace else f"/{raw['metadata'].get('namespace', '')}/{name}"


def _encode(version: int, start: str) -> str:
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start + "\0"}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _decode(token: str, version: int) -> tuple[int, str]:
    """The version and the last place of a continue token."""
    if not token:
        return version, ""
    try:
        raw = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(raw["rv"]), str(raw["start"]).rstrip("\0")
    except (ValueError, KeyError, TypeError):
        raise statuses.bad_continue() from None


def _shown(watcher: Watcher, raw: Json) -> Json:
    if watcher.is_metadata:
        return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": raw["metadata"]}
    return raw


def _event(watcher: Watcher, kind: str, raw: Json, before: Json | None) -> bytes:
    """The line that a watcher gets for a change; empty when it gets none."""
    name = resources.of_kind(raw["kind"]).name
    metadata = raw["metadata"]
    if name != watcher.resource.name or watcher.namespace not in ("", metadata.get("namespace", "")):
        return b""
    was = before is not None and _selects(watcher.selector, before)
    is_now = kind != "DELETED" and _selects(watcher.selector, raw)
    if was and not is_now:
        last = {
            **(before or {}),
            "metadata": {**(before or {})["metadata"], "resourceVersion": metadata["resourceVersion"]},
        }
        return _line("DELETED", _shown(watcher, last))
    if is_now:
        return _line("MODIFIED" if was else "ADDED", _shown(watcher, raw))
    return b""


def _bookmark(resource: Resource, version: int) -> Json:
    raw: Json = {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": {"resourceVersion": str(version)},
    }
    if resource.kind == "EndpointSlice":
        raw |= {"addressType": "", "endpoints": None, "ports": None}
    return raw


def _line(kind: str, raw: Json) -> bytes:
    return json.dumps({"type": kind, "object": raw}, separators=(",", ":")).encode() + b"\n"


@asynccontextmanager
async def serving() -> AsyncGenerator[ApiServer, None]:
    """A server that runs for as long as this."""
    server = ApiServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
