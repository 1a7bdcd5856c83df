"""The copy of the API's objects through everything that an API server and the way to it do."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fairlead.discovery.kubernetes import mirror as module
from fairlead.discovery.kubernetes.access import Access
from fairlead.discovery.kubernetes.answers import TOO_SHORT, UNREACHED, ApiError, Silence
from fairlead.discovery.kubernetes.api import Api
from fairlead.discovery.kubernetes.kinds import SLICES
from fairlead.discovery.kubernetes.mirror import Mirror, pause_after, retry_pauses
from fairlead.discovery.kubernetes.objects import Slice
from kubernetes.api_server import ApiServer
from kubernetes.following import until
from kubernetes.recorded import endpoint, endpoint_slice
from kubernetes.statuses import status_body


class Kept:
    """A mirror of slices that runs. `sizes` are the endpoints that it held whenever it told of a change."""

    def __init__(self, mirror: Mirror[Slice], path: Path) -> None:
        self.mirror = mirror
        self.kubeconfig = path
        self.sizes: list[int] = []
        self.problems: list[str] = []
        mirror.follow("my-app", self.tell)

    def tell(self) -> None:
        self.sizes.append(len(self.hosts))
        if not self.problems or self.problems[-1] != self.mirror.problem:
            self.problems.append(self.mirror.problem)

    @property
    def hosts(self) -> set[str]:
        return {each.host for one in self.mirror.of("my-app").values() for each in one.endpoints}

    def sizes_since(self, size: int) -> list[int]:
        """From the first time that it had so many; the tests may be faster than the first list, or slower."""
        return self.sizes[self.sizes.index(size) :]

    async def until(self, *hosts: str) -> None:
        await until(lambda: self.hosts == set(hosts) and not self.mirror.problem, f"{hosts}, not {self.hosts}")


@pytest.fixture
async def kept(server: ApiServer, tmp_path: Path) -> AsyncIterator[Kept]:
    async with keeping(server, tmp_path) as kept:
        yield kept


@asynccontextmanager
async def keeping(server: ApiServer, directory: Path, token: str = "secret") -> AsyncIterator[Kept]:
    path = directory / "kubeconfig"
    path.write_text(server.kubeconfig(token))
    api = Api(Access(str(path)))
    kept = Kept(Mirror(api, SLICES, "default"), path)
    task = asyncio.ensure_future(kept.mirror.run())
    try:
        yield kept
    finally:
        task.cancel()
        await asyncio.wait([task])
        await api.close()


def put(server: ApiServer, *numbers: int) -> None:
    """Slices of one endpoint each."""
    for number in numbers:
        server.put("endpointslices", endpoint_slice(endpoint(f"10.0.0.{number}"), name=f"my-app-{number}"))


async def watched(server: ApiServer, times: int = 0) -> None:
    """Wait until the slices are watched, and that for so many times if it is given."""
    await until(
        lambda: server.watching == 1 and (not times or len(watches(server)) == times), f"a watch, not {server.requests}"
    )


def watches(server: ApiServer) -> list[str]:
    return [request for request in server.requests if "watch=1" in request]


def lists(server: ApiServer) -> list[str]:
    return [request for request in server.requests if "watch=1" not in request]


async def test_pages_are_put_together(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    put(server, 1, 2, 3, 4, 5)
    async with keeping(server, tmp_path) as kept:
        await kept.until(*(f"10.0.0.{number}" for number in range(1, 6)))
        assert len(lists(server)) == 3
        assert kept.sizes[0] == 5


async def test_a_continue_token_that_has_expired_begins_the_list_again(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    put(server, 1, 2, 3)
    server.faults.cut_pages = True
    async with keeping(server, tmp_path) as kept:
        await kept.until("10.0.0.1", "10.0.0.2", "10.0.0.3")
        assert "limit=" not in lists(server)[-1]  # at last all at once
        assert kept.sizes[0] == 3


async def test_a_list_that_breaks_in_the_middle_deletes_nothing(server: ApiServer, kept: Kept) -> None:
    put(server, 1)
    await kept.until("10.0.0.1")
    put(server, 2)
    await kept.until("10.0.0.1", "10.0.0.2")
    await watched(server)
    server.faults.page_breaks = 3
    server.compact()
    server.drop_connections()
    put(server, 3)
    await kept.until("10.0.0.1", "10.0.0.2", "10.0.0.3")
    assert server.faults.page_breaks == 0
    assert 0 not in kept.sizes_since(1)
    assert any("cannot be reached" in problem for problem in kept.problems)


async def test_a_dropped_connection_is_resumed_and_nobody_notices(server: ApiServer, kept: Kept) -> None:
    put(server, 1)
    await kept.until("10.0.0.1")
    await watched(server)
    server.drop_connections()
    put(server, 2)
    await kept.until("10.0.0.1", "10.0.0.2")
    assert len(lists(server)) == 1
    assert kept.problems == [""]


@pytest.mark.parametrize("how", ["event", "status"])
async def test_history_that_is_gone_is_listed(server: ApiServer, kept: Kept, how: str) -> None:
    put(server, 1, 2)
    await kept.until("10.0.0.1", "10.0.0.2")
    await watched(server)
    if how == "event":
        server.compact()
    else:
        server.faults.refuse = [(410, {}, "gone")]
    server.drop_connections()
    server.delete("endpointslices", "my-app-1")
    await kept.until("10.0.0.2")
    await watched(server)
    assert kept.sizes_since(2) == [2, 1]
    assert kept.problems == [""]


async def test_an_error_event_in_a_running_watch(server: ApiServer, kept: Kept) -> None:
    put(server, 1)
    await kept.until("10.0.0.1")
    for times, code in enumerate((410, 500), 1):
        await watched(server, times)
        server.end_watches(status_body(code, "too old"))
    await watched(server, 3)
    assert len(lists(server)) == 3


async def test_a_watch_that_ends_in_time_is_resumed(server: ApiServer, kept: Kept) -> None:
    put(server, 1)
    await kept.until("10.0.0.1")
    for times in (1, 2, 3):
        await watched(server, times)
        server.bookmark()
        server.end_watches()
    await watched(server, 4)
    put(server, 2)
    await kept.until("10.0.0.1", "10.0.0.2")
    assert len(lists(server)) == 1


async def test_watches_that_end_at_once_are_told_and_slowed_down(server: ApiServer, kept: Kept) -> None:
    put(server, 1)
    await kept.until("10.0.0.1")
    async with asyncio.timeout(10):
        while not kept.mirror.problem:
            server.end_watches()
            await asyncio.sleep(0.001)
    assert kept.mirror.problem == "the Kubernetes API ends every watch at once"


@pytest.mark.parametrize("steady_s", [0.0, 5.0])
async def test_a_silent_watch_is_given_up_and_listed(
    server: ApiServer, kept: Kept, monkeypatch: pytest.MonkeyPatch, steady_s: float
) -> None:
    monkeypatch.setattr(module, "_STEADY_S", steady_s)
    put(server, 1)
    await kept.until("10.0.0.1")
    await watched(server)
    server.faults.is_silent = True
    monkeypatch.setattr(module, "_SILENCE_S", 0.05)
    server.drop_connections()
    await watched(server)
    put(server, 2)  # of which this watch says nothing
    await kept.until("10.0.0.1", "10.0.0.2")
    assert len(lists(server)) == 2


async def test_a_version_of_the_future_is_left(server: ApiServer, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after the restoration of a backup: the server's versions are behind ours, and the watch says nothing."""
    put(server, 1)
    await kept.until("10.0.0.1")
    await watched(server)
    monkeypatch.setattr(module, "_SILENCE_S", 0.05)
    server.version -= 500
    server.drop_connections()
    put(server, 2)
    await kept.until("10.0.0.1", "10.0.0.2")


async def test_what_is_no_json_is_listed_anew(server: ApiServer, kept: Kept) -> None:
    put(server, 1)
    await kept.until("10.0.0.1")
    await watched(server)
    server.faults.broken_line = b'{"type": "MODIFIED", "object": \n'
    put(server, 2)
    await kept.until("10.0.0.1", "10.0.0.2")
    assert len(lists(server)) == 2


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (500, "<html>oops</html>", "the Kubernetes API answers 500 for endpointslices: <html>oops</html>"),
        (503, "", "the Kubernetes API answers 503 for endpointslices: without a word"),
        (302, "", "the Kubernetes API answers 302"),
        (200, "<html>", "the Kubernetes API sends what is no JSON: b'<html>'"),
        (200, "[]", "the Kubernetes API sends what is no object"),
        (200, '{"items": []}', "the Kubernetes API sends a list of endpointslices that is none"),
        (200, '{"items": {}, "metadata": {"resourceVersion": 5}}', "a list of endpointslices that is none"),
    ],
)
async def test_wrong_answers_to_a_list_are_told_and_change_nothing(
    server: ApiServer, kept: Kept, status: int, body: str, says: str
) -> None:
    put(server, 1)
    await kept.until("10.0.0.1")
    await watched(server)
    server.compact()
    server.faults.refuse = [(410, {}, ""), *[(status, {}, body)] * 3]
    server.drop_connections()
    await until(lambda: says in kept.mirror.problem, f"{says}, not {kept.problems}")
    assert kept.mirror.stale_since
    await kept.until("10.0.0.1")
    assert not kept.mirror.stale_since
    assert 0 not in kept.sizes_since(1)


async def test_an_api_that_is_away_changes_nothing_for_however_long(server: ApiServer, kept: Kept) -> None:
    put(server, 1)
    await kept.until("10.0.0.1")
    await watched(server)
    await server.stop()
    await until(lambda: kept.mirror.problem, "it is told")
    before = kept.mirror.stale_since
    assert 0 < before <= time.monotonic()
    await asyncio.sleep(0.2)
    assert kept.hosts == {"10.0.0.1"}
    assert kept.mirror.stale_since == before
    server.compact()
    put(server, 2)
    await server.start()
    await kept.until("10.0.0.1", "10.0.0.2")
    assert len([problem for problem in kept.problems if problem]) == 1
    assert kept.problems[-1] == ""


@pytest.mark.parametrize(
    ("error", "most_s"),
    [
        (ApiError("refused", UNREACHED), 1.5),
        (ApiError("ends every watch", TOO_SHORT), 10.0),
        (ApiError("broken", 500), 10.0),
        (ApiError("busy", 429, retry_after_s=7.0), 17.0),
        (Silence(), 10.0),
    ],
)
def test_an_api_that_cannot_be_reached_is_tried_often_enough_to_go_on_with_it(
    error: ApiError | Silence, most_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.2)
    monkeypatch.setattr(module, "_LONGEST_PAUSE_S", 10.0)
    after = error.retry_after_s if isinstance(error, ApiError) else 0.0
    pauses = retry_pauses()
    waited = [pause_after(error, pauses) - after for _ in range(12)]
    assert waited[0] <= 0.2
    assert all((most_s - after) / 2 <= pause <= most_s - after for pause in waited[6:])


async def test_an_api_that_is_not_there_at_first(server: ApiServer, tmp_path: Path) -> None:
    port = server.port
    await server.stop()
    async with keeping(server, tmp_path) as kept:
        await until(lambda: kept.mirror.problem, "it is told")
        assert kept.mirror.problem == f"the Kubernetes API at 127.0.0.1:{port} cannot be reached: Connection refused"
        put(server, 1)
        await server.start()
        await kept.until("10.0.0.1")


async def test_a_token_that_was_replaced_is_read_again(server: ApiServer, kept: Kept) -> None:
    put(server, 1)
    await kept.until("10.0.0.1")
    await watched(server)
    server.tokens = {"newer": "tester"}
    kept.kubeconfig.write_text(server.kubeconfig("newer"))
    server.drop_connections()
    put(server, 2)
    await kept.until("10.0.0.1", "10.0.0.2")
    assert kept.problems == [""]


async def test_a_token_that_is_not_valid_is_told_until_there_is_another(server: ApiServer, tmp_path: Path) -> None:
    put(server, 1)
    async with keeping(server, tmp_path, token="old") as kept:
        await until(lambda: "(401)" in kept.mirror.problem, "it is told")
        kept.kubeconfig.write_text(server.kubeconfig())
        await kept.until("10.0.0.1")


async def test_the_rule_that_is_missing_is_spelled_out(server: ApiServer, kept: Kept) -> None:
    server.tokens["secret"] = "system:serviceaccount:default:fairlead"
    await until(lambda: kept.mirror.problem, "it is told")
    assert kept.mirror.problem == (
        "system:serviceaccount:default:fairlead may not list and watch endpointslices in namespace default (403); "
        "add to its Role:\n"
        '- apiGroups: ["discovery.k8s.io"]\n'
        '  resources: ["endpointslices"]\n'
        "  verbs: [list, watch]"
    )
    put(server, 1)
    server.rules["system:serviceaccount:default:fairlead"] = {("list", "endpointslices")}
    await until(lambda: kept.hosts == {"10.0.0.1"}, "the list is used even while the watch is refused")
    assert "403" in kept.mirror.problem
    server.rules["system:serviceaccount:default:fairlead"] = None
    await kept.until("10.0.0.1")


async def test_an_api_that_is_overloaded_is_left_alone_for_as_long_as_it_says(server: ApiServer, kept: Kept) -> None:
    put(server, 1)
    server.faults.refuse = [(429, {"Retry-After": "1"}, "Too many requests, please try again later.")]
    began = time.monotonic()
    await until(lambda: kept.mirror.problem, "it is told")
    assert kept.mirror.problem.endswith("Too many requests, please try again later.")
    await kept.until("10.0.0.1")
    assert time.monotonic() - began >= 1.0


async def test_a_slow_api_is_waited_for(server: ApiServer, kept: Kept) -> None:
    server.faults.slow_s = 0.2
    put(server, 1)
    await kept.until("10.0.0.1")
    assert kept.problems == [""]


async def test_an_object_that_cannot_be_read_stays_as_it_was(
    server: ApiServer, kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    put(server, 1, 2)
    await kept.until("10.0.0.1", "10.0.0.2")
    await watched(server)
    for _ in range(2):
        server.put("endpointslices", endpoint_slice(endpoint("nonsense"), name="my-app-1"))
    put(server, 3)
    await kept.until("10.0.0.1", "10.0.0.2", "10.0.0.3")
    server.compact()
    server.drop_connections()
    await until(lambda: len(lists(server)) == 2, "all is listed anew")
    put(server, 4)
    await kept.until("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")
    assert caplog.text.count("EndpointSlice my-app-1 cannot be read") == 1


async def test_a_slice_that_changes_its_service_leaves_the_old_one(server: ApiServer, kept: Kept) -> None:
    put(server, 1)
    await kept.until("10.0.0.1")
    await watched(server)
    server.put("endpointslices", endpoint_slice(endpoint("10.0.0.1"), name="my-app-1", of="other"))
    await kept.until()


async def test_a_watch_that_breaks_after_a_long_time_is_resumed_and_nobody_notices(
    server: ApiServer, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STEADY_S", 0.0)
    put(server, 1)
    for _ in range(3):
        await kept.until("10.0.0.1")
        await watched(server)
        server.drop_connections()
    put(server, 2)
    await kept.until("10.0.0.1", "10.0.0.2")
    assert len(lists(server)) == 1
    assert kept.problems == [""]


async def test_nothing_is_asked_while_nobody_follows(server: ApiServer, kept: Kept) -> None:
    put(server, 1)
    await kept.until("10.0.0.1")
    await watched(server)
    kept.mirror.unfollow("my-app", kept.tell)
    await until(lambda: server.watching == 0 and not kept.mirror.is_listed, "it rests")
    server.delete("endpointslices", "my-app-1")
    assert not kept.mirror.is_known("my-app")
    kept.mirror.follow("my-app", kept.tell)
    await until(lambda: kept.mirror.is_known("my-app"), "it is known again")
    assert kept.hosts == set()


async def test_whatever_happens_the_copy_becomes_what_there_is(server: ApiServer, kept: Kept) -> None:
    chance = random.Random(7)
    there: set[int] = set()

    def change() -> None:
        number = chance.randrange(1, 20)
        if number in there and chance.random() < 0.5:
            server.delete("endpointslices", f"my-app-{number}")
            there.discard(number)
        else:
            put(server, number)
            there.add(number)

    def break_line() -> None:
        server.faults.broken_line = b"nonsense\n"

    def refuse() -> None:
        server.faults.refuse = [(chance.choice((500, 410, 403, 401, 429)), {}, "no")] * chance.randrange(3)

    faults = [server.drop_connections, server.compact, server.end_watches, server.bookmark, break_line, refuse]
    for _ in range(150):
        change()
        if chance.random() < 0.3:
            chance.choice(faults)()
        if chance.random() < 0.5:
            await asyncio.sleep(chance.random() * 0.005)
    server.faults.refuse, server.faults.broken_line = [], b""
    await kept.until(*(f"10.0.0.{number}" for number in there))
    put(server, 99)
    await kept.until(*(f"10.0.0.{number}" for number in {*there, 99}))
