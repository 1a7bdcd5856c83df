"""The chart gives what kustomize gives, and only takes values that it understands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import fairlead
import pytest
import yaml
from deploy.rendering import CHART, NAMESPACE, VERSIONS, Object, helm, kustomized, objects, of_kind, rendering

from deploy import rules

OF_THE_CHART = {
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}


def normalised(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Without the labels that say which release it is, and with the configuration read."""
    if isinstance(value, dict):
        return {
            key: yaml.safe_load(item) if key == "fairlead.yaml" else normalised(item)
            for key, item in value.items()
            if key not in OF_THE_CHART
        }
    return [normalised(item) for item in value] if isinstance(value, list) else value


def by_name(manifest: list[Object]) -> dict[str, Any]:
    found = {f"{each['kind']} {each['metadata']['name']}": normalised(each) for each in manifest}
    assert len(found) == len(manifest)
    for each in found.values():
        if each["kind"] == "ConfigMap":  # 10s and 10 are the same
            drain = each["data"]["fairlead.yaml"]["drain"]
            drain.update({key: rules.seconds(value) for key, value in drain.items()})
    return found


@pytest.mark.parametrize("mode", ["gateway", "sidecar", "gateway with everything", "sidecar with everything"])
def test_both_give_the_same(mode: str) -> None:
    expected = by_name([*kustomized(mode), *kustomized("example")])
    del expected[f"Namespace {NAMESPACE}"]  # Helm's own business: --create-namespace
    assert by_name(rendering(f"chart {mode}")) == expected


def test_it_renders_for_every_version_and_no_older_one() -> None:
    values: list[dict[str, Any]] = [{}]
    renderings = [objects(helm(values, version)[0]) for version in (VERSIONS[0], VERSIONS[-1])]
    assert renderings[0] == renderings[1]
    assert "requires kubeVersion" in helm(values, "1.29")[0]["error"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"mode": "ambient"}, "/mode"),
    ({"replicas": 3}, "replicas"),
    ({"drain": {"delaySeconds": "10s"}}, "/drain/delaySeconds"),
    ({"gateway": {"service": {"port": 0}}}, "/gateway/service/port"),
    ({"rbac": {"namespaces": ["a", "a"]}}, "/rbac/namespaces"),
    ({"image": {"repository": ""}}, "/image/repository"),
    ({"sidecar": {"listen": "127.0.0.1"}}, "/sidecar/listen"),
]


def test_wrong_values_are_refused_by_name() -> None:
    for (_, place), answer in zip(WRONG, helm([values for values, _ in WRONG]), strict=True):
        assert place in answer.get("error", "it was taken")


def test_what_can_be_chosen() -> None:
    elsewhere, own, bare, third = (
        objects(answer)
        for answer in helm(
            [
                {"app": {"namespace": "shop", "service": "web", "port": 8443}, "rbac": {"namespaces": ["other"]}},
                {"config": {"listeners": {"web": {"bind": "0.0.0.0:8080"}}, "services": {"a": {"endpoints": "x"}}}},
                {
                    "gateway": {"podDisruptionBudget": {"enabled": False}, "networkPolicy": {"enabled": False}},
                    "prometheus": {"annotations": False},
                    "image": {"repository": "registry.example.com/fairlead", "tag": "1"},
                },
                {"drain": {"delaySeconds": 3, "limitSeconds": 4}, "gateway": {"podAnnotations": {"a": "b"}}},
            ]
        )
    )
    assert rules.configuration(elsewhere)[1]["services"]["web"]["endpoints"] == "k8s://shop/web:8443"
    assert [each["metadata"]["namespace"] for each in of_kind(elsewhere, "Role")] == ["shop", "other"]
    assert {each["subjects"][0]["namespace"] for each in of_kind(elsewhere, "RoleBinding")} == {NAMESPACE}
    assert rules.configuration(own)[1]["services"] == {"a": {"endpoints": "x"}}
    assert {each["kind"] for each in bare} & {"NetworkPolicy", "PodDisruptionBudget"} == set()
    template = of_kind(bare, "Deployment")[0]["spec"]["template"]
    assert "annotations" not in template["metadata"]
    assert template["spec"]["containers"][0]["image"] == "registry.example.com/fairlead:1"
    assert list(rules.disagreements(third)) == []
    annotations = of_kind(third, "Deployment")[0]["spec"]["template"]["metadata"]["annotations"]
    assert annotations.keys() == {"a", "prometheus.io/scrape", "prometheus.io/port", "prometheus.io/path"}


def test_the_notes_say_where_to_look() -> None:
    gateway, sidecar = (answer["notes"] for answer in helm([{}, {"mode": "sidecar"}], release="edge"))
    assert f"http://edge-fairlead.{NAMESPACE}:80" in gateway
    assert f"{NAMESPACE}/my-app:http" in gateway
    assert "serviceAccountName: edge-fairlead" in sidecar


def test_its_versions_are_those_of_this_tree() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (fairlead.__version__, fairlead.__version__)


def test_every_value_has_its_place_in_the_schema() -> None:
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values.keys() == schema["properties"].keys() - {"global"}
    used = "".join(path.read_text() for path in Path(CHART, "templates").rglob("*") if path.is_file())
    assert {name for name in values if not re.search(rf"\.Values\.{name}\b", used)} == set()
