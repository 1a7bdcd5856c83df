"""What the tests start is stopped, whatever becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.harness import Endpoint, Running


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """`start("--listen", ...)` or `start(config_text)`; everything that was started is stopped."""
    running: list[Running] = []

    def begin(*arguments: str) -> Running:
        if len(arguments) == 1 and "\n" in arguments[0]:
            (tmp_path / "fairlead.yaml").write_text(arguments[0])
            arguments = ("-c", str(tmp_path / "fairlead.yaml"))
        running.append(Running(*arguments, cwd=tmp_path))
        return running[-1]

    yield begin
    for each in running:
        each.stop()


@pytest.fixture
def endpoints() -> Iterator[Callable[[str], Endpoint]]:
    """`endpoints("a")` starts an endpoint of that name."""
    opened: list[Endpoint] = []

    def begin(name: str) -> Endpoint:
        opened.append(Endpoint(name))
        return opened[-1]

    yield begin
    for endpoint in opened:
        endpoint.close()
