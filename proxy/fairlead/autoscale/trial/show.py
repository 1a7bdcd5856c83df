"""What came of a trial for people: a table in the terminal, and a plot in a file.

The plot is drawn by matplotlib, which is an extra: `pip install 'fairlead[plot]'`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from fairlead.autoscale.learning import SLICE_S
from fairlead.autoscale.trial.drivers import drivers
from fairlead.autoscale.trial.run import Outcome, try_driver
from fairlead.autoscale.trial.scenario import Scenario, load
from fairlead.errors import ConfigError
from fairlead.yaml_nodes import suggest

_FORMATS: Final = (".svg", ".png", ".pdf")


def compare(spec: str, names: Sequence[str], *, seed: int, plot_to: Path | None) -> int:
    """Try the drivers of those names, or all, and print what came of it. Raises ConfigError for what is wrong."""
    scenario = load(spec)
    known = {driver.name: driver for driver in drivers(scenario)}
    for name in names:
        if name not in known:
            raise ConfigError([f"--driver: {name!r} is none; {suggest(name, known)}"])
    if plot_to is not None and plot_to.suffix not in _FORMATS:
        raise ConfigError([f"--plot: {plot_to} must end in one of {', '.join(_FORMATS)}"])
    found = [try_driver(scenario, known[name], seed) for name in names or known]
    _print(scenario, found, Console())
    if plot_to is not None:
        _plot(scenario, found, plot_to)
    return 0


def _print(scenario: Scenario, found: Sequence[Outcome], console: Console) -> None:
    """One row for each driver."""
    table = Table(box=box.MARKDOWN)  # which can be pasted where it is discussed
    table.add_column("driver")
    for name in ("pods at most", "changes", "pod-min", "over", "late", "p95 above", "failed"):
        table.add_column(name, justify="right")
    for each in found:
        table.add_row(
            each.driver,
            str(max(each.replicas)),
            str(each.changes),
            f"{each.pod_seconds / 60:.0f}",
            f"{each.over / 60:.0f}",
            f"{each.late / max(each.requests, 1):.2%}",
            f"{each.above_s(scenario.objective_s):.0f} s",
            f"{each.failed:,}",
        )
    console.print(_title(scenario, found), style="bold", highlight=False)
    console.print(table)


def _title(scenario: Scenario, found: Sequence[Outcome]) -> str:
    rates = [point.rate for point in scenario.load]
    needed = found[0].needed
    return (
        f"{scenario.name}: {min(rates):g} to {max(rates):g} requests/s in {scenario.seconds_s / 60:g} min, objective "
        f"{scenario.objective_s:g} s, {max(needed)} pods needed at most, {SLICE_S * sum(needed) / 60:.0f} pod-min"
    )


def _plot(scenario: Scenario, found: Sequence[Outcome], path: Path) -> None:
    """Pods over time beside those that are needed, and the 95th percentile beside the objective."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(["--plot: needs matplotlib; install it with: pip install 'fairlead[plot]'"]) from error
    figure = Figure(figsize=(9, 7), layout="constrained")
    pods, late = figure.subplots(2, 1, sharex=True)
    minutes = [SLICE_S * (place + 1) / 60 for place in range(len(found[0].needed))]
    pods.fill_between(minutes, found[0].needed, step="pre", color="0.88", label="needed")
    for each in found:
        pods.step(minutes, each.replicas, where="pre", label=each.driver)
        late.plot(minutes, [value or float("nan") for value in each.p95_s], label=each.driver)
    objective = late.axhline(scenario.objective_s, color="0.4", linestyle="--", label="objective")
    late.legend(handles=[objective])
    pods.set(title=scenario.name, ylabel="pods")
    pods.legend()
    late.set(ylabel="p95 (s)", yscale="log", xlabel="minutes")
    with rc_context({"svg.hashsalt": "fairlead", "svg.fonttype": "none"}):  # the same figures, the same file
        try:
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            raise ConfigError([f"--plot: {path} cannot be written: {error.strerror}"]) from error
