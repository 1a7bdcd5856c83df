"""Whatever a test of the control plane opens is closed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from control.helpers import descriptors
from control.stage import Staged
from fairlead.settings import Settings


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = without_pipes()
    yield
    assert without_pipes() == before


def without_pipes() -> dict[int, str]:
    """The loop keeps one for signals, from the first signal handler or process on."""
    return {fd: link for fd, link in descriptors().items() if not link.startswith("pipe:")}


@pytest.fixture
def stage() -> Iterator[Callable[..., Staged]]:
    stages: list[Staged] = []

    def begin(given: Settings, file: Path | None = None) -> Staged:
        stages.append(Staged(given, file))
        return stages[-1]

    yield begin
    for staged in stages:
        staged.close()
