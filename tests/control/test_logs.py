"""What the processes say: one line for each thing, however often it happens."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest
from fairlead.control.logs import Seldom, configure_logging

LOGGER = logging.getLogger("fairlead.test")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def restored() -> Iterator[None]:
    """Logging is the process's own: what other tests capture must not change."""
    logger = logging.getLogger("fairlead")
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)


def fault(text: str) -> BaseException:
    try:
        raise RuntimeError(text)
    except RuntimeError as error:
        return error


def test_a_fault_is_told_once_and_counted(clock: list[float], caplog: pytest.LogCaptureFixture) -> None:
    seldom = Seldom(LOGGER)
    for n in range(50):
        seldom.error("a request failed", fault(f"10.0.0.{n}:80 is odd"))  # one bug, whatever its text
    assert [record.message for record in caplog.records] == ["a request failed (0 more since the last line)"]
    assert "10.0.0.0:80 is odd" in caplog.text
    clock[0] += 11
    seldom.error("a request failed", fault("again"))
    assert caplog.records[-1].message == "a request failed (49 more since the last line)"


@pytest.mark.usefixtures("clock")
def test_different_faults_are_told_each(caplog: pytest.LogCaptureFixture) -> None:
    seldom = Seldom(LOGGER)
    seldom.error("a request failed", fault("x"))
    seldom.error("a session failed", fault("x"))
    seldom.error("a request failed", ValueError("x"))
    assert len(caplog.records) == 3


@pytest.mark.usefixtures("restored")
def test_lines_have_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging()
    configure_logging()  # again: not twice the lines
    LOGGER.info("ready")
    LOGGER.debug("not said")
    (line,) = capsys.readouterr().err.splitlines()
    date, level, text = line.split()
    assert (date[10], date[-1], level, text) == ("T", "Z", "INFO", "ready")
