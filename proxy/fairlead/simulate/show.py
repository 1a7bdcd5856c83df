"""The figures of a simulation for people: a table in the terminal, and a plot in a file.

The plot is drawn by matplotlib, which is an extra: `pip install 'fairlead[plot]'`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from fairlead.errors import ConfigError
from fairlead.simulate.figures import SLICE_US, Figures
from fairlead.simulate.scenario import Scenario

FORMATS = (".svg", ".png", ".pdf")


def print_table(scenario: Scenario, found: Sequence[Figures], console: Console) -> None:
    """One row for each policy."""
    table = Table(box=box.MARKDOWN)  # which can be pasted where it is discussed
    table.add_column("policy")
    ejecting = ("ejections",) if scenario.ejection else ()
    for name in ("requests", "failed", "p50 ms", "p99 ms", "p99.9 ms", "imbalance", "together", *ejecting):
        table.add_column(name, justify="right")
    for each in found:
        table.add_row(
            each.policy,
            f"{each.requests:,}",
            f"{each.failed:,} ({each.failed / max(each.requests, 1):.2%})" if each.failed else "0",
            f"{each.p50_ms:.1f}",
            f"{each.p99_ms:.1f}",
            f"{each.p999_ms:.1f}",
            f"{each.imbalance:.2f}",
            f"{each.together:.0%}",
            *[str(each.ejections) for _ in ejecting],
        )
    console.print(_title(scenario), style="bold", highlight=False)
    console.print(table)


def _title(scenario: Scenario) -> str:
    slow = f", slow start {scenario.slow_start_s:g} s" if scenario.slow_start_s else ""
    load = f"{scenario.rate:g} requests/s for {scenario.seconds_s:g} s"
    return f"{scenario.name}: {load}, {scenario.workers} workers{slow}"


def plot(scenario: Scenario, found: Sequence[Figures], path: Path) -> None:
    """The 99th percentile over time, and failed requests if there are any. Raises ConfigError when it cannot be."""
    if path.suffix not in FORMATS:
        raise ConfigError([f"--plot: {path} must end in one of {', '.join(FORMATS)}"])
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(["--plot: needs matplotlib; install it with: pip install 'fairlead[plot]'"]) from error
    has_failures = any(each.failed for each in found)
    figure = Figure(figsize=(9, 6 if has_failures else 4), layout="constrained")
    panels = figure.subplots(2 if has_failures else 1, 1, sharex=True, squeeze=False)[:, 0]
    for each in found:
        times = [place * SLICE_US / 1e6 for place in range(len(each.p99_by_slice))]
        panels[0].plot(times, [value or float("nan") for value in each.p99_by_slice], label=each.policy)
        if has_failures:
            panels[1].plot(times, [count * 1e6 / SLICE_US for count in each.failed_by_slice], label=each.policy)
    panels[0].set(title=_title(scenario), ylabel="p99 (ms)", yscale="log")
    panels[0].legend()
    if has_failures:
        panels[1].set(ylabel="failed requests/s")
    panels[-1].set(xlabel="seconds")
    _save(figure, path)


def _save(figure: object, path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    assert isinstance(figure, Figure)
    with mpl.rc_context({"svg.hashsalt": "fairlead", "svg.fonttype": "none"}):  # the same figures, the same file
        try:
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            raise ConfigError([f"--plot: {path} cannot be written: {error.strerror}"]) from error
