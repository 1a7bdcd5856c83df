"""The command: every fault with every proxy, about seven minutes; then the table, and its part of results.md.

Exit status: 0 when every bound is met; 1 when one is missed or nothing could be measured; 130 when it was interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Final

import uvloop
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from loadtests.compare import machine
from loadtests.compare.bench import Cores, choose_cores
from loadtests.compare.peers import Peer
from loadtests.compare.processes import CompareError, raise_descriptor_limit
from loadtests.compare.report import markdown_table, replace_part
from loadtests.resilience import stage
from loadtests.resilience.figures import COLUMNS, Figures, Row, figures, rows, rows_of_both
from loadtests.resilience.peers import PEERS
from loadtests.resilience.stage import BOTH, CASES, Case, Plan

BEGIN: Final = "<!-- resilience: from here to the end mark is written by `make resilience` -->"
END: Final = "<!-- resilience: end -->"
_RESULTS: Final = Path(__file__).parent.parent / "results.md"

HOW: Final = """\
Requests come at a fixed rate that does not wait for replies, and latency counts from the time a request was due; after
5 s a user has gone, which is a failure, as is every reply but the right one. An endpoint takes 4 ms and an exponential
part of 1 ms on average; one of them goes bad at a moment and stays so. Each proxy has one worker on one core and is
started for each run. Fairlead has its defaults; HAProxy and Envoy have what their documentation advises against
endpoints that fail (`loadtests/resilience/haproxy.cfg`, `envoy.yaml`), with deadlines of one second for a try, which a
service that takes 5 ms can afford and they have to be told."""

Found = Mapping[str, Mapping[str, Figures]]  # case -> peer -> figures


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console() if sys.stdout.isatty() else Console(width=140)
    options = _parser().parse_args()
    plan = Plan(**{each.name: getattr(options, each.name) for each in fields(Plan)})
    peers = [peer for peer in PEERS if not options.only or peer.name in options.only.split(",")]
    try:
        found = _measure(console, plan, peers)
    except KeyboardInterrupt:
        console.print("interrupted: everything that was started has been stopped, nothing was written")
        return 130
    except CompareError as error:
        console.print(f"[bold red]resilience:[/] {escape(str(error))}")
        return 1
    table = [row for case in CASES for row in rows(case.title, found[case.title])]
    table += rows_of_both(BOTH.title, found[BOTH.title])
    console.print(as_table(table))
    if output := options.output or (_RESULTS if plan == Plan() and len(peers) == len(PEERS) else None):
        facts = {**machine.describe(), **{p.name: p.version() for p in peers}, "command": _command()}
        document = output.read_text() if output.exists() else ""
        output.write_text(replace_part(document, as_markdown(table, found, facts), BEGIN, END))
        console.print(f"written to {output}")
    missed = sum(row.is_met is False for row in table)
    console.print(f"[red]{missed} bounds missed" if missed else "[green]every bound is met")
    return 1 if missed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.resilience", description="One bad endpoint among three.")
    for each in fields(Plan):
        parser.add_argument(f"--{each.name}", type=type(each.default), default=each.default, help="(%(default)s)")
    parser.add_argument("--only", default="", help="proxies, separated by commas (default: all)")
    parser.add_argument("--output", type=Path, help="where results go (default: loadtests/results.md, of a whole run)")
    return parser


def _measure(console: Console, plan: Plan, peers: Sequence[Peer]) -> dict[str, dict[str, Figures]]:
    for peer in peers:
        if missing := peer.missing():
            raise CompareError(f"{peer.name}: {missing}")
    raise_descriptor_limit()
    cores = choose_cores()
    if cores.is_shared:
        console.print("[yellow]only one core is usable:[/] proxy and users share it; trust no latency")
    os.sched_setaffinity(0, {cores.load})  # this program is users and endpoints
    gc.disable()  # a collection would be charged to the proxy
    found: dict[str, dict[str, Figures]] = {}
    with _progress(console) as progress:
        task = progress.add_task("starting", total=len((*CASES, BOTH)) * len(peers))
        for case in (*CASES, BOTH):
            for peer in peers:
                progress.update(task, description=f"{case.title}, {peer.name}")
                measured = _one(peer, case, plan, cores)
                found.setdefault(case.title, {})[peer.name] = measured
                console.print(f"{case.title:28} {peer.name:10} {escape(told(measured))}", highlight=False)
                progress.advance(task)
    return found


def _one(peer: Peer, case: Case, plan: Plan, cores: Cores) -> Figures:
    with (
        tempfile.TemporaryDirectory(prefix="fairlead-resilience-") as name,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        outcomes = runner.run(stage.run(peer, case, plan, cores, Path(name)))
    gc.collect()
    return figures(outcomes, plan.calm)


def told(measured: Figures) -> str:
    """In a line."""
    kinds = ", ".join(f"{count} {what}" for what, count in measured.kinds.items()) or "no failure"
    return (
        f"p99 {measured.p99_calm_s * 1000:.1f} ms calm, {measured.p99_back_s * 1000:.1f} ms after 5 s, "
        f"slowest {measured.slowest_s:.2f} s; {kinds}"
    )


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:44}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, refresh_per_second=1)  # it draws on the users' core


def as_table(found: Sequence[Row]) -> Table:
    """For the terminal."""
    table = Table(title="One bad endpoint among three", title_justify="left")
    for i, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if 1 < i < 5 else "left")
    for row in found:
        style = {True: "green", False: "bold red", None: "dim"}[row.is_met]
        table.add_row(*row.cells[:-1], f"[{style}]{row.cells[-1].strip('*')}[/]")
    return table


def as_markdown(table: Sequence[Row], found: Found, facts: Mapping[str, str]) -> str:
    """The whole part of results.md between its marks."""
    lines = [(case, peer, told(each)) for case, of_case in found.items() for peer, each in of_case.items()]
    parts = [
        BEGIN,
        "# One bad endpoint among three",
        markdown_table(COLUMNS, [row.cells for row in table]),
        HOW,
        markdown_table(("fault", "proxy", "what users saw"), lines),
        markdown_table(("what", "which"), list(facts.items())),
        END,
    ]
    return "\n\n".join(parts) + "\n"


def _command() -> str:
    return f"python -m loadtests.resilience {shlex.join(sys.argv[1:])}".strip()


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends this program as Ctrl-C does, so that what it started is stopped."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
