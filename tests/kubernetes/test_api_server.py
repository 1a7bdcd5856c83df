"""The stand-in against the real thing: the same request gets the same status, fields and words."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from kubernetes.api_server import ApiServer, serving
from kubernetes.recorded import Json, lines

# What the stand-in does not do: writing, other resources, and what a client of ours never asks for.
_LEFT_OUT = re.compile(
    r"patch|malformed|misc|readyz|compress|HEAD|labelSelector.*(exists|notin|!=|missing)|fieldSelector|pretty|Table"
    r"|v1 |API itself|NotOlderThan|inconsistent|Exact|watch cache|/watch/|legacy|deployments"
    r"|PartialObjectMetadataList|^Service$|create|^400 (body|meta)|^409|^422|unknown field"
)

_OF_THE_TRANSFER = {"Transfer-Encoding", "Content-Length", "Content-Encoding", "Vary", "Connection"}


@dataclass
class Exchange:
    """A recorded request, and what was answered to it."""

    case: str
    method: str
    target: str
    headers: dict[str, str]
    status: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    body: Any = None
    events: list[Json] = field(default_factory=list)


def exchanges(name: str) -> Iterator[Exchange]:
    """Those of a recording that the stand-in can be asked."""
    found: list[Exchange] = []
    for line in lines(name):
        if line.get("dir") == ">" and "request" in line:
            method, target, _ = line["request"].split(" ", 2)
            found.append(Exchange(line["case"], method, target, line["headers"]))
        elif line.get("dir") == "<" and found and line.get("case") == found[-1].case:
            if "status" in line:
                found[-1].status = int(str(line["status"]).split()[1])
                found[-1].fields = dict(line["headers"])
            if "json" in line and set(line["json"]) == {"type", "object"}:
                found[-1].events.append(line["json"])
            elif "json" in line or "text" in line:
                found[-1].body = line.get("json", line.get("text"))
    for each in found:
        if each.status and not _LEFT_OUT.search(each.case) and each.method in ("GET", "POST"):
            yield each


def named(name: str, wanted: str = "") -> list[Any]:
    return [pytest.param(each, id=each.case) for each in exchanges(name) if wanted in each.target]


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    """With the objects that were there when the recordings were made."""
    async with serving() as server:
        (first, *_) = exchanges("api-list")
        for item in first.body["items"]:
            raw = {**item, "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1"}
            server.objects["endpointslices", "api-a", item["metadata"]["name"]] = raw
        server.version = int(first.body["metadata"]["resourceVersion"])
        server.floor, server.future_s = 2000, 0.0
        server.tokens |= {"lb": "lb", "account": "system:serviceaccount:api-a:fairlead"}
        yield server


async def ask(server: ApiServer, exchange: Exchange) -> tuple[int, dict[str, str], bytes]:
    """Ask the stand-in. A watch is ended when it has said what there was."""
    headers = {name: value for name, value in exchange.headers.items() if name in ("Accept", "User-Agent")}
    if "Authorization" in exchange.headers and "empty bearer" not in exchange.case:
        headers["Authorization"] = f"Bearer {_token(exchange.case)}"
    asking = asyncio.ensure_future(_ask(exchange.method, f"{server.url}{exchange.target}", headers))
    while not asking.done():
        server.end_watches()
        await asyncio.wait([asking], timeout=0.005)
    return await asking


async def _ask(method: str, url: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session,
        session.request(method, url, headers=headers) as response,
    ):
        return response.status, dict(response.headers), await response.read()


def _token(case: str) -> str:
    return (
        "unknown"
        if case.startswith("401")
        else "account"
        if "service account" in case
        else "lb"
        if case.startswith("403")
        else "secret"
    )


def masked(body: Json) -> Json:
    """A Status without the numbers that differ from one day to the next."""
    text = re.sub(r"current: \d+", "current: N", json.dumps(body))
    masked: Json = json.loads(re.sub(r"continue key is not valid: [^\"]*?\"", 'continue key is not valid"', text))
    return masked


@pytest.mark.parametrize("recorded", [*named("api-list"), *named("api-errors")])
async def test_lists_and_errors(server: ApiServer, recorded: Exchange) -> None:
    status, fields, body = await ask(server, recorded)
    assert status == recorded.status
    assert recorded.fields.keys() - _OF_THE_TRANSFER <= fields.keys()
    assert fields["Content-Type"] == recorded.fields["Content-Type"]
    if not isinstance(recorded.body, dict):
        assert body.decode() == recorded.body
        return
    answered = json.loads(body)
    if recorded.body.get("kind") == "Status":
        assert masked(answered) == masked(recorded.body)
    elif recorded.body["kind"].endswith("List"):
        assert _shape(answered) == _shape(recorded.body)


def _shape(body: Json) -> Json:
    """Of a list: what kind, which items, and what of its metadata, with what a continue token says."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}
    names = [item["metadata"]["name"] for item in body["items"]]
    return {**{key: body[key] for key in ("kind", "apiVersion")}, "metadata": sorted(metadata), "names": names}


@pytest.mark.parametrize("recorded", [*named("api-watch", "watch="), *named("api-extra", "timeoutSeconds=2")])
async def test_watches_begin_as_recorded(server: ApiServer, recorded: Exchange) -> None:
    target = re.sub(r"resourceVersion=265\d+", f"resourceVersion={server.version}", recorded.target)
    exchange = Exchange(recorded.case, "GET", target, recorded.headers)
    status, fields, body = await ask(server, exchange)
    assert status == recorded.status
    if status != 200:
        assert masked(json.loads(body)) == masked(recorded.body)
        return
    assert fields["Content-Type"] == "application/json"
    assert fields["Transfer-Encoding"] == "chunked"
    events = [json.loads(line) for line in body.splitlines()]
    if any(event["type"] == "ERROR" for event in recorded.events):
        (error,) = events
        assert re.sub(r"\(\d+\)", "", str(error)) == re.sub(r"\(\d+\)", "", str(recorded.events[0]))
    elif "edits" not in recorded.case and "history" not in recorded.case:
        ours, theirs = _beginning(events), _beginning(recorded.events)
        assert ours[: len(theirs)] == theirs


def _beginning(events: list[Json]) -> list[tuple[str, str, str]]:
    """The synthetic events, and the mark at their end."""
    found = []
    for event in events:
        metadata = event["object"]["metadata"]
        is_mark = "k8s.io/initial-events-end" in (metadata.get("annotations") or {})
        if event["type"] == "ADDED" or is_mark:
            found.append((event["type"], event["object"]["kind"], metadata.get("name", "")))
    return found


async def test_an_expired_continue_token_is_answered_with_another(server: ApiServer) -> None:
    recorded = next(each for each in exchanges("api-continue-expired") if each.status == 410)
    first, *_ = exchanges("api-continue-expired")
    _, _, body = await ask(server, first)
    server.faults.cut_pages = True
    token = json.loads(body)["metadata"]["continue"]
    again = Exchange("", "GET", f"{first.target}&continue={token}", first.headers)
    status, _, body = await ask(server, again)
    answered = json.loads(body)
    assert status == 410
    assert answered | {"metadata": {}} == recorded.body | {"metadata": {}}
    server.faults.cut_pages = False
    status, _, body = await ask(
        server, Exchange("", "GET", f"{first.target}&continue={answered['metadata']['continue']}", first.headers)
    )
    assert (status, len(json.loads(body)["items"])) == (200, 2)


async def test_a_selector_that_matches_no_more_is_a_deletion_with_the_old_labels(server: ApiServer) -> None:
    slices = "/apis/discovery.k8s.io/v1/namespaces/api-a/endpointslices"
    selector = "labelSelector=kubernetes.io%2Fservice-name%20in%20(other,none)"
    query = f"{slices}?watch=1&resourceVersion={server.version}&{selector}"
    raw = server.objects["endpointslices", "api-a", "other-0"]
    labels = {"kubernetes.io/service-name": "else"}
    server.put("endpointslices", {**raw, "metadata": {**raw["metadata"], "labels": labels}})
    server.put("endpointslices", raw)
    _, _, body = await ask(server, Exchange("", "GET", query, {"Authorization": ""}))
    events = [json.loads(line) for line in body.splitlines()]
    assert [event["type"] for event in events] == ["DELETED", "ADDED"]
    assert events[0]["object"]["metadata"]["labels"] == {"kubernetes.io/service-name": "other"}
    assert events[0]["object"]["metadata"]["resourceVersion"] == str(server.version - 1)


async def test_a_watch_ends_in_time_after_a_bookmark(server: ApiServer) -> None:
    query = "/api/v1/namespaces/x/services?watch=1&allowWatchBookmarks=1&timeoutSeconds=1&resourceVersion=2544"
    status, _, body = await _ask("GET", server.url + query, {"Authorization": "Bearer secret"})
    assert status == 200
    (bookmark,) = map(json.loads, body.splitlines())
    assert bookmark == {
        "type": "BOOKMARK",
        "object": {"kind": "Service", "apiVersion": "v1", "metadata": {"resourceVersion": "2544"}},
    }


async def test_what_there_is_can_be_discovered(server: ApiServer) -> None:
    recorded = {line["json"]["kind"]: line["json"] for line in lines("api-errors") if "kind" in line.get("json", {})}
    for path, kind in (("", "APIGroup"), ("/v1", "APIResourceList")):
        url = f"{server.url}/apis/discovery.k8s.io{path}"
        _, _, body = await _ask("GET", url, {"Authorization": "Bearer secret"})
        answered = json.loads(body)
        assert answered.keys() == recorded[kind].keys()
        if kind == "APIGroup":
            assert answered == recorded[kind]


@pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl")
async def test_kubectl_is_a_client(server: ApiServer, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(server.kubeconfig())
    server.rules["system:anonymous"] = None  # kubectl keeps its token to itself without TLS
    command = f"kubectl --kubeconfig {path} --cache-dir {tmp_path} -n api-a get endpointslices -o name"
    process = await asyncio.create_subprocess_exec(*command.split(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    async with asyncio.timeout(20):
        output, errors = await process.communicate()
    assert output.decode().split()[:1] == ["endpointslice.discovery.k8s.io/my-app-0"], errors.decode()
