"""What has to be true of any set of manifests of ours, whoever rendered them. Pure: objects in, what is wrong out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import yaml
from deploy.rendering import Object, containers, fairlead_container, of_kind, pods

ENDING_S: Final = 5  # for the processes to end, once the drain is over
BASE_MIB: Final = 150  # what the processes take by themselves, with the client of the API
APP_ENDS_S: Final = 25  # the example app: 5 s not ready, 20 s for what is in flight

FOLLOW: Final = [("", "services", "list watch"), ("discovery.k8s.io", "endpointslices", "list watch")]
PODS: Final = [("", "pods", "list watch")]
SCALES: Final = [("apps", "deployments/scale", "get patch"), ("apps", "statefulsets/scale", "get patch")]
NODES: Final = [("", "nodes", "get")]


def selectors_without_pods(manifest: Sequence[Object], known: Sequence[Object]) -> Iterator[str]:
    """Selectors that choose no pod of `known`, and Deployments that do not choose their own."""
    labels = [template["metadata"]["labels"] for _, template in pods(known)]
    for each in manifest:
        name = f"{each['kind']} {each['metadata']['name']}"
        if each["kind"] == "Deployment":
            own = each["spec"]["template"]
            if not _chooses(each["spec"]["selector"]["matchLabels"], own["metadata"]["labels"]):
                yield name
            for spread in own["spec"].get("topologySpreadConstraints", []):
                if not _chooses(spread["labelSelector"]["matchLabels"], own["metadata"]["labels"]):
                    yield f"{name}: {spread['topologyKey']}"
        elif (selector := _selector(each)) and not any(_chooses(selector, one) for one in labels):
            yield name


def _selector(each: Object) -> Mapping[str, str]:
    spec = each.get("spec", {})
    match each["kind"]:
        case "Service":
            found: Mapping[str, str] = spec["selector"]
        case "PodDisruptionBudget":
            found = spec["selector"]["matchLabels"]
        case "NetworkPolicy":
            found = spec["podSelector"]["matchLabels"]
        case _:
            found = {}
    return found


def _chooses(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def ports_that_nothing_opens(manifest: Sequence[Object]) -> Iterator[str]:
    """Probes, Services, policies and annotations that name a port which no container of theirs has."""
    for name, template in pods(manifest):
        for container in containers(template["spec"]):
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                if port is not None and port not in _ports([container]):
                    yield f"{name}: {container['name']}: {probe} of port {port}"
        port = template["metadata"].get("annotations", {}).get("prometheus.io/port")
        if port is not None and int(port) not in _ports(containers(template["spec"])):
            yield f"{name}: prometheus.io/port {port}"
    for each in [*of_kind(manifest, "Service"), *of_kind(manifest, "NetworkPolicy")]:
        opened = {
            port
            for _, template in pods(manifest)
            if _chooses(_selector(each), template["metadata"]["labels"])
            for port in _ports(containers(template["spec"]))
        }
        for port in _targets(each):
            if port not in opened:
                yield f"{each['kind']} {each['metadata']['name']}: port {port}"


def _ports(some: Sequence[Object]) -> set[str | int]:
    return {port[key] for one in some for port in one.get("ports", []) for key in ("name", "containerPort")}


def _targets(each: Object) -> Iterator[str | int]:
    if each["kind"] == "Service":
        yield from (port.get("targetPort", port["port"]) for port in each["spec"]["ports"])
    else:
        yield from (port["port"] for rule in each["spec"]["ingress"] for port in rule["ports"])


def rights(manifest: Sequence[Object]) -> list[tuple[str, str, str]]:
    """All that RBAC allows: group, resource, verbs."""
    found = []
    for each in [*of_kind(manifest, "Role"), *of_kind(manifest, "ClusterRole")]:
        for rule in each["rules"]:
            assert rule.keys() == {"apiGroups", "resources", "verbs"}, rule
            found += [
                (group, resource, " ".join(sorted(rule["verbs"])))
                for group in rule["apiGroups"]
                for resource in rule["resources"]
            ]
    return found


def bindings_that_lead_nowhere(manifest: Sequence[Object]) -> Iterator[str]:
    """Bindings of roles or to accounts that are not there, roles that nobody has, pods with an unknown account."""
    roles = {(each["kind"], each["metadata"]["name"]) for each in manifest if each["kind"].endswith("Role")}
    accounts = {
        (each["metadata"]["namespace"], each["metadata"]["name"]) for each in of_kind(manifest, "ServiceAccount")
    }
    bound = set()
    for each in [*of_kind(manifest, "RoleBinding"), *of_kind(manifest, "ClusterRoleBinding")]:
        bound.add((each["roleRef"]["kind"], each["roleRef"]["name"]))
        for subject in each["subjects"]:
            if (subject["namespace"], subject["name"]) not in accounts:
                yield f"{each['kind']} {each['metadata']['name']}: {subject['name']} is no account"
    for kind, name in roles ^ bound:
        yield f"{kind} {name}: a role without a binding, or the reverse"
    for name, template in pods(manifest):
        account = template["spec"].get("serviceAccountName")
        if account is not None and account not in {one for _, one in accounts}:
            yield f"{name}: {account} is no account"


def configuration(manifest: Sequence[Object]) -> tuple[str, Any]:
    """The one fairlead.yaml, as text and read."""
    texts = [each["data"]["fairlead.yaml"] for each in of_kind(manifest, "ConfigMap")]
    assert len(texts) == 1
    return texts[0], yaml.safe_load(texts[0])


def seconds(text: str | int) -> int:
    match = re.fullmatch(r"(\d+)s?", str(text))
    assert match is not None, text
    return int(match[1])


def mib(text: str) -> int:
    """Of what Fairlead calls 128MiB and Kubernetes 128Mi."""
    match = re.fullmatch(r"(\d+)MiB?", text)
    assert match is not None, text
    return int(match[1])


def disagreements(manifest: Sequence[Object]) -> Iterator[str]:
    """Where the configuration and the pod that runs it differ: time to drain, memory, ports, the mounted file."""
    _, config = configuration(manifest)
    drain_s = seconds(config["drain"]["delay"]) + seconds(config["drain"]["limit"])
    maps = {each["metadata"]["name"] for each in of_kind(manifest, "ConfigMap")}
    for name, template in pods(manifest):
        spec = template["spec"]
        container = fairlead_container(spec)
        if container is None:
            continue
        before_s = APP_ENDS_S if container in spec.get("initContainers", []) else 0
        if spec["terminationGracePeriodSeconds"] != before_s + drain_s + ENDING_S:
            yield f"{name}: {spec['terminationGracePeriodSeconds']} s are not {before_s} + {drain_s} + {ENDING_S}"
        kept_mib = config["workers"] * sum(
            mib(one["limits"]["max_buffered_bytes"]) for one in config["listeners"].values()
        )
        if mib(container["resources"]["limits"]["memory"]) < kept_mib + BASE_MIB:
            yield f"{name}: {kept_mib} MiB that may be kept are too much"
        opened = _ports([container])
        for bind in [config["admin"]["bind"], *(each["bind"] for each in config["listeners"].values())]:
            host, _, port = bind.rpartition(":")
            if host != "127.0.0.1" and int(port) not in opened:
                yield f"{name}: {bind} is no port of the container"
        mounted = [each["configMap"]["name"] for each in spec["volumes"] if "configMap" in each]
        if not set(mounted) <= maps or len(mounted) != 1:
            yield f"{name}: mounts {mounted}"
        if any("subPath" in mount for mount in container["volumeMounts"]):
            yield f"{name}: a subPath never changes"
