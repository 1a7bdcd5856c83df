"""One fixture for all that must hold of kustomize's renderings and of the chart's alike."""

from __future__ import annotations

import pytest
from deploy.rendering import CHARTED, KUSTOMIZE, Object, kustomized, rendering


@pytest.fixture(params=[*KUSTOMIZE, *CHARTED])
def name(request: pytest.FixtureRequest) -> str:
    """Of each rendering in turn."""
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture
def manifest(name: str) -> list[Object]:
    return rendering(name)


@pytest.fixture
def with_app(name: str, manifest: list[Object]) -> list[Object]:
    """The manifest and the example, which a gateway's policies speak of."""
    return manifest if name in CHARTED or name == "example" else [*manifest, *kustomized("example")]
