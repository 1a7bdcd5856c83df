"""The command: `python -m my_app`, all by the environment, as a container is configured.

MY_APP_NAME (else the host's name, which in Kubernetes is the pod's), MY_APP_HOST, MY_APP_PORT, MY_APP_START_S,
MY_APP_CALLS, and a variable for each fault: MY_APP_LATENCY, MY_APP_RATIO, MY_APP_SIGTERM and so on (faults.py).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping

from my_app.faults import from_environment, seconds
from my_app.server import Place, Server


def place(environ: Mapping[str, str]) -> Place:
    """Raises ValueError that names the variable."""
    port = environ.get("MY_APP_PORT", "8080")
    if not (port.isascii() and port.isdigit() and int(port[:6]) < 65536):
        raise ValueError(f"MY_APP_PORT: {port!r} is not a port")
    try:
        start_s = seconds(environ.get("MY_APP_START_S", "0"))
    except ValueError as error:
        raise ValueError(f"MY_APP_START_S: {error}") from None
    return Place(
        name=environ.get("MY_APP_NAME") or socket.gethostname(),
        host=environ.get("MY_APP_HOST", "0.0.0.0"),
        port=int(port),
        start_s=start_s,
        calls=environ.get("MY_APP_CALLS", ""),
    )


async def serve(server: Server, name: str) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.end)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        await server.listening.wait()
        print(f"{name} on port {server.port}", flush=True)


def main(environ: Mapping[str, str] = os.environ) -> int:
    try:
        where, faults = place(environ), from_environment(environ)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    asyncio.run(serve(Server(where, faults), where.name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
