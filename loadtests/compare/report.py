"""The results as a table in the terminal and as Markdown. Pure: values in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from rich.table import Table

from loadtests.compare.figures import ENVOY, NATIVE, Figure, Sample, Values, judge, ratio, spread
from loadtests.compare.rounds import Results
from loadtests.compare.workloads import Workload

PEERS: Final = ("fairlead", "nginx", "haproxy", "envoy")
COLUMNS: Final = ("workload", "figure", *PEERS, "/ best of nginx, HAProxy", "/ Envoy", "must be", "met")
BEGIN: Final = "<!-- compare: from here to the end mark is written by `make compare` -->"
END: Final = "<!-- compare: end -->"
_MARKS: Final = {True: "yes", False: "**NO**", None: "-"}

HOW: Final = """\
Each proxy has one worker on one core; two upstreams that answer from memory and the generator share the other. A round
measures everything once, each measurement with a freshly started proxy after a warm-up; figures are medians over the
rounds. Every reply is compared byte for byte, in the measurement itself and on the same path before and after it; a
wrong one fails the run. Access logs are off; Fairlead's metrics, timeouts, strict parsing and forwarded fields are on.

- *CPU* is user and system time of the proxy's whole process tree (Fairlead's supervisor and nginx's master included),
  from the scheduler, divided by what `wrk` counted. The rate is often limited by the generator's core, not the proxy's.
- *Added latency* is that of the proxy less that of a direct connection. Requests are sent at fixed times that do not
  wait for replies, and latency counts from the time a request was due (no coordinated omission).
- *Memory per connection* is what the process tree's allocated memory (proportional set size without mapped files) grew
  by with idle clients that made one request each. Socket buffers are the kernel's and the same for all.
- The peers' configurations are in `loadtests/compare/peers/`.
"""


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A figure of a workload, ready to be shown."""

    cells: tuple[str, ...]
    is_met: bool | None


def number(value: float) -> str:
    """Three digits that matter, more only before the point."""
    size = abs(value)
    for least, digits in ((100, 0), (10, 1), (1, 2)):
        if size >= least:
            return f"{value:,.{digits}f}"
    return "0" if size < 0.0005 else f"{value:.3f}"


def rows(workloads: Sequence[Workload], results: Results) -> list[Row]:
    """All figures of the workloads that were measured."""
    found: list[Row] = []
    for workload in workloads:
        values = workload.summary(results.samples.get(workload.name, {}))
        for i, figure in enumerate(workload.figures):
            of_figure = {peer: found[figure.key] for peer, found in values.items() if figure.key in found}
            found.append(_row("" if i else workload.title, figure, of_figure))
    return found


def _row(title: str, figure: Figure, values: Values) -> Row:
    verdicts = judge(figure, values)
    known = [verdict.is_met for verdict in verdicts if verdict.is_met is not None]
    is_met = all(known) if known else None
    unit = f", {figure.unit}" if figure.unit else ""
    cells = (
        title,
        figure.title + unit,
        *(number(values[peer]) if peer in values else "-" for peer in PEERS),
        *(_ratio(values, of) for of in (NATIVE, ENVOY)),
        ", ".join(bound.text(figure.unit) for bound in figure.bounds),
        _MARKS[is_met],
    )
    return Row(cells, is_met)


def _ratio(values: Values, of: Sequence[str]) -> str:
    found = ratio(values, of)
    return "-" if found is None else f"{found:.2f}"


def as_table(found: Sequence[Row], title: str) -> Table:
    """For the terminal."""
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if i < 2 or i >= len(COLUMNS) - 2 else "right")
    for row in found:
        style = {True: "green", False: "bold red", None: "dim"}[row.is_met]
        table.add_row(*row.cells[:-1], f"[{style}]{row.cells[-1].strip('*')}[/]")
    return table


def markdown_table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    header = [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    return "\n".join([*header, *(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)])


def details(workloads: Sequence[Workload], results: Results) -> list[tuple[str, str, str]]:
    """For each workload and peer its figures, and what helps to judge them, with the lowest and the highest round."""
    lines: list[tuple[str, str, str]] = []
    for workload in workloads:
        samples = results.samples.get(workload.name, {})
        for peer, values in workload.summary(samples).items():
            told = [_told(f, values, samples[peer]) for f in (*workload.figures, *workload.details) if f.key in values]
            lines.append((workload.name, peer, "; ".join(told) or "nothing"))
    return lines


def _told(figure: Figure, values: Sample, rounds: Sequence[Sample]) -> str:
    gap = "" if figure.unit in ("", "/s") else " "
    text = f"{figure.title} {number(values[figure.key])}{gap}{figure.unit}"
    extremes = spread(rounds, figure.key)
    if extremes is None or extremes[0] == extremes[1]:
        return text
    return f"{text} ({number(extremes[0])} to {number(extremes[1])})"


def as_markdown(found: Sequence[Row], more: Sequence[Sequence[str]], facts: Mapping[str, str], notes: list[str]) -> str:
    """The whole part of results.md between its marks."""
    parts = [
        BEGIN,
        "# Fairlead beside nginx, HAProxy and Envoy",
        "Lower is better everywhere.",
        markdown_table(COLUMNS, [row.cells for row in found]),
        "## What was measured on what",
        markdown_table(("what", "which"), list(facts.items())),
        *(["## What went wrong or was left out", "\n".join(f"- {note}" for note in notes)] if notes else []),
        "## How it was measured",
        HOW.strip(),
        "## Each peer's rounds",
        markdown_table(("workload", "peer", "median (lowest to highest round)"), more),
        END,
    ]
    return "\n\n".join(parts) + "\n"


def replace_part(document: str, part: str, begin: str = BEGIN, end: str = END) -> str:
    """`document` with what is between the marks exchanged; what people have written around it stays."""
    before, found_begin, rest = document.partition(begin)
    _, found_end, after = rest.partition(end)
    if found_begin and found_end:
        return before + part.rstrip("\n") + after
    return f"{document.rstrip()}\n\n{part}".lstrip()
