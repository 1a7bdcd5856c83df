"""A stand-in API server for each test, and time that runs fast for what follows it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fairlead.discovery.kubernetes import mirror
from fairlead.discovery.kubernetes.access import Access
from fairlead.discovery.kubernetes.source import KubernetesSource, parse
from fairlead.discovery.kubernetes.weights import Weights
from kubernetes.api_server import ApiServer, serving

SourceOf = Callable[..., KubernetesSource]


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds; what is a minute is a second."""
    monkeypatch.setattr(mirror, "_FIRST_PAUSE_S", 0.002)
    monkeypatch.setattr(mirror, "_LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(mirror, "_GATHER_S", 0.002)
    monkeypatch.delenv("NODE_NAME", raising=False)
    monkeypatch.delenv("NODE_ZONE", raising=False)


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with serving() as server:
        yield server


@pytest.fixture
def source_of(server: ApiServer, tmp_path: Path) -> SourceOf:
    """`source_of("k8s://default/my-app:http")` is that source at the server."""

    def make(
        text: str = "k8s://default/my-app:http", weights: str = "equal", token: str = "secret"
    ) -> KubernetesSource:
        path = tmp_path / "kubeconfig"
        path.write_text(server.kubeconfig(token))
        return replace(parse(text, 1, tmp_path), weights=Weights(weights), access=Access(str(path)))

    return make
