"""The command: an attack of about a minute and a half; then the table, and its part of results.md.

Exit status: 0 when every bound is met; 1 when one is missed or nothing could be measured; 130 when it was interrupted.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from loadtests.attack import bounds, stage
from loadtests.attack.bounds import COLUMNS, Plan, Row
from loadtests.compare import machine
from loadtests.compare.bench import Bench, choose_cores
from loadtests.compare.bench import Plan as BenchPlan
from loadtests.compare.figures import Sample
from loadtests.compare.peers.fairlead import Fairlead
from loadtests.compare.processes import CompareError, raise_descriptor_limit
from loadtests.compare.report import markdown_table, replace_part
from loadtests.compare.upstream import compile_server

BEGIN: Final = "<!-- attack: from here to the end mark is written by `make attack` -->"
END: Final = "<!-- attack: end -->"
_RESULTS: Final = Path(__file__).parent.parent / "results.md"

HOW: Final = """\
One worker on one core; on the other the attackers, and a measuring client with its upstream, which go first (real-time
priority, when it may be had). The client asks at a fixed rate that does not wait for replies, and latency counts from
the time a request was due. An attacker never ends by itself: half-sent heads get a byte every 2 s, bodies (half of them
chunked, half with a length) a byte every 2 s, half of the readers take 8 bytes every 2 s and the others nothing. One
that is ended is replaced as long as the attack lasts. They come from 20 addresses. Deadlines are shortened
(`loadtests/attack/fairlead.yaml`). Memory is what the worker has allocated, over what it had before; a kind's is its
growth while that kind joined. Why the bounds are what they are is said in `loadtests/attack/bounds.py`."""


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console() if sys.stdout.isatty() else Console(width=120)
    options = _parser().parse_args()
    plan = Plan(**{each.name: getattr(options, each.name) for each in fields(Plan)})
    try:
        facts = {**machine.describe(), "fairlead": _version(), "command": _command()}
        sample = _attack(console, plan)
    except KeyboardInterrupt:
        console.print("interrupted: everything that was started has been stopped, nothing was written")
        return 130
    except CompareError as error:
        console.print(f"[bold red]attack:[/] {escape(str(error))}")
        return 1
    found = bounds.rows(plan, sample)
    console.print(as_table(found))
    missed = sum(row.is_met is False for row in found)
    if output := options.output or (_RESULTS if plan == Plan() else None):
        document = output.read_text() if output.exists() else ""
        output.write_text(replace_part(document, as_markdown(found, facts), BEGIN, END))
        console.print(f"written to {output}")
    console.print(f"[red]{missed} bounds missed" if missed else "[green]every bound is met")
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.attack", description="Fairlead under attack.")
    for each in fields(Plan):
        parser.add_argument(f"--{each.name}", type=type(each.default), default=each.default, help="(%(default)s)")
    parser.add_argument("--output", type=Path, help="where results go (default: loadtests/results.md, of a whole run)")
    return parser


def _version() -> str:
    fairlead = Fairlead()
    if missing := fairlead.missing():
        raise CompareError(f"fairlead: {missing}")
    return fairlead.version()


def _attack(console: Console, plan: Plan) -> Sample:
    limit = raise_descriptor_limit()
    most = sum(plan.counts().values()) + plan.readers + plan.bodies  # those two have a connection to the endpoint, too
    if most > limit - 500:
        raise CompareError(f"so many attackers need {most + 500:,} descriptors in one process, the limit is {limit:,}")
    cores = choose_cores()
    if cores.is_shared:
        console.print("[yellow]only one core is usable:[/] proxy and attackers share it; trust no latency")
    os.sched_setaffinity(0, {cores.load})  # this program too keeps away from the proxy's core
    compile_server()
    with tempfile.TemporaryDirectory(prefix="fairlead-attack-") as name, _progress(console) as progress:
        bench = Bench(BenchPlan(), cores, limit, Path(name))
        task = progress.add_task("starting", total=stage.seconds(plan))
        begun = time.monotonic()

        def tell(what: str) -> None:
            progress.update(task, description=what, completed=time.monotonic() - begun)
            if not console.is_terminal:
                console.print(f"{time.monotonic() - begun:4.0f} s  {escape(what)}")

        return stage.run(bench, Path(name), plan, tell)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:44}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, refresh_per_second=1)  # it draws on the generators' core


def as_table(found: Sequence[Row]) -> Table:
    """For the terminal."""
    table = Table(title="Fairlead under attack", title_justify="left")
    for i, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if i == 2 else "left")
    for row in found:
        style = {True: "green", False: "bold red", None: "dim"}[row.is_met]
        table.add_row(*row.cells[:-1], f"[{style}]{row.cells[-1].strip('*')}[/]")
    return table


def as_markdown(found: Sequence[Row], facts: Mapping[str, str]) -> str:
    """The whole part of results.md between its marks."""
    parts = [
        BEGIN,
        "# Fairlead under attack",
        markdown_table(COLUMNS, [row.cells for row in found]),
        HOW,
        markdown_table(("what", "which"), list(facts.items())),
        END,
    ]
    return "\n\n".join(parts) + "\n"


def _command() -> str:
    return f"python -m loadtests.attack {shlex.join(sys.argv[1:])}".strip()


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends this program as Ctrl-C does, so that what it started is stopped."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
