"""The command: which workloads, which peers, how long; progress while it runs, then the table and results.md.

Exit status: 0 when everything was measured, whether or not a bound was met; 1 when a reply was wrong or a peer did not
start; 2 for a command line that cannot be used; 130 when it was interrupted.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from loadtests.compare import machine, report
from loadtests.compare.bench import Bench, Plan, choose_cores, name_of
from loadtests.compare.peers import PEERS, Peer
from loadtests.compare.processes import CompareError, raise_descriptor_limit
from loadtests.compare.rounds import Results, Step, run, steps
from loadtests.compare.upstream import compile_server
from loadtests.compare.workloads import WORKLOADS, Workload

_FILE_COLUMNS = 170  # of a table that is not shown in a terminal, which has its own width
_RESULTS = Path(__file__).parent.parent / "results.md"


def main() -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    console = Console() if sys.stdout.isatty() else Console(width=_FILE_COLUMNS)
    options = _parser().parse_args()
    if options.list:
        for workload in WORKLOADS:
            console.print(f"[bold]{workload.name:12}[/] {workload.title}")
        return 0
    try:
        return _compare(console, options)
    except KeyboardInterrupt:
        console.print("interrupted: everything that was started has been stopped, nothing was written")
        return 130
    except CompareError as error:
        console.print(f"[bold red]compare:[/] {error}")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests.compare", description="Fairlead beside other proxies.")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (default: 3)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement after warm-up (default: 4)")
    parser.add_argument("--quick", action="store_true", help="one round of 1 s: shows that it works, gives no figures")
    parser.add_argument("--workload", type=_names([w.name for w in WORKLOADS]), metavar="NAME,...", help="only these")
    parser.add_argument("--only", type=_names(list(PEERS)), metavar="PEER,...", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--output", type=Path, help="where results go (default: loadtests/results.md, of a whole run)")
    parser.add_argument("--list", action="store_true", help="the workloads, and nothing else")
    return parser


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Reads names that are separated by commas, each of them known."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
        return names

    return read


def _compare(console: Console, options: argparse.Namespace) -> int:
    plan = (
        Plan(rounds=1, seconds=1.0, is_quick=True)
        if options.quick
        else Plan(rounds=options.rounds, seconds=options.seconds)
    )
    workloads = [w for w in WORKLOADS if not options.workload or w.name in options.workload]
    peers, absent = _present(options.only or list(PEERS))
    if tools := machine.missing_tools():
        raise CompareError(f"{', '.join(tools)} not found: apt-get install -y wrk util-linux")
    facts = {**machine.describe(), **{name: peer.version() for name, peer in peers.items()}, "command": _command()}
    for note in absent:
        console.print(f"[yellow]left out:[/] {note}")
    results = _measure(console, plan, workloads, peers)
    found = report.rows(workloads, results)
    console.print(report.as_table(found, "Fairlead beside nginx, HAProxy and Envoy (lower is better)"))
    for note in results.failures:
        console.print(f"[bold red]failed:[/] {escape(note)}")
    _conclude(console, found)
    is_whole = not (options.quick or options.workload or options.only)
    if output := options.output or (_RESULTS if is_whole else None):
        text = report.as_markdown(found, report.details(workloads, results), facts, [*absent, *results.failures])
        _write(output, text)
        console.print(f"written to {output}")
    return 1 if results.failures else 0


def _present(names: Sequence[str]) -> tuple[dict[str, Peer], list[str]]:
    """The peers that can be run, and of the others why not."""
    reasons = {name: PEERS[name].missing() for name in names}
    present = {name: PEERS[name] for name, reason in reasons.items() if reason is None}
    return present, [f"{name}: {reason}" for name, reason in reasons.items() if reason]


def _measure(console: Console, plan: Plan, workloads: Sequence[Workload], peers: Mapping[str, Peer]) -> Results:
    """Everything in its order, with a bar whose length is time."""
    limit = raise_descriptor_limit()
    cores = choose_cores()
    if cores.is_shared:
        console.print("[yellow]only one core is usable:[/] proxy, upstream and generator share it; trust no figure")
    os.sched_setaffinity(0, {cores.load})  # this program too keeps away from the proxy's core
    order = steps(plan, workloads, peers)
    total = sum(step.seconds(plan) for step in order)
    console.print(f"{len(order)} measurements, about {total / 60:.0f} min; proxy on core {cores.proxy}")
    compile_server()
    with (
        tempfile.TemporaryDirectory(prefix="fairlead-compare-") as directory,
        _progress(console) as progress,
    ):
        task = progress.add_task("starting", total=total)
        bench = Bench(plan, cores, limit, Path(directory))

        def show(step: Step) -> None:
            at = f"round {step.number + 1}/{plan.rounds}"
            progress.update(task, description=f"{at} {step.workload.name} {name_of(step.peer)}")

        def tell(step: Step, outcome: str) -> None:
            progress.advance(task, step.seconds(plan))
            console.print(
                f"[dim]{step.number + 1:2} {step.workload.name:11} {name_of(step.peer):9}[/] {escape(outcome)}"
            )

        with bench.upstreams():
            return run(bench, order, show, tell)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:32}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, refresh_per_second=1)  # it draws on the generator's core


def _conclude(console: Console, found: Sequence[report.Row]) -> None:
    missed = sum(row.is_met is False for row in found)
    open_ones = sum(row.is_met is None for row in found)
    met = sum(row.is_met is True for row in found)
    console.print(f"[bold]{met} met, [{'red' if missed else 'green'}]{missed} missed[/], {open_ones} not comparable[/]")


def _command() -> str:
    return f"python -m loadtests.compare {shlex.join(sys.argv[1:])}".strip()


def _write(path: Path, part: str) -> None:
    path.write_text(report.replace_part(path.read_text() if path.exists() else "", part))


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends this program as Ctrl-C does, so that what it started is stopped."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
