"""The command: for each proxy a calm load, the most that it gets done, and twice the capacity; then the table.

Exit status: 0 when Fairlead keeps its bounds (90 % of its own peak, p99 within twice the calm value), 1 when not or
when nothing could be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from loadtests.compare.peers import PEERS, Peer, Place
from loadtests.compare.peers.seam import fill
from loadtests.compare.processes import HOST, CompareError, free_ports, raise_descriptor_limit, started

_TEMPLATES: Final = {
    name: Path(__file__).parent / file
    for name, file in (("fairlead", "fairlead.yaml"), ("haproxy", "haproxy.cfg"), ("envoy", "envoy.yaml"))
}
_READY_S: Final = 20.0
_LEAST_GOODPUT: Final = 0.9
_MOST_P99: Final = 2.0
_LOADS: Final = {"calm": 0.5, "peak": 1.0, "overload": 2.0}


def main() -> int:
    options = _parser().parse_args()
    raise_descriptor_limit()
    rows = {}
    for name in _TEMPLATES:
        peer = PEERS[name]
        if missing := peer.missing():
            print(f"{peer.name}: left out, {missing}", file=sys.stderr)
            continue
        try:
            rows[name] = _measured(peer, options)
        except CompareError as error:
            print(f"{peer.name}: {error}", file=sys.stderr)
            return 1
    print(_table(rows, options))
    return 0 if _keeps(rows.get("fairlead", {})) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.overload", description=__doc__)
    parser.add_argument("--workers", type=int, default=8, help="requests that the service works on at once")
    parser.add_argument("--milliseconds", type=float, default=10.0, help="that each takes")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured of each load")
    parser.add_argument("--warmup", type=float, default=10.0, help="seconds of each load before that")
    return parser


def _measured(peer: Peer, options: argparse.Namespace) -> dict[str, Any]:
    """The outcome of each load, through a proxy that lives through all of them, as a proxy does."""
    capacity = options.workers / (options.milliseconds / 1000)
    upstream, l7, l4, admin = free_ports(4)
    with tempfile.TemporaryDirectory() as folder:
        place = Place(
            directory=Path(folder), l7=l7, l4=l4, admin=admin, upstreams=(upstream, upstream), connections=20_000
        )
        cores = sorted(os.sched_getaffinity(0))
        service = [sys.executable, "-m", "loadtests.overload.service", str(upstream), str(options.workers)]
        service.append(str(options.milliseconds / 1000))
        with (
            started(service, cores[-1], place.directory / "service.log") as one,
            started(_command(peer, place, options), cores[0], place.directory / "proxy.log") as other,
        ):
            for child, port in ((one, upstream), (other, l7)):
                _wait_for(port, child.last_words)
            return {load: _ask(l7, capacity * share, options) for load, share in _LOADS.items()}


def _command(peer: Peer, place: Place, options: argparse.Namespace) -> Sequence[str]:
    """That of `make compare`, with a configuration of our own in the place of the one that it has written."""
    command = peer.command(place)
    template = _TEMPLATES[peer.name]
    extra = {"WORKERS": str(options.workers), "QUEUE": str(max(1, round(options.milliseconds)))}
    (place.directory / template.name).write_text(fill(template.read_text(), place, extra))
    return command


def _wait_for(port: int, last_words: Callable[[], str]) -> None:
    end = time.monotonic() + _READY_S
    while time.monotonic() < end:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise CompareError(f"nothing listens on port {port}: {last_words()}")


def _ask(port: int, rate: float, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, "-m", "loadtests.overload.load", str(port), str(rate)]
    command += [str(options.warmup), str(options.seconds)]
    limit = options.warmup + options.seconds + 30
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode:
        raise CompareError(f"the load failed: {done.stderr[-600:]}")
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


def _table(rows: dict[str, dict[str, Any]], options: argparse.Namespace) -> str:
    capacity = options.workers / (options.milliseconds / 1000)
    lines = [
        f"{options.workers} workers of {options.milliseconds:g} ms: {capacity:g} requests/s",
        "",
        "| proxy | peak, requests/s | goodput at 2x | of the peak | p99 of the admitted | calm p99 | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        calm, peak, over = (row[load] for load in _LOADS)
        best = max(each["goodput"] for each in (peak, over))
        lines.append(
            f"| {name} | {best:.0f} | {over['goodput']:.0f} | {over['goodput'] / best:.1%} | {over['p99_ms']:.1f} ms "
            f"| {calm['p99_ms']:.1f} ms | {over['p99_ms'] / calm['p99_ms'] if calm['p99_ms'] else 0:.2f} |"
        )
    return "\n".join(lines)


def _keeps(row: dict[str, Any]) -> bool:
    if not row:
        return False
    best = max(row[load]["goodput"] for load in ("peak", "overload"))
    is_done: bool = row["overload"]["goodput"] >= _LEAST_GOODPUT * best
    is_quick: bool = row["overload"]["p99_ms"] <= _MOST_P99 * row["calm"]["p99_ms"]
    return is_done and is_quick


if __name__ == "__main__":
    sys.exit(main())
