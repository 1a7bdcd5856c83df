"""Ejection over all workers: accusations and reports decided, published to all, refused by the cap, and probed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from control.helpers import Control, Fake
from control.stage import Peer, Staged, settings
from fairlead.discovery import Found
from fairlead.health.verdicts import Judge
from fairlead.model import Ejection, Endpoint, State, Trigger
from fairlead.observe import api, samples

A, B, C = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"
EMPTY = {"sparse": [], "sum_us": 0}


class Scene:
    """A service "shop" and its workers, at a time that the test sets."""

    def __init__(self, staged: Staged, source: Fake) -> None:
        self.staged = staged
        self.supervisor = staged.supervisor
        self.source = source
        self.now = 1000.0

    @property
    def peers(self) -> list[Peer]:
        return self.staged.peers

    def find(self, *addresses: str, state: State = State.READY) -> None:
        found = Found(tuple(Endpoint(address, 1, state) for address in addresses))
        self.supervisor.services._followed["shop"]._take(self.source, found)
        self.supervisor._publish()

    def accuse(self, peer: Peer, address: str, reason: str = "errors", last: str = "503", limit: int = 5) -> None:
        peer.say("accuse", service="shop", endpoint=address, reason=reason, last=last, limit=limit)
        self.supervisor._publish()

    def tick(self, seconds: float = 1.0) -> None:
        self.now += seconds
        self.supervisor.ejector.tick()
        if self.supervisor.services.current["shop"] is not self.supervisor.snapshot.services["shop"]:
            self.supervisor._publish()
        self.staged.loop.settle()

    def report(self, peer: Peer, *outcomes: tuple[str, int, int, int]) -> None:
        shop = {
            "requests": [],
            "retries": {},
            "retries_exhausted": 0,
            "ttfb": {},
            "in_flight": {},
            "duration": EMPTY,
            "connect": EMPTY,
            "queued": 0,
            "limit": 0,
            "refused": {},
        }
        peer.report(1, shop={**shop, "outcomes": outcomes})

    def states(self) -> list[list[State]]:
        """What each worker was told last."""
        last = [[update for update in peer.updates() if update.services][-1] for peer in self.peers]
        return [[endpoint.state for endpoint in update.services[0].endpoints] for update in last]

    def events(self) -> list[tuple[str, str]]:
        return [(kind, subject) for kind, subject, _ in self.staged.events()]


@pytest.fixture
def scene(stage: Callable[..., Staged], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scene]:
    def begin(*addresses: str, workers: int = 2, rules: Ejection | None = None) -> Scene:
        source = Fake("a source", Control())
        given = settings(source, workers=workers)
        if rules is not None:
            given = replace(given, services={"shop": replace(given.services["shop"], ejection=rules)})
        playing = Scene(stage(given), source)
        monkeypatch.setattr("fairlead.control.ejector.time.monotonic", lambda: playing.now)
        monkeypatch.setattr("fairlead.control.ejector.random.random", lambda: 0.5)
        playing.find(*addresses)
        return playing

    return begin


Begin = Callable[..., Scene]
READY, EJECTED = State.READY, State.EJECTED


async def test_what_one_worker_says_is_published_to_all(scene: Begin) -> None:
    playing = scene(A, B, C)
    playing.accuse(playing.peers[0], A)
    assert playing.states() == [[EJECTED, READY, READY]] * 2
    (verdict,) = playing.supervisor.services.verdicts.of("shop")[A]
    assert (verdict.judge, verdict.state) == (Judge.EJECTION, EJECTED)
    assert verdict.reason.startswith("errors: 5 replies in a row said that it has failed, the last with 503")
    assert verdict.until.startswith("10.0 s have passed")
    assert playing.events() == [("ejected", f"shop {A}")]
    status = playing.supervisor.status()
    assert list(samples.ejections(status)) == [(("shop", A, "errors"), 1)]
    assert dict(samples.endpoints(status))["shop", "ejected"] == 1
    (event,) = status.events
    assert (event.details["threshold"], event.details["out_s"]) == (5, 10.0)


async def test_what_the_cap_forbids_is_given_back_to_the_worker(scene: Begin) -> None:
    playing = scene(A, B)
    playing.accuse(playing.peers[0], A)
    playing.accuse(playing.peers[1], B)
    assert playing.states() == [[EJECTED, READY]] * 2
    assert [message["endpoint"] for message in playing.peers[1].of("refuse")] == [B]
    assert playing.peers[0].of("refuse") == []
    assert playing.events()[-1] == ("ejection-capped", f"shop {B}")


async def test_what_is_found_over_all_workers_is_published(scene: Begin) -> None:
    playing = scene(A, B, C)
    for peer in playing.peers:
        playing.report(peer, (A, 10, 30, 5000), (B, 50, 0, 5000), (C, 50, 0, 5000))
    playing.tick()
    assert playing.states() == [[EJECTED, READY, READY]] * 2
    for _ in range(2):
        playing.report(playing.peers[0], (B, 50, 0, 500_000), (C, 50, 0, 5000))
        playing.tick()
    assert playing.events()[-1] == ("ejection-capped", f"shop {B}")


async def test_a_worker_that_dies_takes_nothing_along(scene: Begin) -> None:
    playing = scene(A, B, C)
    playing.accuse(playing.peers[0], A)
    successor = playing.staged.replace(0)
    (update,) = successor.updates()
    assert [endpoint.state for endpoint in update.services[0].endpoints] == [EJECTED, READY, READY]


async def test_one_worker_probes_and_then_the_other_and_success_returns_it(scene: Begin) -> None:
    playing = scene(A, B, C)
    one, other = playing.peers
    playing.accuse(one, A)
    playing.tick(9.0)
    assert one.of("probe") == []
    playing.tick(1.0)
    assert [message["endpoints"] for message in one.of("probe")] == [{"shop": [A]}]
    assert other.of("probe") == []
    playing.tick(3.0)  # nothing came there
    assert one.of("probe")[-1]["endpoints"] == {}
    assert other.of("probe")[-1]["endpoints"] == {"shop": [A]}
    other.say("probe", service="shop", endpoint=A, failure=None, took_us=0)
    playing.tick(5.0)  # it has begun, and is waited for
    assert other.of("probe")[-1]["endpoints"] == {"shop": [A]}
    other.say("probe", service="shop", endpoint=A, failure="", took_us=4000)
    playing.tick()
    assert playing.states() == [[READY] * 3] * 2
    assert other.of("probe")[-1]["endpoints"] == {}
    assert [kind for kind, _ in playing.events()] == ["ejected", "probing", "returned"]
    assert playing.supervisor.services.verdicts.of("shop") == {}


async def test_a_probe_that_fails_ejects_for_longer(scene: Begin) -> None:
    playing = scene(A, B, C)
    playing.accuse(playing.peers[0], A)
    playing.tick(10.0)
    playing.peers[0].say("probe", service="shop", endpoint=A, failure="503", took_us=10)
    playing.tick(19.0)
    assert [kind for kind, _ in playing.events()] == ["ejected", "probing", "ejected"]
    playing.tick(1.0)
    assert playing.events()[-1][0] == "probing"
    assert list(samples.ejections(playing.supervisor.status())) == [(("shop", A, "errors"), 2)]


async def test_the_turn_of_a_worker_that_died_is_over(scene: Begin) -> None:
    playing = scene(A, B, C)
    playing.accuse(playing.peers[0], A)
    playing.tick(10.0)
    playing.peers[0].say("probe", service="shop", endpoint=A, failure=None, took_us=0)
    playing.staged.replace(0)
    playing.tick(0.1)
    assert playing.peers[1].of("probe")[-1]["endpoints"] == {"shop": [A]}


async def test_silence_is_told_to_all(scene: Begin) -> None:
    playing = scene(A, B, C)
    playing.accuse(playing.peers[0], A, "silence", "620", 500)
    assert [message["endpoint"] for message in playing.peers[1].of("silent")] == [A]
    (verdict,) = playing.supervisor.services.verdicts.of("shop")[A]
    assert "answered nothing for 620 ms" in verdict.reason


async def test_a_dry_run_counts_and_says(scene: Begin) -> None:
    playing = scene(A, B, rules=Ejection(errors=Trigger.DRY_RUN))
    playing.accuse(playing.peers[0], A)
    assert playing.states() == [[READY, READY]] * 2
    assert playing.events() == [("would-eject", f"shop {A}")]
    assert list(samples.ejections(playing.supervisor.status())) == [(("shop", A, "errors-dry-run"), 1)]


async def test_when_the_others_go_it_comes_back(scene: Begin) -> None:
    playing = scene(A, B, C)
    playing.accuse(playing.peers[0], A)
    playing.find(A)
    assert playing.supervisor.snapshot.services["shop"].is_panicking  # at once,
    playing.tick()
    assert playing.states() == [[READY]] * 2  # and for good
    assert playing.supervisor.services.verdicts.of("shop") == {}


async def test_what_has_gone_has_no_verdict(scene: Begin) -> None:
    playing = scene(A, B, C)
    playing.accuse(playing.peers[0], A)
    playing.find(B, C)
    playing.tick()
    assert playing.supervisor.services.verdicts.of("shop") == {}


async def test_panic_is_visible(scene: Begin) -> None:
    playing = scene(A, B, C, rules=Ejection(panic=0.9))
    playing.accuse(playing.peers[0], A)
    playing.tick()
    assert playing.states() == [[READY] * 3] * 2
    assert all(peer.updates()[-1].services[0].is_panicking for peer in playing.peers)
    status = playing.supervisor.status()
    assert list(samples.panic(status)) == [(("shop",), 1)]
    (shop,) = api.services(status)["services"]
    assert shop["notes"][0].startswith("panic: fewer than 90% of the endpoints can be used")
    assert [verdict["judge"] for verdict in shop["endpoints"][0]["verdicts"]] == ["ejection"]
    assert playing.events()[-1] == ("panic", "shop")


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "accuse"},
        {"kind": "accuse", "service": "shop", "endpoint": A, "reason": "boredom", "last": "", "limit": 5},
        {"kind": "probe", "service": "shop"},
    ],
)
async def test_nonsense_costs_its_message_and_no_more(scene: Begin, message: dict[str, Any]) -> None:
    playing = scene(A, B)
    kind = message.pop("kind")
    playing.peers[0].say(kind, **message)
    playing.accuse(playing.peers[0], A)
    assert playing.states() == [[EJECTED, READY]] * 2
