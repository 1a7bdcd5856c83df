"""What locust has counted, second by second: read from its CSV, drawn as a picture and as lines in the terminal."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from rich.table import Table

BARS: Final = " ▁▂▃▄▅▆▇█"
_WIDTH: Final = 72
_TOTAL: Final = "Aggregated"


@final
@dataclass(frozen=True, slots=True)
class Second:
    """A line of locust's history. Rates are since the line before; latencies, in ms, of the last ten seconds."""

    at_s: float  # since the first line
    users: float
    rate: float
    failures: float
    p50: float
    p95: float
    p99: float


def read(path: Path) -> tuple[float, list[Second]]:
    """When it begins, in Unix seconds, and the history that `locust --csv` writes. Raises ValueError without one.

    Locust's own rates are averages of ten seconds, which show a spike as a hill: they are made of its totals instead.
    """
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Name"] == _TOTAL]
    if not rows:
        raise ValueError(f"{path}: locust has counted nothing")
    start = float(rows[0]["Timestamp"])
    history = [_second(row, before, start) for before, row in zip([rows[0], *rows], rows, strict=False)]
    return start, history


def _second(row: Mapping[str, str], before: Mapping[str, str], start: float) -> Second:
    at_s = float(row["Timestamp"])
    seconds = max(at_s - float(before["Timestamp"]), 1.0)
    return Second(
        at_s - start,
        _number(row["User Count"]),
        (_number(row["Total Request Count"]) - _number(before["Total Request Count"])) / seconds,
        (_number(row["Total Failure Count"]) - _number(before["Total Failure Count"])) / seconds,
        _number(row["50%"]),
        _number(row["95%"]),
        _number(row["99%"]),
    )


def _number(text: str) -> float:
    return 0.0 if text in ("N/A", "") else float(text)


def lines(history: Sequence[Second]) -> Table:
    """A line of bars for each figure."""
    table = Table(box=None, padding=(0, 1))
    for column in ("", "least", "most", f"0 to {history[-1].at_s:.0f} s"):
        table.add_column(column, justify="right" if column in ("least", "most") else "left")
    for title, values in (
        ("users", [each.users for each in history]),
        ("requests/s", [each.rate for each in history]),
        ("failures/s", [each.failures for each in history]),
        ("p50 ms", [each.p50 for each in history]),
        ("p99 ms", [each.p99 for each in history]),
    ):
        table.add_row(title, f"{min(values):.4g}", f"{max(values):.4g}", bars(values))
    return table


def bars(values: Sequence[float], width: int = _WIDTH) -> str:
    """The values from left to right as bars of eight heights; the highest of those that share a place."""
    most = max(values) or 1.0
    count = min(width, len(values))
    parts = [values[i * len(values) // count : (i + 1) * len(values) // count] for i in range(count)]
    return "".join(BARS[round(max(part) / most * (len(BARS) - 1))] for part in parts)


def draw(history: Sequence[Second], marks: Sequence[tuple[float, str]], title: str, path: Path) -> None:
    """A picture: load, failures and latency over time, with what befell the pods."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7), layout="constrained")
    load, failures, latency = figure.subplots(3, 1, sharex=True)
    times = [each.at_s for each in history]
    load.plot(times, [each.rate for each in history], label="requests/s")
    load.plot(times, [each.users for each in history], label="users", linestyle="--")
    failures.plot(times, [each.failures for each in history], color="tab:red", label="failures/s")
    for name in ("p50", "p95", "p99"):
        latency.plot(times, [getattr(each, name) for each in history], label=f"{name} ms")
    for axis in (load, failures, latency):
        axis.legend(loc="upper left")
        axis.set_ylim(bottom=0)
        for at_s, _ in marks:
            axis.axvline(at_s, color="grey", linewidth=0.8, linestyle=":")
    for at_s, text in marks:
        load.annotate(text, (at_s, 0), rotation=90, fontsize=7, color="grey", va="bottom", ha="right")
    load.set_title(title)
    latency.set_xlabel("seconds")
    figure.savefig(path, dpi=110)
