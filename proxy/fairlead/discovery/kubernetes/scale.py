"""The scale of a Deployment or StatefulSet: from nothing to one replica, and never anything else.

Owns the form of a target in the configuration. Never overrides anybody: what is not at zero stays as it is, and what
somebody else changes at the same moment (409) is looked at again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

from fairlead.discovery.kubernetes.answers import CONFLICT, NONSENSE, ApiError, What

_RESOURCES: Final = {"deployment": "deployments", "statefulset": "statefulsets"}
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)  # RFC 1123
_LOOKS: Final = 3


class Changes(Protocol):
    """What is needed of an API."""

    async def get(self, path: str, query: dict[str, str | int], what: What) -> Mapping[str, Any]: ...

    async def merge(self, path: str, patch: Mapping[str, Any], what: What) -> Mapping[str, Any]: ...


@final
@dataclass(frozen=True, slots=True)
class Target:
    """What is scaled. `kind` is "deployment" or "statefulset"."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def parse_target(text: str) -> Target:
    """KIND/NAME. Raises ValueError saying what is wrong."""
    kind, _, name = text.partition("/")
    if kind not in _RESOURCES or not _NAME.fullmatch(name):
        raise ValueError(f"is {text!r}, and must be deployment/NAME or statefulset/NAME")
    return Target(kind, name)


async def raise_from_zero(api: Changes, target: Target, namespace: str) -> bool:
    """Make one replica of none; whether there was none. Raises ApiError."""
    resource = f"{_RESOURCES[target.kind]}/scale"
    path = f"/apis/apps/v1/namespaces/{namespace}/{_RESOURCES[target.kind]}/{target.name}/scale"
    what = What(resource, "apps", namespace, "get, patch")
    for look in range(_LOOKS):
        version, replicas = _read(await api.get(path, {}, what))
        if replicas:
            return False
        try:
            await api.merge(path, {"metadata": {"resourceVersion": version}, "spec": {"replicas": 1}}, what)
        except ApiError as error:
            if error.status != CONFLICT or look == _LOOKS - 1:
                raise
            continue
        return True
    return False


def _read(scale: Mapping[str, Any]) -> tuple[str, int]:
    """The version and the wanted replicas of a Scale. None is left out of its JSON."""
    metadata, spec = scale.get("metadata"), scale.get("spec", {})
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    replicas = spec.get("replicas", 0) if isinstance(spec, dict) else None
    if not isinstance(version, str) or type(replicas) is not int:
        raise ApiError("the Kubernetes API answers with something else than a Scale", NONSENSE)
    return version, replicas
