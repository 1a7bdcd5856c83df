"""The restricted Pod Security Standard, rule by rule, as far as a pod template can break it; and what we ask beyond it.

Written from the standard's own list of controls. Pure: a pod's spec in, what is wrong with it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

Object = dict[str, Any]

VOLUMES: Final = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
SECCOMP: Final = {"RuntimeDefault", "Localhost"}


def violations(spec: Object) -> list[str]:
    """Every rule that the pod breaks, with the place."""
    return [*_of_the_pod(spec), *(f"{name}: {rule}" for name, rule in _of_its_containers(spec))]


def _of_the_pod(spec: Object) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield f"{name} is set"
    for volume in spec.get("volumes", []):
        kinds = volume.keys() - {"name"}
        if not kinds <= VOLUMES:
            yield f"volume {volume['name']} is a {', '.join(sorted(kinds))}"
    security = spec.get("securityContext", {})
    for name in ("sysctls", "windowsOptions", "seLinuxOptions"):
        if name in security:
            yield f"{name} is set"
    if security.get("runAsUser") == 0:
        yield "runAsUser is root"


def _of_its_containers(spec: Object) -> Iterator[tuple[str, str]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(kind, []):
            for rule in (*_standard(container, spec.get("securityContext", {})), *_beyond(container)):
                yield container["name"], rule


def _standard(container: Object, of_pod: Object) -> Iterator[str]:
    security = container.get("securityContext", {})
    capabilities = security.get("capabilities", {})
    if security.get("privileged"):
        yield "is privileged"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if "ALL" not in capabilities.get("drop", []):
        yield "does not drop ALL capabilities"
    if not set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}:
        yield "adds capabilities"
    if security.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot is not true"
    if security.get("runAsUser") == 0:
        yield "runAsUser is root"
    if security.get("seccompProfile", of_pod.get("seccompProfile", {})).get("type") not in SECCOMP:
        yield "has no seccomp profile"
    if security.get("procMount", "Default") != "Default":
        yield "procMount is set"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "takes a port of the host"
    if any("hostProcess" in str(security.get(name)) for name in ("windowsOptions",)):
        yield "is a process of the host"


def _beyond(container: Object) -> Iterator[str]:
    if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
        yield "its root file system can be written to"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= resources.get("requests", {}).keys():
        yield "requests no CPU or no memory"
    if "memory" not in resources.get("limits", {}):
        yield "has no limit of memory"
