"""What is said of checks: once for each change, as loudly as it matters, and in sum when hundreds change at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
from control.helpers import Control, Fake, until
from fairlead.control import chorus
from fairlead.control.checking import CheckVoice
from fairlead.control.services import Services
from fairlead.health.checks.settings import CheckSettings
from fairlead.health.checks.watched import Turn
from fairlead.model import State
from fairlead.settings import ServiceSettings

LOGGER = "fairlead.checks"


def turn(is_up: bool = False, was_used: bool = True, address: str = "10.0.0.1:80") -> Turn:
    reason = "2 of 2 checks passed" if is_up else "3 of 3 checks failed: status 503"
    until = "" if is_up else "2 checks in a row pass"
    return Turn("shop", address, is_up, was_used, reason, until, {"result": "wrong-reply"})


class Told:
    """The events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, Mapping[str, object] | None]] = []

    def __call__(self, kind: str, subject: str, text: str, details: Mapping[str, object] | None = None, /) -> None:
        self.events.append((kind, subject, text, details))


async def test_a_failure_and_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", LOGGER)
    told = Told()
    voice = CheckVoice(told)
    voice.turned(turn())
    voice.turned(turn(is_up=True))
    assert told.events == [
        (
            "check-failed",
            "shop",
            "10.0.0.1:80: 3 of 3 checks failed: status 503; until 2 checks in a row pass",
            {"result": "wrong-reply"},
        ),
        ("check-passed", "shop", "10.0.0.1:80: 2 of 2 checks passed", {"result": "wrong-reply"}),
    ]
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "service shop: 10.0.0.1:80 is not used: 3 of 3 checks failed: status 503"),
        ("INFO", "service shop: 10.0.0.1:80 passes its checks again: 2 of 2 checks passed"),
    ]


async def test_what_was_not_used_anyway_is_no_reason_to_warn(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", LOGGER)
    CheckVoice(Told()).turned(turn(was_used=False))
    assert [record.levelname for record in caplog.records] == ["INFO"]


async def test_hundreds_are_summed_up(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chorus, "_MOMENT_S", 0.05)
    caplog.set_level("INFO", LOGGER)
    told = Told()
    voice = CheckVoice(told)
    for is_up, count in ((False, 6), (True, 12)):
        for last in range(100):
            voice.turned(turn(is_up, address=f"10.0.0.{last}:80"))
        await until(lambda: len(told.events) == count, "the sum")  # noqa: B023 (it is waited for here)
    assert told.events[5][2] == "95 more endpoints of service shop: 3 of 3 checks failed: status 503"
    assert told.events[11][2] == "95 more endpoints of service shop: 2 of 2 checks passed"
    assert len(caplog.records) == 12


@pytest.mark.parametrize(
    ("is_ignored", "follows"),
    [(False, "requests get no-endpoint"), (True, "they are used as if they were not checked")],
)
def test_that_all_fail_is_an_error_with_what_follows(
    caplog: pytest.LogCaptureFixture, is_ignored: bool, follows: str
) -> None:
    told = Told()
    voice = CheckVoice(told)
    voice.all_failed("shop", True, is_ignored)
    voice.all_failed("shop", False, False)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        f"service shop: every endpoint fails its checks; {follows}"
    ]
    assert [kind for kind, *_ in told.events] == ["checks-all-failed", "checks-all-failed-over"]


def test_a_bug_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    CheckVoice(Told()).fault("a handler failed", ZeroDivisionError())
    assert "a handler failed" in caplog.text


@asynccontextmanager
async def services(checks: CheckSettings, source: Fake) -> AsyncIterator[Services]:
    """A service that is followed and checked."""
    followed = Services(lambda: None, Told())
    settings = {"shop": ServiceSettings(name="shop", sources=(source,), checks=checks)}
    followed.prepare(settings)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(followed.run())
        await followed.first_found(20)
        followed.configure(settings)
        yield followed
        task.cancel()


async def test_a_service_has_the_states_that_follow_from_its_checks() -> None:
    quick = CheckSettings(kind="tcp", initial="down", interval_s=0.1, fast_interval_s=0.1, fall=1, rise=1)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    source = Fake("found", Control())
    source.control.find(address)
    async with services(quick, source) as followed:
        first = followed.current["shop"]
        assert [endpoint.state for endpoint in first.endpoints] == [State.UNREADY]  # from its first version on
        await until(lambda: followed.current["shop"].endpoints[0].state is State.READY, "it passes")
        assert followed.current["shop"].version > first.version
        server.close()
        await until(lambda: followed.current["shop"].endpoints[0].state is State.UNREADY, "it fails")
        followed.configure({"shop": ServiceSettings(name="shop", sources=(source,))})
        assert followed.current["shop"].endpoints[0].state is State.READY
