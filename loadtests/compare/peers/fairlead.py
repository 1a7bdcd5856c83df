"""Fairlead itself, with its defaults: metrics, timeouts, strict parsing and forwarded fields are on.

What is measured is the package that `import fairlead` finds here, run by the same interpreter.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
import timeit
from collections.abc import Sequence
from pathlib import Path

from loadtests.compare.peers.seam import Place, said, write

_COMPILED = ("fairlead.engine.reactor", "fairlead.dataplane.exchange", "fairlead.wire.http1")


class Fairlead:
    """Configured by a template, of which there is one for each thing that only Fairlead is asked."""

    name = "fairlead"

    def __init__(self, template: str = "fairlead.yaml") -> None:
        self._template = template

    def missing(self) -> str | None:
        if _origin("fairlead") is None:
            return "not installed: pip install -e ."
        for module in _COMPILED:
            if not (_origin(module) or "").endswith(".so"):
                return f"{module} is not compiled: python setup.py build_ext --inplace"
        return None if _origin("fairlead.cli") else "it has no command line yet (fairlead.cli)"

    def version(self) -> str:
        return f"{revision()}, Python {python()}"

    def command(self, place: Place) -> Sequence[str]:
        return [*executable(), "run", "-c", str(write(self._template, place))]


def executable() -> list[str]:
    """The command that the package was installed with, or the module when it is on the path only."""
    script = Path(sys.executable).with_name("fairlead")
    return [str(script)] if script.exists() else [sys.executable, "-c", "from fairlead.cli import main; main()"]


def revision() -> str:
    """The commit that is measured, with a mark when the tree has changes on top of it."""
    folder = str(Path(_origin("fairlead") or __file__).parent)
    commit = said("git", "-C", folder, "rev-parse", "--short", "HEAD").strip() if shutil.which("git") else ""
    if not commit or " " in commit:
        return "unknown revision"
    changed = said("git", "-C", folder, "status", "--porcelain", "--untracked-files=no", ":/proxy").strip()
    return f"{commit} with changes" if changed else commit


def python() -> str:
    """The interpreter's version and how fast it is. Distributions strip the build flags, so it is timed as well."""
    flags = sysconfig.get_config_var("CONFIG_ARGS") or ""
    build = "built with optimisation" if "--enable-optimizations" in flags else "built without optimisation"
    if "--prefix=/usr'" in flags and os.path.realpath(sys.executable).startswith("/usr/bin/"):
        build = "the distribution's build"
    loop = min(timeit.repeat("for i in range(200_000): d[i & 63] = str(i)", "d = {}", number=1, repeat=5))
    return f"{'.'.join(map(str, sys.version_info[:3]))} ({build}; a plain loop of 200,000 steps: {loop * 1000:.0f} ms)"


def _origin(module: str) -> str | None:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    return spec.origin if spec else None
