"""The checks themselves: each finds what it is there for."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from deploy.pod_security import violations

from deploy import rules

GOOD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "a",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "resources": {"requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"memory": "1Mi"}},
        }
    ],
}


def test_a_good_pod_breaks_no_rule() -> None:
    assert violations(GOOD) == []


def security(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = spec["containers"][0]["securityContext"]
    return found


BROKEN: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda spec: spec.update(hostNetwork=True), "hostNetwork is set"),
    (lambda spec: spec.update(hostPID=True), "hostPID is set"),
    (lambda spec: spec.update(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), "volume v is a hostPath"),
    (lambda spec: spec["securityContext"].update(runAsUser=0), "runAsUser is root"),
    (lambda spec: spec["securityContext"].pop("runAsNonRoot"), "a: runAsNonRoot is not true"),
    (lambda spec: spec["securityContext"].pop("seccompProfile"), "a: has no seccomp profile"),
    (lambda spec: security(spec).update(seccompProfile={"type": "Unconfined"}), "a: has no seccomp profile"),
    (lambda spec: security(spec).update(runAsNonRoot=False), "a: runAsNonRoot is not true"),
    (lambda spec: security(spec).update(runAsUser=0), "a: runAsUser is root"),
    (lambda spec: security(spec).update(privileged=True), "a: is privileged"),
    (lambda spec: security(spec).pop("allowPrivilegeEscalation"), "a: allowPrivilegeEscalation is not false"),
    (lambda spec: security(spec).pop("capabilities"), "a: does not drop ALL capabilities"),
    (lambda spec: security(spec)["capabilities"].update(add=["NET_ADMIN"]), "a: adds capabilities"),
    (lambda spec: security(spec).update(procMount="Unmasked"), "a: procMount is set"),
    (lambda spec: security(spec).pop("readOnlyRootFilesystem"), "a: its root file system can be written to"),
    (lambda spec: spec["containers"][0].update(ports=[{"hostPort": 80}]), "a: takes a port of the host"),
    (lambda spec: spec["containers"][0]["resources"].pop("limits"), "a: has no limit of memory"),
    (lambda spec: spec["containers"][0]["resources"].pop("requests"), "a: requests no CPU or no memory"),
]


@pytest.mark.parametrize(("breaks", "rule"), BROKEN)
@pytest.mark.parametrize("kind", ["containers", "initContainers"])
def test_a_bad_pod_is_found(breaks: Callable[[dict[str, Any]], object], rule: str, kind: str) -> None:
    spec = copy.deepcopy(GOOD)
    breaks(spec)
    spec[kind] = spec.pop("containers")
    assert violations(spec) == [rule]


def deployment(**labels: str) -> dict[str, Any]:
    container = {
        "name": "fairlead",
        "ports": [{"name": "http", "containerPort": 8080}],
        "livenessProbe": {"httpGet": {"port": "http"}},
    }
    return {
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {
            "selector": {"matchLabels": {"app": "d"}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def service(port: str | int = "http", **selector: str) -> dict[str, Any]:
    spec = {"selector": selector, "ports": [{"port": 80, "targetPort": port}]}
    return {"kind": "Service", "metadata": {"name": "s"}, "spec": spec}


def test_selectors() -> None:
    good = [deployment(app="d"), service(app="d")]
    assert list(rules.selectors_without_pods(good, good)) == []
    for bad in ([deployment(app="e")], [deployment(app="d"), service(app="e")]):
        assert len(list(rules.selectors_without_pods(bad, bad))) == 1


def test_ports() -> None:
    assert list(rules.ports_that_nothing_opens([deployment(app="d"), service(app="d"), service(8080, app="d")])) == []
    assert list(rules.ports_that_nothing_opens([deployment(app="d"), service("web", app="d")])) == [
        "Service s: port web"
    ]
    other = deployment(app="d")
    other["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpGet"]["port"] = 1
    other["spec"]["template"]["metadata"]["annotations"] = {"prometheus.io/port": "2"}
    assert len(list(rules.ports_that_nothing_opens([other]))) == 2


def test_bindings() -> None:
    role = {"kind": "Role", "metadata": {"name": "r"}}
    account = {"kind": "ServiceAccount", "metadata": {"name": "a", "namespace": "n"}}
    binding: dict[str, Any] = {
        "kind": "RoleBinding",
        "metadata": {"name": "b"},
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"name": "a", "namespace": "n"}],
    }
    assert list(rules.bindings_that_lead_nowhere([role, account, binding])) == []
    assert list(rules.bindings_that_lead_nowhere([role, account])) == [
        "Role r: a role without a binding, or the reverse"
    ]
    binding["subjects"][0]["namespace"] = "m"
    assert list(rules.bindings_that_lead_nowhere([role, account, binding])) == ["RoleBinding b: a is no account"]


@pytest.mark.parametrize(
    ("grace_s", "admin", "kept", "mount", "count"),
    [
        (45, ":9900", "50MiB", {}, 0),
        (44, ":9900", "50MiB", {}, 1),
        (45, ":9901", "50MiB", {}, 1),
        (45, ":9900", "51MiB", {}, 1),
        (45, ":9900", "50MiB", {"subPath": "fairlead.yaml"}, 1),
    ],
)
def test_disagreements(grace_s: int, admin: str, kept: str, mount: dict[str, str], count: int) -> None:
    config = (
        f'listeners: {{web: {{bind: "0.0.0.0:8080", limits: {{max_buffered_bytes: {kept}}}}}}}\n'
        f'admin: {{bind: "0.0.0.0{admin}"}}\nworkers: 2\n'
        "drain: {delay: 10s, limit: 30}\n"
    )
    one = deployment(app="d")
    spec = one["spec"]["template"]["spec"]
    spec |= {"terminationGracePeriodSeconds": grace_s, "volumes": [{"configMap": {"name": "c"}}]}
    spec["containers"][0]["ports"].append({"name": "admin", "containerPort": 9900})
    spec["containers"][0]["resources"] = {"limits": {"memory": "250Mi"}}
    spec["containers"][0]["volumeMounts"] = [{"name": "config", **mount}]
    manifest = [one, {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"fairlead.yaml": config}}]
    assert len(list(rules.disagreements(manifest))) == count
