"""The command: one scenario against pods and a proxy that it starts; then the plots and where the report is.

Exit status: 0 when it ran to its end; 1 when it could not; 130 when it was interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from asyncio.subprocess import Process
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from loadtests.compare.processes import HOST, CompareError
from loadtests.scenarios import report, stage
from loadtests.scenarios.plans import PLANS, Plan
from loadtests.scenarios.stage import Stage, StageError

_LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
_REPORTS: Final = Path(__file__).parent.parent / "reports"
_SPARE_S: Final = 60.0  # that locust may take longer than the scenario
_ROOT: Final = Path(__file__).parents[2]


def main() -> int:
    console = Console() if sys.stdout.isatty() else Console(width=120)
    options = _parser().parse_args()
    plan = PLANS[options.scenario].scaled(options.stretch, options.scale)
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(_run(console, plan, options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("interrupted: everything that was started has been stopped")
        return 130
    except (StageError, CompareError, ValueError) as error:
        console.print(f"[bold red]loadtest:[/] {escape(str(error))}")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.scenarios",
        description="Load as people make it, by locust.",
        epilog="\n".join(f"{plan.name:12} {plan.says} ({plan.model} model)" for plan in PLANS.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", nargs="?", default="spike", choices=list(PLANS), metavar="SCENARIO")
    parser.add_argument("--stretch", type=float, default=1.0, help="so many times longer")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the users")
    parser.add_argument("--processes", type=int, default=1, help="of locust, for more load than one core can make")
    parser.add_argument("--web", type=int, metavar="PORT", help="locust's web UI; the scenario starts and ends there")
    parser.add_argument("--output", type=Path, default=_REPORTS, help="where reports go (default: loadtests/reports)")
    return parser


async def _run(console: Console, plan: Plan, options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    marks: list[tuple[float, str]] = []  # when, in Unix seconds as locust has it, and what

    def tell(what: str) -> None:
        marks.append((time.time(), what))
        console.print(f"{datetime.now():%H:%M:%S}  {what}", highlight=False)

    with tempfile.TemporaryDirectory(prefix="fairlead-loadtest-") as name:
        async with stage.opened(plan, Path(name), tell) as ready:
            console.print(f"[bold]{plan.name}[/]: {plan.says}; {plan.model} model, {plan.seconds:g} s")
            console.print(f"the app is at http://{HOST}:{ready.port}, Fairlead's page at http://{HOST}:{ready.admin}")
            await _load(console, plan, options, ready)
    if options.web is None:
        _show(console, plan, options.output, marks)


async def _load(console: Console, plan: Plan, options: argparse.Namespace, ready: Stage) -> None:
    """Locust, and what befalls the pods meanwhile."""
    log = options.output / f"{plan.name}.log"
    with log.open("wb") as output:
        locust = await asyncio.create_subprocess_exec(
            *_locust(plan, options, ready.port), cwd=_ROOT, stdout=output, stderr=output, start_new_session=True
        )
    if options.web is not None:
        console.print(f"locust's page is at http://{HOST}:{options.web}; Ctrl-C ends everything")
    try:
        async with asyncio.TaskGroup() as group:
            acts = [group.create_task(_act(ready, plan, number)) for number in range(len(plan.acts))]
            await _wait(console, plan, locust, options.web is not None)
            for act in acts:
                act.cancel()
    finally:
        with suppress(ProcessLookupError):
            locust.terminate()
        await locust.wait()
    # 1 says that some requests failed, which is what the report is about
    if options.web is None and locust.returncode not in (0, 1):
        raise StageError(f"locust ended with {locust.returncode}: {log.read_text()[-600:]}")


def _locust(plan: Plan, options: argparse.Namespace, port: int) -> list[str]:
    words = [sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE), "--host", f"http://{HOST}:{port}"]
    words += ["--scenario", plan.name, "--stretch", str(options.stretch), "--scale", str(options.scale)]
    if options.processes > 1:
        words += ["--processes", str(options.processes)]
    if options.web is not None:
        return [*words, "--web-host", HOST, "--web-port", str(options.web), "--class-picker"]
    base = options.output / plan.name
    return [*words, "--headless", "--only-summary", "--csv", str(base), "--html", f"{base}.html"]


async def _act(ready: Stage, plan: Plan, number: int) -> None:
    act = plan.acts[number]
    await asyncio.sleep(act.at_s)
    await ready.act(act)


async def _wait(console: Console, plan: Plan, locust: Process, is_endless: bool) -> None:
    if is_endless:
        await locust.wait()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, refresh_per_second=1) as progress:
        task = progress.add_task(plan.name, total=plan.seconds)
        for _ in range(int(plan.seconds + _SPARE_S)):
            with suppress(TimeoutError):
                await asyncio.wait_for(locust.wait(), 1.0)
                return
            progress.advance(task)
    raise StageError(f"locust did not end {_SPARE_S:g} s after the scenario")


def _show(console: Console, plan: Plan, output: Path, marks: list[tuple[float, str]]) -> None:
    start, history = report.read(output / f"{plan.name}_stats_history.csv")
    console.print(report.lines(history))
    picture = output / f"{plan.name}.png"
    since = [(max(at - start, 0.0), what) for at, what in marks]
    report.draw(history, since, f"{plan.name}: {plan.says} ({plan.model} model)", picture)
    console.print(f"plot: {picture}\nreport: {output / plan.name}.html", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
