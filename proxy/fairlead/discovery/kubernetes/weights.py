"""Weights of endpoints from their Pods: an annotation, or the CPU that they ask for. Pure.

A Pod with twice the CPU gets twice the weight, and a weight stays as it is when other Pods come and go: it is the CPU
in millicores, unless one Pod has more than fits. A Pod that says nothing is taken for an average one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

from fairlead.discovery.kubernetes.meaning import Meant
from fairlead.discovery.kubernetes.objects import WEIGHT, Pod
from fairlead.discovery.kubernetes.ports import listed
from fairlead.model import Endpoint

MAX_WEIGHT: Final = 65535


class Weights(StrEnum):
    """Where weights come from."""

    EQUAL = "equal"
    ANNOTATION = "annotation"
    CPU_REQUEST = "cpu-request"


def weighted(
    found: Sequence[Meant], pods: Mapping[str, Pod], weights: Weights, default: int
) -> tuple[tuple[Endpoint, ...], tuple[str, ...]]:
    """The endpoints with their weights, and notes on where those come from. `default` is for who has none."""
    if weights is Weights.EQUAL:
        return tuple(Endpoint(each.address, default, each.state) for each in found), ("weights: equal",)
    own, source = _READERS[weights]
    known = {each.address: own(pods[each.pod]) for each in found if each.pod in pods}
    scaled = _scaled({address: number for address, number in known.items() if number})
    otherwise = default if weights is Weights.ANNOTATION or not scaled else round(sum(scaled.values()) / len(scaled))
    endpoints = tuple(Endpoint(each.address, scaled.get(each.address, otherwise), each.state) for each in found)
    return endpoints, (_note(found, pods, scaled, source, otherwise),)


def _annotated(pod: Pod) -> int:
    """0 when it says nothing that can be used."""
    text = (pod.weight or "").strip()
    usable = text.isascii() and text.isdecimal() and len(text) <= 5 and 1 <= int(text) <= MAX_WEIGHT
    return int(text) if usable else 0


def _scaled(numbers: dict[str, int]) -> dict[str, int]:
    largest = max(numbers.values(), default=0)
    if largest <= MAX_WEIGHT:
        return numbers
    return {address: max(1, round(number * MAX_WEIGHT / largest)) for address, number in numbers.items()}


def _note(
    found: Sequence[Meant], pods: Mapping[str, Pod], scaled: Mapping[str, int], source: str, otherwise: int
) -> str:
    without = sorted(each.pod or each.address for each in found if each.address not in scaled)
    if not without:
        return f"weights: by {source}"
    bad = [pods[name].weight for name in without if name in pods and pods[name].weight is not None]
    what = f" ({listed([repr(text) for text in bad], 3)} is no whole number from 1 to {MAX_WEIGHT})" if bad else ""
    share = f"{len(without)} of {len(found)} endpoints have none{what}"
    return f"weights: by {source}; {share} and get {otherwise}: {listed(without, 3)}"


_READERS: Final[Mapping[Weights, tuple[Callable[[Pod], int], str]]] = {
    Weights.ANNOTATION: (_annotated, f"the annotation {WEIGHT}"),
    Weights.CPU_REQUEST: (lambda pod: pod.millicores, "CPU requests"),
}
