"""HAProxy, from Debian's package."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from typing import final

from loadtests.compare.peers.seam import Place, said, write


@final
class HAProxy:
    name = "haproxy"

    def missing(self) -> str | None:
        return None if shutil.which("haproxy") else "not installed: apt-get install -y haproxy"

    def version(self) -> str:
        found = re.search(r"version (\S+)", said("haproxy", "-v"))
        return found[1] if found else "unknown"

    def command(self, place: Place) -> Sequence[str]:
        return ["haproxy", "-db", "-f", str(write("haproxy.cfg", place))]
