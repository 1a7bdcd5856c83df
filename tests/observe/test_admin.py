"""The admin server over real sockets: what it answers, how little it does for it, and the page."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from fairlead.control.sockets import open_listening
from fairlead.observe import metrics
from fairlead.observe.admin import Admin
from fairlead.observe.status import Phase, Status
from observe.sample_status import STATUS

PATHS = [
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/services",
    "/api/v1/config",
    "/api/v1/events",
    "/api/v1/autoscale",
]


class Supervisor:
    """What the admin server sees of it."""

    def __init__(self) -> None:
        self.value = STATUS
        self.refreshes = 0

    def status(self) -> Status:
        return self.value

    async def refresh(self) -> None:
        self.refreshes += 1


async def serve(admin: Admin, bind: str = "127.0.0.1:0") -> str:
    """Start it on a socket of its own; returns the address."""
    listening = open_listening(bind, 1)[0]
    host, port = listening.getsockname()[:2]
    await admin.start(listening)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Client:
    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.session = session
        self.address = address

    async def get(self, path: str, method: str = "GET", **headers: str) -> tuple[aiohttp.ClientResponse, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(method, f"http://{self.address}{path}", headers=named) as response:
            return response, await response.text()


@pytest.fixture
def supervisor() -> Supervisor:
    return Supervisor()


@pytest_asyncio.fixture
async def client(supervisor: Supervisor) -> AsyncIterator[Client]:
    admin = Admin(supervisor.status, supervisor.refresh)
    address = await serve(admin)
    async with aiohttp.ClientSession() as session:
        yield Client(session, address)
    await admin.stop()


async def test_healthz_says_that_the_process_is_alive(client: Client, supervisor: Supervisor) -> None:
    supervisor.value = Status(phase=Phase.STARTING)
    response, body = await client.get("/healthz")
    assert (response.status, body) == (200, "ok\n")


@pytest.mark.parametrize(
    ("phase", "reason", "status", "text"),
    [
        (Phase.READY, "", 200, "ready\n"),
        (Phase.STARTING, "waiting for dns://shop:80", 503, "starting: waiting for dns://shop:80\n"),
        (Phase.DRAINING, "", 503, "draining\n"),
    ],
)
async def test_readyz_says_why_not(
    client: Client, supervisor: Supervisor, phase: Phase, reason: str, status: int, text: str
) -> None:
    supervisor.value = replace(STATUS, phase=phase, reason=reason)
    response, body = await client.get("/readyz")
    assert (response.status, body) == (status, text)


@pytest.mark.parametrize("path", PATHS)
async def test_head_has_the_length_and_no_body(client: Client, path: str) -> None:
    whole, body = await client.get(path, Accept_Encoding="identity")
    response, nothing = await client.get(path, "HEAD", Accept_Encoding="identity")
    assert (response.status, nothing) == (200, "")
    assert int(response.headers["Content-Length"]) == len(body.encode()) == int(whole.headers["Content-Length"])


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
async def test_nothing_may_be_stored_or_guessed(client: Client, path: str) -> None:
    response, _ = await client.get(path)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Server"] == "fairlead"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_only_reading_is_allowed(client: Client, method: str) -> None:
    response, body = await client.get("/metrics", method)
    assert (response.status, response.headers["Allow"]) == (405, "GET,HEAD")
    assert json.loads(body) == {"error": "only GET and HEAD are allowed"}


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/", "/page/page.js", "/..%2f..%2fetc/passwd"])
async def test_an_unknown_path_names_the_known_ones(client: Client, path: str) -> None:
    response, body = await client.get(path)
    assert (response.status, json.loads(body)["endpoints"]) == (404, PATHS)


async def test_metrics_as_text_and_as_openmetrics(client: Client) -> None:
    response, body = await client.get("/metrics")
    assert (body.encode(), response.headers["Content-Type"]) == metrics.render(STATUS, "")
    response, body = await client.get("/metrics", Accept="application/openmetrics-text")
    assert (body.encode(), response.headers["Content-Type"]) == metrics.render(STATUS, "application/openmetrics-text")


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip", "gzip"), ("br, GZip;q=0.5", "gzip"), ("identity", None), ("gzip;q=0", None), ("gzip; q=0.000", None)],
)
async def test_metrics_are_compressed_for_those_who_ask(client: Client, accepted: str, encoding: str | None) -> None:
    response, body = await client.get("/metrics", Accept_Encoding=accepted)
    assert response.headers.get("Content-Encoding") == encoding
    assert body.encode() == metrics.render(STATUS, "")[0]


@pytest.mark.parametrize(
    ("path", "refreshes"), [("/metrics", 1), ("/api/v1/services", 1), ("/api/v1/config", 0), ("/readyz", 0), ("/", 0)]
)
async def test_workers_are_asked_only_for_what_must_be_fresh(
    client: Client, supervisor: Supervisor, path: str, refreshes: int
) -> None:
    await client.get(path)
    assert supervisor.refreshes == refreshes


async def test_a_scrape_sees_what_the_refresh_brought(supervisor: Supervisor) -> None:
    async def refresh() -> None:
        supervisor.value = replace(STATUS, config_loaded=12345.0)

    admin = Admin(supervisor.status, refresh)
    address = await serve(admin)
    async with aiohttp.ClientSession() as session:
        _, body = await Client(session, address).get("/metrics")
    await admin.stop()
    assert "fairlead_config_last_reload_success_timestamp_seconds 12345.0\n" in body


async def test_the_api(client: Client) -> None:
    _, services = await client.get("/api/v1/services")
    assert [service["name"] for service in json.loads(services)["services"]] == ["shop", "api", "cache"]
    response, config = await client.get("/api/v1/config")
    assert json.loads(config)["path"] == "fairlead.yaml"
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    _, events = await client.get("/api/v1/events?limit=1&since=1700000000.5")
    assert [event["kind"] for event in json.loads(events)["events"]] == ["worker-died"]


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=many", "since=yesterday", "limit=" + "9" * 5000])
async def test_a_query_that_makes_no_sense_is_refused(client: Client, query: str) -> None:
    response, body = await client.get("/api/v1/events?" + query)
    assert (response.status, [*json.loads(body)]) == (400, ["error"])


async def test_a_failure_is_an_error_without_details_and_is_logged(
    client: Client, supervisor: Supervisor, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor.value = replace(STATUS, config={"not": object()})
    response, body = await client.get("/api/v1/config")
    assert (response.status, [*json.loads(body)]) == (500, ["error"])
    assert "object" not in body
    assert "GET /api/v1/config failed" in caplog.text


async def test_ipv6(supervisor: Supervisor) -> None:
    admin = Admin(supervisor.status, supervisor.refresh)
    address = await serve(admin, "[::1]:0")
    async with aiohttp.ClientSession() as session:
        assert (await Client(session, address).get("/healthz"))[1] == "ok\n"
    await admin.stop()


async def test_a_unix_socket(supervisor: Supervisor, tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")
    admin = Admin(supervisor.status, supervisor.refresh)
    await admin.start(open_listening(f"unix:{path}", 1)[0])
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
        assert (await Client(session, "fairlead").get("/healthz"))[1] == "ok\n"
    await admin.stop()


async def test_after_stop_nobody_answers_and_a_second_stop_does_nothing(supervisor: Supervisor) -> None:
    admin = Admin(supervisor.status, supervisor.refresh)
    address = await serve(admin)
    async with aiohttp.ClientSession() as session:
        await Client(session, address).get("/healthz")
        await admin.stop()
        await admin.stop()
        with pytest.raises(aiohttp.ClientError):
            await Client(session, address).get("/healthz")


class Document(HTMLParser):
    """What a browser would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = ""
        self.texts: dict[str, str] = {}
        self.ids: set[str] = set()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        values = dict(attributes)
        self.ids.add(values.get("id") or "")
        assert not any(name.startswith("on") or name == "style" for name in values)
        if tag != "a":
            self.loaded += [value or "" for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.texts[self.inside] = self.texts.get(self.inside, "") + data.strip("\n" if self.inside == "title" else "")

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


async def test_the_page_is_whole_in_one_document_and_only_that_may_run(client: Client) -> None:
    response, body = await client.get("/")
    document = Document()
    document.feed(body)
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    for tag in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(document.texts[tag].encode()).digest()).decode()
        assert policy[f"{tag}-src"] == f"'sha256-{digest}'"
    assert all(address.startswith("data:") for address in document.loaded)
    assert "innerHTML" not in document.texts["script"]
    assert set(re.findall(r'get\("([a-z]+)"\)', document.texts["script"])) <= document.ids
    assert set(re.findall(r'read\("(/[a-z0-9/]+)', document.texts["script"])) <= set(PATHS)
