"""How a service chooses an endpoint: the policies by name, and those from a user's own file."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fairlead.balance.least_request import LeastRequest
from fairlead.balance.random_choice import RandomChoice
from fairlead.balance.round_robin import RoundRobin
from fairlead.balance.seam import Candidate, Picker, Policy
from fairlead.balance.weighted import Weighted

__all__ = ["POLICIES", "Candidate", "Picker", "Policy", "load"]

POLICIES: Final[Mapping[str, Policy]] = {
    "round-robin": RoundRobin,
    "random": RandomChoice,
    "weighted": Weighted,
    "least-request": LeastRequest,
}

_loaded: dict[str, Policy] = {}


def load(spec: str, base_dir: Path | None = None) -> Policy:
    """The policy of that name, or the class in a file: "./mine.py:ShortestQueue", relative to `base_dir`.

    Raises ValueError, saying what is wrong and what would be right.
    """
    if spec in POLICIES:
        return POLICIES[spec]
    path, colon, name = spec.rpartition(":")
    if not colon or not path.endswith(".py"):
        raise ValueError(f"{spec!r} is no policy: use {', '.join(POLICIES)}, or FILE.py:CLASS for one of your own")
    file = (base_dir or Path()) / path
    key = f"{file.resolve()}:{name}"
    if key not in _loaded:
        _loaded[key] = _adapted(_load_class(file, name))
    return _loaded[key]


def _load_class(file: Path, name: str) -> Any:
    module_spec = importlib.util.spec_from_file_location(f"fairlead_policy_{file.stem}", file)
    if module_spec is None or module_spec.loader is None or not file.is_file():
        raise ValueError(f"there is no file {file}")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module
    try:
        module_spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{file} cannot be loaded: {type(error).__name__}: {error}") from error
    policy = getattr(module, name, None)
    if policy is None:
        raise ValueError(f"{file} has no {name!r}")
    if not callable(getattr(policy, "pick", None)):
        raise ValueError(f"{name!r} in {file} has no method pick(self, key, tried)")
    return policy


def _adapted(policy: Any) -> Policy:
    if isinstance(policy, type) and issubclass(policy, Picker):
        return policy

    def build(endpoints: Sequence[Candidate], previous: Picker | None) -> Picker:
        return _Adapted(policy(endpoints, previous.inner if isinstance(previous, _Adapted) else None))

    return build


class _Adapted(Picker):
    """A picker of any class, as long as it has `pick`."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        chosen: Candidate | None = self.inner.pick(key, tried)
        return chosen
