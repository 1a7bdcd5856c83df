"""Renders a chart with Helm's own library where there is no `helm`: a process of its own, `python helm_render.py`.

The package helm-sdkpy has no call that only renders. So this installs the chart into an API server that holds nothing,
says yes to everything and lives in this process, and prints what Helm then calls the release's manifest. stdin: a JSON
list of objects with `chart`, `release`, `namespace`, `values` and `version` (of Kubernetes); stdout: a list of objects
with either `manifest` and `notes` or `error`. Needs Python 3.12 or newer for that package, and nothing else of the
project. Never speaks to a real cluster.
"""

from __future__ import annotations

import asyncio
import http.server
import importlib
import json
import sys
import threading
from typing import Any, Final

KINDS: Final = {
    "v1": ["ConfigMap", "Namespace", "Pod", "Secret", "Service", "ServiceAccount"],
    "apps/v1": ["Deployment"],
    "autoscaling/v2": ["HorizontalPodAutoscaler"],
    "networking.k8s.io/v1": ["NetworkPolicy"],
    "policy/v1": ["PodDisruptionBudget"],
    "rbac.authorization.k8s.io/v1": ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
}
NOT_IN_A_NAMESPACE: Final = {"ClusterRole", "ClusterRoleBinding", "Namespace"}
IRREGULAR: Final = {"NetworkPolicy": "networkpolicies"}
VERBS: Final = ["create", "delete", "get", "list", "patch", "update", "watch"]
NOT_FOUND: Final = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
KUBECONFIG: Final = """apiVersion: v1
kind: Config
current-context: none
clusters: [{name: none, cluster: {server: "http://127.0.0.1:%d"}}]
users: [{name: nobody, user: {}}]
contexts: [{name: none, context: {cluster: none, user: nobody}}]
"""


def resources(version: str) -> dict[str, object]:
    listed = [
        {
            "name": IRREGULAR.get(kind, kind.lower() + "s"),
            "singularName": kind.lower(),
            "namespaced": kind not in NOT_IN_A_NAMESPACE,
            "kind": kind,
            "verbs": VERBS,
        }
        for kind in KINDS[version]
    ]
    return {"kind": "APIResourceList", "groupVersion": version, "resources": listed}


def groups() -> dict[str, object]:
    found = []
    for version in KINDS:
        group, slash, number = version.partition("/")
        if slash:
            one = {"groupVersion": version, "version": number}
            found.append({"name": group, "versions": [one], "preferredVersion": one})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


class Server(http.server.ThreadingHTTPServer):
    """An API server of a version; there is one cluster for each rendering."""

    daemon_threads = True
    version = ""


class Api(http.server.BaseHTTPRequestHandler):
    """Discovery, nothing to be found, and every creation accepted."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, value = self.found(self.path.partition("?")[0])
        self.give(status, json.dumps(value).encode(), "application/json")

    def found(self, path: str) -> tuple[int, dict[str, object]]:
        assert isinstance(self.server, Server)
        version = path.removeprefix("/apis/").removeprefix("/api/")
        if path == "/version":
            major, _, minor = self.server.version.partition(".")
            return 200, {"major": major, "minor": minor, "gitVersion": f"v{self.server.version}.0"}
        if path == "/api":
            return 200, {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            return 200, groups()
        if version in KINDS:
            return 200, resources(version)
        if path.endswith("/secrets"):  # where Helm keeps what it has installed
            return 200, {"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}
        return 404, NOT_FOUND

    def do_POST(self) -> None:
        self.give(201, self.rfile.read(int(self.headers["Content-Length"])), self.headers["Content-Type"])

    do_PUT = do_PATCH = do_POST

    def give(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def rendered(helm: Any, wanted: dict[str, Any]) -> dict[str, str]:  # noqa: ANN401 -- a package that may be missing
    with Server(("127.0.0.1", 0), Api) as server:
        server.version = wanted["version"]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            install = helm.Install(helm.Configuration(wanted["namespace"], KUBECONFIG % server.server_address[1]))
            result = asyncio.run(
                install.run(wanted["release"], wanted["chart"], values=wanted["values"], wait=False, timeout=30)
            )
        except helm.HelmError as error:
            return {"error": str(error)}
        finally:
            server.shutdown()
    return {"manifest": result["manifest"], "notes": result["info"].get("notes", "")}


if __name__ == "__main__":
    json.dump([rendered(importlib.import_module("helm_sdkpy"), each) for each in json.load(sys.stdin)], sys.stdout)
