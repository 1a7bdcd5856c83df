"""The manifests name what there is: groups, versions, metrics, and settings that are read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fairlead.autoscale.metrics import METRICS
from fairlead.autoscale.requests import VERSIONS
from fairlead.config import parse

FOLDER = Path(__file__).parents[2] / "deploy" / "kustomize" / "components" / "metrics-api"
HPAS = sorted((FOLDER / "hpa").glob("*.yaml"))


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def metrics_of(hpa: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for metric in hpa["spec"]["metrics"]:
        kind = metric["type"]
        yield kind, metric[kind.lower()]


def test_each_group_and_version_is_registered_with_the_same_service() -> None:
    services = documents(FOLDER / "service.yaml")
    found = documents(FOLDER / "apiservices.yaml")
    specs = [each["spec"] for each in found]
    assert {(spec["group"], spec["version"]) for spec in specs} == {
        (group, version) for group, versions in VERSIONS.items() for version in versions
    }
    assert [each["metadata"]["name"] for each in found] == [f"{spec['version']}.{spec['group']}" for spec in specs]
    (service,) = services
    for spec in specs:
        assert spec["service"] == {
            "name": service["metadata"]["name"],
            "namespace": service["metadata"]["namespace"],
            "port": service["spec"]["ports"][0]["port"],
        }


def test_the_preferred_version_is_v1beta2() -> None:
    priorities = {
        each["spec"]["version"]: each["spec"]["versionPriority"]
        for each in documents(FOLDER / "apiservices.yaml")
        if each["spec"]["group"] == "custom.metrics.k8s.io"
    }
    assert max(priorities, key=lambda version: priorities[version]) == VERSIONS["custom.metrics.k8s.io"][0]


def test_the_configuration_is_read() -> None:
    text = (FOLDER / "fairlead.yaml").read_text()
    text = re.sub(r"k8s://[\w/-]+:\w+", "dns://my-app:8080", text)
    settings = parse(text, "fairlead.yaml", FOLDER)
    (service,) = documents(FOLDER / "service.yaml")
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    assert settings.metrics_api.server_names == (f"{name}.{namespace}.svc",)
    assert settings.metrics_api.bind.endswith(":6443")


@pytest.mark.parametrize("path", HPAS, ids=lambda path: path.stem)
def test_autoscalers_name_metrics_that_there_are(path: Path) -> None:
    (hpa,) = documents(path)
    assert (hpa["apiVersion"], hpa["kind"]) == ("autoscaling/v2", "HorizontalPodAutoscaler")
    for kind, metric in metrics_of(hpa):
        known = METRICS[metric["metric"]["name"]]
        assert kind != "Pods" or known.of_pods
        assert kind != "External" or metric["metric"]["selector"] == {"matchLabels": {"service": "my-app"}}
        assert kind != "Object" or metric["describedObject"]["kind"] == "Service"


def test_there_is_an_example_of_each_api() -> None:
    kinds = {kind for path in HPAS for hpa in documents(path) for kind, _ in metrics_of(hpa)}
    assert kinds == {"Object", "Pods", "External"}
