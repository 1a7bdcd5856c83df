"""nginx, from Debian's packages. TCP forwarding is a module of its own there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import final

from loadtests.compare.peers.seam import Place, said, write

_STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


@final
class Nginx:
    name = "nginx"

    def missing(self) -> str | None:
        if shutil.which("nginx") is None:
            return "not installed: apt-get install -y nginx-light libnginx-mod-stream"
        return None if _STREAM.exists() else f"no {_STREAM}: apt-get install -y libnginx-mod-stream"

    def version(self) -> str:
        found = re.search(r"nginx/(\S+)", said("nginx", "-v"))
        return found[1] if found else "unknown"

    def command(self, place: Place) -> Sequence[str]:
        # It closes idle clients when less than a sixteenth of its slots is free; its figure would be too good then.
        path = write("nginx.conf", place, {"STREAM": str(_STREAM), "SLOTS": str(place.connections * 5 // 4)})
        return ["nginx", "-p", str(place.directory), "-e", "stderr", "-c", str(path)]
