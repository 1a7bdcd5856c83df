"""Every object is one that each supported version of Kubernetes knows, without an unknown field."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from deploy.rendering import CHARTED, KUSTOMIZE, VERSIONS, Object, rendering


def unique(names: Iterable[str]) -> list[Object]:
    """Of all renderings, each object once: a validation takes 50 ms."""
    found: list[Object] = []
    for name in names:
        found += [each for each in rendering(name) if each not in found]
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("names", [KUSTOMIZE, CHARTED], ids=["kustomize", "chart"])
def test_kubernetes_accepts(names: Iterable[str], version: str) -> None:
    validator = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate is not installed: `make deploy-check` does it (108 MB)"
    )
    for each in unique(names):
        validator.validate(each, version, strict=True)


def test_the_validator_would_find_a_mistake() -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"port": 80}}
    with pytest.raises(validator.ValidationError):
        validator.validate(service, VERSIONS[0], strict=True)
