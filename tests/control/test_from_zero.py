"""A service scaled to zero gets a replica when somebody waits for it, against the stand-in for the API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from control.helpers import until
from fairlead import discovery
from fairlead.control import from_zero as module
from fairlead.control.from_zero import FromZero
from fairlead.discovery.kubernetes.scale import Target, parse_target
from fairlead.settings import ServiceSettings
from kubernetes.api_server import ApiServer, serving

APP = "/apis/apps/v1/namespaces/default/deployments/my-app"


class Raising:
    """What is under test, running; `waits` is whether requests wait."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.server = server
        self.waits = True
        self.events: list[tuple[str, str, str]] = []
        self.from_zero = FromZero(lambda *event: self.events.append(event), lambda _: self.waits)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(server.kubeconfig())
        source = discovery.with_access(discovery.parse("k8s://default/my-app:http", 1, folder), str(kubeconfig), "")
        self.settings = ServiceSettings(name="shop", sources=(source,), scale_from_zero="deployment/my-app")
        other = ServiceSettings(name="other", sources=(source,))
        self.from_zero.configure({"shop": self.settings, "other": other})

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _, _ in self.events]


@pytest.fixture
async def raising(tmp_path: Path) -> AsyncIterator[Raising]:
    async with serving() as server:
        made = Raising(server, tmp_path)
        running = asyncio.ensure_future(made.from_zero.run())
        yield made
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_the_first_who_waits_gets_a_replica(raising: Raising) -> None:
    raising.server.scales[APP] = 0
    raising.from_zero.want("shop")
    raising.from_zero.want("shop")  # of another worker: one is enough
    await until(lambda: raising.events, "an event")
    assert raising.server.scales[APP] == 1
    assert raising.events == [
        ("scaled-from-zero", "shop", "deployment/my-app goes from 0 to 1, as a request waits"),
    ]
    assert raising.server.requests == [f"{APP}/scale"] * 2


async def test_what_has_replicas_is_left_alone(raising: Raising) -> None:
    raising.server.scales[APP] = 3
    raising.from_zero.want("shop")
    await until(lambda: raising.server.requests and not raising.from_zero._raising, "a look at it")
    assert raising.server.scales[APP] == 3
    assert raising.events == []


async def test_a_service_without_the_option_is_left_alone(raising: Raising) -> None:
    raising.server.scales[APP] = 0
    raising.from_zero.want("other")
    raising.from_zero.want("unknown")
    raising.from_zero.want("shop")
    await until(lambda: raising.events, "an event")
    assert [subject for _, subject, _ in raising.events] == ["shop"]


async def test_who_changes_it_at_the_same_moment_goes_first(raising: Raising) -> None:
    raising.server.scales[APP] = 0
    raising.server.scale_conflicts = 1
    raising.from_zero.want("shop")
    await until(lambda: raising.events, "an event")
    assert raising.kinds == ["scaled-from-zero"]
    assert len(raising.server.requests) == 4  # look, change, look, change


async def test_a_missing_right_is_named_and_tried_again_while_somebody_waits(
    raising: Raising, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSES_S", (0.01,))
    raising.server.scales[APP] = 0
    raising.server.rules["tester"] = {("get", "deployments/scale")}
    raising.from_zero.want("shop")
    await until(lambda: len(raising.server.requests) > 4, "another try")
    ((kind, service, text),) = raising.events
    assert (kind, service) == ("scale-failed", "shop")
    assert "403" in text
    assert 'resources: ["deployments/scale"]\n  verbs: [get, patch]' in text
    raising.server.rules["tester"] = None
    await until(lambda: len(raising.events) > 1, "success")
    assert raising.kinds == ["scale-failed", "scaled-from-zero"]
    assert raising.server.scales[APP] == 1


async def test_when_nobody_waits_any_more_it_is_given_up(raising: Raising, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES_S", (0.01,))
    raising.waits = False
    raising.from_zero.want("shop")
    await until(lambda: raising.events, "an event")
    await until(lambda: not raising.from_zero._raising, "the end of it")
    assert raising.kinds == ["scale-failed"]
    assert "404" in raising.events[0][2]
    assert len(raising.server.requests) == 1
    raising.server.scales[APP] = 0
    raising.from_zero.want("shop")  # the next who waits
    await until(lambda: len(raising.events) == 2, "an event")
    assert raising.server.scales[APP] == 1


async def test_an_api_that_is_away_is_waited_for(raising: Raising, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES_S", (0.01,))
    raising.server.scales[APP] = 0
    await raising.server.stop()
    raising.from_zero.want("shop")
    await until(lambda: raising.events, "an event")
    await raising.server.start()
    await until(lambda: "scaled-from-zero" in raising.kinds, "success")


async def test_a_configuration_without_it_ends_the_attempts(raising: Raising, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSES_S", (0.01,))
    raising.from_zero.want("shop")
    await until(lambda: raising.events, "an event")
    raising.from_zero.configure({"shop": replace(raising.settings, scale_from_zero="")})
    await until(lambda: not raising.from_zero._raising, "the end of it")


def test_what_can_be_scaled() -> None:
    assert parse_target("statefulset/db-0.x") == Target("statefulset", "db-0.x")
    for text in ("", "my-app", "pod/my-app", "deployment/", "deployment/My_App", "deployment/a/b", "deployment/../x"):
        with pytest.raises(ValueError, match="must be deployment/NAME"):
            parse_target(text)
