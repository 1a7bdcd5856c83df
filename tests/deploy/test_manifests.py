"""What must hold of everything that a cluster is given, by kustomize or by the chart."""

from __future__ import annotations

from pathlib import Path

import fairlead
import pytest
from deploy.pod_security import violations
from deploy.rendering import Object, containers, fairlead_container, of_kind, pods
from fairlead.cli import main
from fairlead.discovery import SOURCES

from deploy import rules


def test_pods_are_restricted(manifest: list[Object]) -> None:
    found = {name: violations(template["spec"]) for name, template in pods(manifest)}
    assert found == {name: [] for name in found}
    assert found


def test_selectors_choose_pods(manifest: list[Object], with_app: list[Object]) -> None:
    assert list(rules.selectors_without_pods(manifest, with_app)) == []


def test_ports_are_there(with_app: list[Object]) -> None:
    assert list(rules.ports_that_nothing_opens(with_app)) == []


def test_rights_are_these_and_no_more(name: str, manifest: list[Object]) -> None:
    if name == "example":
        assert rules.rights(manifest) == []
        return
    more = [*rules.PODS, *rules.SCALES, *rules.NODES] if "everything" in name else []
    assert sorted(rules.rights(manifest)) == sorted([*rules.FOLLOW, *more])


def test_roles_reach_the_pods_that_need_them(manifest: list[Object]) -> None:
    assert list(rules.bindings_that_lead_nowhere(manifest)) == []


def test_only_fairlead_gets_a_token(manifest: list[Object]) -> None:
    for _, template in pods(manifest):
        spec = template["spec"]
        others = [each for each in containers(spec) if each["name"] != "fairlead"]
        if others:
            assert spec["automountServiceAccountToken"] is False
        mounted = [mount["mountPath"] for each in others for mount in each.get("volumeMounts", [])]
        assert not any("serviceaccount" in path for path in mounted)


def test_a_sidecar_is_a_native_one(manifest: list[Object]) -> None:
    sidecars = [each for _, template in pods(manifest) for each in template["spec"].get("initContainers", [])]
    assert all(each["restartPolicy"] == "Always" and "startupProbe" in each for each in sidecars)


def test_the_configuration_is_one_that_fairlead_takes(
    name: str, manifest: list[Object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "example":
        assert of_kind(manifest, "ConfigMap") == []
        return
    text, _ = rules.configuration(manifest)
    assert "k8s://my-namespace/my-app:http" in text
    if "k8s" not in SOURCES:
        text = text.replace("k8s://my-namespace/my-app:http", "127.0.0.1:8080")
    (tmp_path / "fairlead.yaml").write_text(text)
    assert main(["check", "-c", str(tmp_path / "fairlead.yaml")]) == 0, capsys.readouterr().err


def test_the_configuration_agrees_with_the_pod(name: str, manifest: list[Object]) -> None:
    assert name == "example" or list(rules.disagreements(manifest)) == []


def test_images_have_the_version_of_this_tree(manifest: list[Object]) -> None:
    images = {each["image"] for _, template in pods(manifest) for each in containers(template["spec"])}
    assert images <= {f"fairlead:{fairlead.__version__}", f"my-app:{fairlead.__version__}"}


def test_the_autoscaler_owns_the_replicas_of_the_example(with_app: list[Object]) -> None:
    (scaler,) = of_kind(with_app, "HorizontalPodAutoscaler")
    assert (scaler["spec"]["minReplicas"], scaler["spec"]["maxReplicas"]) == (3, 10)
    target = scaler["spec"]["scaleTargetRef"]["name"]
    (deployment,) = (each for each in of_kind(with_app, "Deployment") if each["metadata"]["name"] == target)
    assert "replicas" not in deployment["spec"]
    assert all("cpu" in each["resources"]["requests"] for each in deployment["spec"]["template"]["spec"]["containers"])


def test_who_is_scraped_says_where(manifest: list[Object]) -> None:
    for _, template in pods(manifest):
        said = template["metadata"].get("annotations", {})
        with_fairlead = fairlead_container(template["spec"]) is not None
        assert ("prometheus.io/scrape" in said) == with_fairlead
        assert said.get("prometheus.io/path", "/metrics") == "/metrics"
