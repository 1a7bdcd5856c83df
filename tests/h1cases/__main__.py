"""The folder's own runner, which is also its own strict endpoint, against `fairlead run`: about two minutes.

Judges independently of the suite beside it, over TCP and through all of Fairlead. Arguments go to the runner.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from e2e.harness import Running
from h1cases.cases import folder


def main() -> int:
    place = folder()
    if place is None:
        print(
            "the cases are not here: no ../shared/h1cases, and FAIRLEAD_H1CASES names no such folder", file=sys.stderr
        )
        return 1
    with TemporaryDirectory() as scratch, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        back = free.getsockname()[1]
        free.close()
        arguments = ("--listen", "127.0.0.1:0", "--to", f"127.0.0.1:{back}", "--workers", "1", "--admin", "127.0.0.1:0")
        proxy = Running(*arguments, cwd=Path(scratch))
        try:
            proxy.wait_ready()
            front = f"127.0.0.1:{proxy.port('default')}"
            runner = [sys.executable, str(place / "run.py"), "--front", front, "--back", str(back), *sys.argv[1:]]
            return subprocess.run(runner, timeout=900).returncode
        finally:
            proxy.stop()


if __name__ == "__main__":
    sys.exit(main())
