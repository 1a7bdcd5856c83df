"""Where a service's endpoints come from: the sources by scheme. A new one is a file here and a line in `SOURCES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from fairlead.discovery import dns, file, static
from fairlead.discovery.kubernetes import source as kubernetes
from fairlead.discovery.kubernetes.scale import parse_target
from fairlead.discovery.seam import Found, Source

__all__ = ["SOURCES", "Found", "Source", "parse"]

SOURCES: Final[Mapping[str, Callable[[str, int, Path], Source]]] = {
    "": static.parse,
    "dns": dns.parse,
    "file": file.parse,
    "k8s": kubernetes.parse,
}


def parse(text: str, weight: int, base_dir: Path) -> Source:
    """The source that `text` names; paths are relative to `base_dir`.

    Raises ValueError, saying what is wrong and what would be right.
    """
    scheme, colon, rest = text.partition(":")
    if colon and scheme.lower() in SOURCES:
        return SOURCES[scheme.lower()](text, weight, base_dir)
    if rest.startswith("//"):
        raise ValueError(_unknown(scheme, rest))
    return SOURCES[""](text, weight, base_dir)


def is_of_kubernetes(source: Source) -> bool:
    """Whether the source has what only Kubernetes gives: weights from Pods, an API to find."""
    return isinstance(source, kubernetes.KubernetesSource)


def check_scale_target(text: str) -> str:
    """The text, if it names what can be scaled. Raises ValueError saying what is wrong."""
    return text and str(parse_target(text))


def with_weights(source: Source, weights: str) -> Source:
    """The source with its weights from there, where it can have them."""
    if isinstance(source, kubernetes.KubernetesSource):
        return replace(source, weights=kubernetes.Weights(weights))
    return source


def with_access(source: Source, kubeconfig: str, context: str) -> Source:
    """The source with its way to the API, where it has one."""
    if isinstance(source, kubernetes.KubernetesSource):
        return replace(source, access=kubernetes.Access(kubeconfig, context))
    return source


def _unknown(scheme: str, rest: str) -> str:
    forms = ["IP:PORT", "unix:/PATH", *(f"{known}://..." for known in SOURCES if known)]
    known = f"use {', '.join(forms[:-1])} or {forms[-1]}"
    if scheme == "unix":
        return f"a Unix socket is written unix:{rest[2:]}"
    meant = get_close_matches(scheme, [known for known in SOURCES if known], n=1)
    return f"{scheme}:// is no source of endpoints; " + (f"did you mean {meant[0]}://?" if meant else known)
