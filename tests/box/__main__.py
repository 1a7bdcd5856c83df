"""The command of `make e2e`: a cluster in a box, and what Fairlead does while things happen in it.

Exit status: 0 when every claim holds, 1 when one does not, 2 when there can be no box here, 130 when interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from types import FrameType
from typing import Final

from box.box import box
from box.network import Bridge, entering
from box.options import Options
from box.progress import Progress
from box.report import Report, broken
from box.suites import SUITES

_USUAL: Final = Options()


def main() -> int:
    options = _parser().parse_args()
    if unknown := set(options.suite) - SUITES.keys():
        print(f"no such suite: {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}", file=sys.stderr)
        return 2
    if not options.inside:
        return _enter()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        reports = asyncio.run(_run(options))
    except KeyboardInterrupt:
        print("interrupted: everything in the box has ended")
        return 130
    print("\n".join(["", *map(str, reports)]))
    failed = sum(not report.is_good for report in reports)
    print(f"== {len(reports) - failed} of {len(reports)} suites are good")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="box", description=__doc__)
    parser.add_argument("suite", nargs="*", help=f"those to run, of {', '.join(SUITES)}; all of them by default")
    parser.add_argument("--rate", type=float, default=_USUAL.rate, help="requests a second (default: %(default)g)")
    parser.add_argument(
        "--outage", type=float, default=_USUAL.outage_s, help="seconds that the API is away (default: %(default)g)"
    )
    parser.add_argument(
        "--changes", type=float, default=_USUAL.changes_s, help="seconds of changes (default: %(default)g)"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser


def _enter() -> int:
    """Run anew, in a box."""
    try:
        command = entering([sys.executable, "-m", "box", "--inside", *sys.argv[1:]])
    except OSError as error:
        print(f"no cluster in a box: {error}", file=sys.stderr)
        return 2
    sys.stdout.flush()
    os.execvp(command[0], command)


async def _run(options: argparse.Namespace) -> list[Report]:
    chosen = Options(options.rate, options.outage, options.changes)
    network = Bridge()
    await network.open()
    reports = []
    with tempfile.TemporaryDirectory(prefix="fairlead-box-") as directory:
        for name in options.suite or SUITES:
            progress = Progress(lambda line: print(line, flush=True))
            progress.say(name)
            try:
                async with box(network, Path(directory) / name) as opened:
                    reports.append(await SUITES[name](opened, progress, chosen))
            except Exception as error:  # the root of a suite: the others are run all the same
                traceback.print_exc()
                reports.append(broken(name, error))
            print(reports[-1], flush=True)
    return reports


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends this program as Ctrl-C does; as the first process of its namespace it would else not be ended."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
