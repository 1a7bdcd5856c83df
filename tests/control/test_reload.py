"""A new configuration in place of the old: whole or not at all, one at a time, and never while draining."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from control.helpers import Control, Fake, until
from control.stage import L4, LOCAL, WEB, Staged, found, settings
from fairlead import config
from fairlead.autoscale.settings import Described, MetricsApi
from fairlead.control import supervisor as module
from fairlead.errors import ConfigError
from fairlead.observe.status import Phase
from fairlead.settings import AccessLog, Settings

Stage = Callable[..., Staged]
FILE = Path("fairlead.yaml")


class Loader:
    """In the place of `config.load`: gives the settings that a test wants, and can be made to wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gives: Settings | Exception = ConfigError(["fairlead.yaml:1: it: is not there"])
        self.loads = 0
        monkeypatch.setattr(config, "load", self)

    def __call__(self, path: Path) -> Settings:
        self.loads += 1
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Loader:
    return Loader(monkeypatch)


@pytest.fixture(autouse=True)
def sources_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_S", 0.0)


async def test_listeners_come_and_go(stage: Stage, loader: Loader) -> None:
    staged = stage(settings(), FILE)
    (peer,) = staged.peers
    staged.publish("10.0.0.1:80")
    loader.gives = settings(listeners=(WEB, L4))
    await staged.supervisor.reload()
    assert peer.updates()[-1].listeners == (L4,)
    assert peer.sockets.keys() == {"web", "l4"}
    loader.gives = settings(listeners=(L4,))
    await staged.supervisor.reload()
    assert peer.updates()[-1].gone_listeners == ("web",)
    assert len(peer.of("socket")) == 2
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", peer.sockets["web"]))
    assert [kind for kind, _, _ in staged.events()] == ["config-loaded"] * 2
    assert staged.supervisor.status().config["listeners"].keys() == {"l4"}


async def test_a_broken_file_changes_nothing_and_says_why(
    stage: Stage, loader: Loader, caplog: pytest.LogCaptureFixture
) -> None:
    staged = stage(settings(), FILE)
    staged.publish("10.0.0.1:80")
    await staged.supervisor.reload()
    assert staged.supervisor.snapshot.version == 1
    assert staged.supervisor.status().config_problems == ["fairlead.yaml:1: it: is not there"]
    assert staged.events() == [("config-refused", "fairlead.yaml", "fairlead.yaml:1: it: is not there")]
    assert "the old one stays in force" in caplog.text
    loader.gives = settings()
    await staged.supervisor.reload()
    assert staged.supervisor.status().config_problems == []


async def test_an_address_in_use_refuses_the_whole(stage: Stage, loader: Loader) -> None:
    staged = stage(settings(), FILE)
    staged.publish("10.0.0.1:80")
    with socket.create_server(("127.0.0.1", 0)) as other:
        busy = f"127.0.0.1:{other.getsockname()[1]}"
        loader.gives = settings(listeners=(L4, type(WEB)(name="busy", bind=busy)))
        await staged.supervisor.reload()
    assert staged.supervisor.snapshot.version == 1
    assert "in use" in staged.supervisor.status().config_problems[0]
    assert staged.supervisor.sockets.address("l4", LOCAL) == LOCAL  # it was closed again


async def test_one_that_came_from_the_command_line_stays(stage: Stage, loader: Loader) -> None:
    staged = stage(settings())
    await staged.supervisor.reload()
    assert loader.loads == 0


async def test_the_old_serves_and_changes_while_the_new_waits_for_its_sources(
    stage: Stage, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_S", 20.0)
    old, new = found("10.0.0.1:80"), Fake("new", Control())
    staged = stage(settings(old), FILE)
    (peer,) = staged.peers
    following = asyncio.ensure_future(staged.supervisor.services.run())
    await staged.supervisor._load()
    loader.gives = settings(new, listeners=(WEB, L4))
    reloading = asyncio.ensure_future(staged.supervisor.reload())
    await until(lambda: new.control.begun, "the new source is asked")
    old.control.find("10.0.0.9:80")
    await until(lambda: staged.supervisor.snapshot.version == 2, "a change")
    assert [endpoint.address for endpoint in peer.updates()[-1].services[0].endpoints] == ["10.0.0.9:80"]
    assert peer.updates()[-1].listeners == ()
    new.control.find("10.0.0.5:80")
    await reloading
    update = peer.updates()[-1]
    assert (update.version, update.listeners) == (3, (L4,))
    assert [endpoint.address for endpoint in update.services[0].endpoints] == ["10.0.0.5:80"]
    following.cancel()
    await asyncio.wait([following])


async def test_reloads_do_not_overlap(stage: Stage, loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_S", 20.0)
    slow = Fake("slow", Control())
    staged = stage(settings(), FILE)
    following = asyncio.ensure_future(staged.supervisor.services.run())
    staged.publish("10.0.0.1:80")
    loader.gives = settings(slow)
    first = asyncio.ensure_future(staged.supervisor.reload())
    await until(lambda: slow.control.begun, "the first waits for its source")
    second = asyncio.ensure_future(staged.supervisor.reload())
    await asyncio.sleep(0.01)
    assert (loader.loads, first.done(), second.done()) == (1, False, False)
    slow.control.find("10.0.0.2:80")
    await first
    await second
    assert loader.loads == 2
    assert [kind for kind, _, _ in staged.events()] == ["config-loaded"] * 2
    following.cancel()
    await asyncio.wait([following])


@pytest.mark.parametrize("moment", ["before", "while it waits for its sources", "after accepting has ended"])
async def test_nothing_is_taken_on_while_draining(
    stage: Stage, loader: Loader, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = stage(settings(), FILE)
    staged.publish("10.0.0.1:80")
    loader.gives = settings(listeners=(WEB, L4))
    if moment == "before":
        staged.supervisor.phase = Phase.DRAINING
    else:

        async def first_found(limit_s: float) -> None:
            staged.supervisor.phase = Phase.DRAINING
            if moment == "after accepting has ended":
                staged.supervisor.sockets.keep({})

        monkeypatch.setattr(staged.supervisor.services, "first_found", first_found)
    await staged.supervisor.reload()
    assert staged.supervisor.snapshot.version == 1
    assert staged.supervisor.settings.listeners.keys() == {"web"}
    assert staged.supervisor.sockets.address("l4", LOCAL) == LOCAL  # not open: nobody would accept


async def test_a_reload_opens_the_access_log_anew(stage: Stage, loader: Loader) -> None:
    staged = stage(settings(), FILE)
    (peer,) = staged.peers
    staged.publish("10.0.0.1:80")
    assert len(peer.of("access-log")) == 1
    loader.gives = settings()
    await staged.supervisor.reload()
    assert len(peer.of("access-log")) == 1  # there was none, and there is none
    logged = replace(loader.gives, access_log=AccessLog(to=os.devnull, sample=0.5))
    loader.gives = logged
    await staged.supervisor.reload()
    await staged.supervisor.reload()
    assert peer.of("access-log")[1:] == [
        {"type": "access-log", "to": os.devnull, "format": "json", "sample": 0.5}
    ] * 2  # fmt: skip


async def test_what_needs_a_restart_says_so(stage: Stage, loader: Loader, caplog: pytest.LogCaptureFixture) -> None:
    staged = stage(settings(), FILE)
    staged.publish("10.0.0.1:80")
    loader.gives = settings(workers=5)
    await staged.supervisor.reload()
    assert "workers has changed from 1 to 5: that takes effect at the next start" in caplog.text
    assert len(staged.supervisor.workers) == 1


async def test_what_the_metrics_api_says_of_services_needs_no_restart(
    stage: Stage, loader: Loader, caplog: pytest.LogCaptureFixture
) -> None:
    staged = stage(settings(), FILE)
    staged.publish("10.0.0.1:80")
    loader.gives = replace(settings(), metrics_api=MetricsApi(services={"shop": Described(name="shop")}))
    await staged.supervisor.reload()
    assert "next start" not in caplog.text
    loader.gives = replace(settings(), metrics_api=MetricsApi(window_s=60.0))
    await staged.supervisor.reload()
    assert "metrics_api has changed" in caplog.text
