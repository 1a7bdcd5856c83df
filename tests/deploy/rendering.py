"""The manifests as a cluster would be given them: rendered by kubectl's kustomize, and by Helm's own library.

Each rendering is a list of objects. What a tool needs that is not on this machine is said in the reason of the skip.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"
CHART: Final = DEPLOY / "helm/fairlead"
VERSIONS: Final = [f"1.{minor}" for minor in range(30, 38)]
NAMESPACE: Final = "my-namespace"

_COMPONENTS: Final = ["components/pod-weights", "components/zone", "components/scale-from-zero"]

KUSTOMIZE: Final[Mapping[str, tuple[list[str], list[str]]]] = {  # name -> resources, components
    "example": (["example"], []),
    "gateway": (["overlays/gateway"], []),
    "sidecar": (["overlays/sidecar"], []),
    "gateway with everything": (["overlays/gateway"], _COMPONENTS),
    "sidecar with everything": (["overlays/sidecar"], _COMPONENTS),
}

_EXAMPLE: Final = {"example": {"enabled": True}}
_EVERYTHING: Final = {"rbac": {"podWeights": True, "scaleFromZero": True, "zone": True}}
CHARTED: Final[Mapping[str, Mapping[str, Any]]] = {  # name -> values
    "chart gateway": {"mode": "gateway", **_EXAMPLE},
    "chart sidecar": {"mode": "sidecar", **_EXAMPLE},
    "chart gateway with everything": {"mode": "gateway", **_EXAMPLE, **_EVERYTHING},
    "chart sidecar with everything": {"mode": "sidecar", **_EXAMPLE, **_EVERYTHING},
}

Object = dict[str, Any]


def rendering(name: str) -> list[Object]:
    """The objects of one of KUSTOMIZE or CHARTED; skips without the tool."""
    return copy.deepcopy(_charted()[name]) if name in CHARTED else kustomized(name)


@functools.cache
def _charted() -> dict[str, list[Object]]:
    """All at once: loading Helm's library takes longer than rendering."""
    return {name: objects(answer) for name, answer in zip(CHARTED, helm(list(CHARTED.values())), strict=True)}


@functools.cache
def _kustomized(name: str) -> list[Object]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on this machine")
    resources, components = KUSTOMIZE[name]
    with tempfile.TemporaryDirectory() as folder:

        def relative(paths: list[str]) -> list[str]:
            return [os.path.relpath(DEPLOY / "kustomize" / path, Path(folder).resolve()) for path in paths]

        made = {"resources": relative(resources), "components": relative(components)}
        Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(made))
        done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each is not None]


def kustomized(name: str) -> list[Object]:
    """The objects of one of KUSTOMIZE; skips without kubectl."""
    return copy.deepcopy(_kustomized(name))


def helm_python() -> str:
    """The Python that has Helm's library; skips when none has."""
    for python in (str(ROOT / ".venv/helm/bin/python"), sys.executable):
        if (
            shutil.which(python)
            and not subprocess.run(
                [python, "-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('helm_sdkpy') is None)"],
                timeout=60,
            ).returncode
        ):
            return python
    pytest.skip("Helm's library is not in .venv/helm: `make deploy-check` puts it there")


def helm(
    wanted: Sequence[Mapping[str, Any]], version: str = VERSIONS[0], release: str = "fairlead"
) -> list[dict[str, str]]:
    """What Helm makes of the chart with each of the values: `manifest` and `notes`, or `error`."""
    requests = [
        {"chart": str(CHART), "release": release, "namespace": NAMESPACE, "values": values, "version": version}
        for values in wanted
    ]
    done = subprocess.run(
        [helm_python(), str(Path(__file__).with_name("helm_render.py"))],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, str]] = json.loads(done.stdout)
    return answers


def objects(answer: Mapping[str, str]) -> list[Object]:
    assert "error" not in answer, answer["error"]
    return [each for each in yaml.safe_load_all(answer["manifest"]) if each is not None]


def pods(manifest: Sequence[Object]) -> Iterator[tuple[str, Object]]:
    """The pod templates by the name of what makes pods of them."""
    for each in manifest:
        if each["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
            yield f"{each['kind']} {each['metadata']['name']}", each["spec"]["template"]


def of_kind(manifest: Sequence[Object], kind: str) -> list[Object]:
    return [each for each in manifest if each["kind"] == kind]


def containers(spec: Object) -> list[Object]:
    return [*spec.get("initContainers", []), *spec["containers"]]


def fairlead_container(spec: Object) -> Object | None:
    return next((each for each in containers(spec) if each["name"] == "fairlead"), None)
