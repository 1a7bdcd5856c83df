"""How the demo looks: the live picture for a terminal, a line a second for a log, and the summary.

Pure: a `Scene` in, text out. Owns no state and asks nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, final

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from fairlead.demo.figures import HISTORY, Latency, Row

_BARS: Final = " ▁▂▃▄▅▆▇█"
_EVENTS: Final = (3, 12)  # the fewest and the most
_OTHER_LINES: Final = 22  # what a picture holds beside its events
_WIDE: Final = 110  # columns from which on there is room for all
_FIGURES: Final = ("now", "total", "p50", "p99", "ttfb", "in flight", "errors")
_HEADINGS: Final = ("backend", "endpoint", "state", "requests/s", *_FIGURES)
_WIDE_ONLY: Final = ("endpoint", "ttfb", "in flight")
_STYLES: Final = {"ready": "green", "alive": "green", "slow": "yellow", "dead": "bold red", "ejected": "red"}
_UNCERTAIN: Final = "yellow"  # any other state


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to look."""

    proxy: str
    admin: str
    configuration: str
    log: str


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What the client saw: `ok` and `failed` since the start, the rest lately."""

    ok: int = 0
    failed: int = 0
    rate: float = 0.0
    history: tuple[float, ...] = ()
    latency: Latency = field(default_factory=Latency)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that is shown at one moment. `conditions` are what the demo has done to its backends, by name."""

    clock: str
    elapsed_s: float
    place: Place
    rows: Sequence[Row] = ()
    conditions: dict[str, str]
    client: Client = field(default_factory=Client)
    retries: int = 0
    events: Sequence[str] = ()


def picture(scene: Scene, width: int, height: int) -> RenderableType:
    """The whole screen, for a terminal of that size: what is narrow is shown less, what is low fewer events."""
    is_wide = width >= _WIDE
    count = max(_EVENTS[0], min(_EVENTS[1], height - _OTHER_LINES))
    events = Text("\n".join(scene.events[-count:]) or "nothing yet", style="" if scene.events else "dim", no_wrap=True)
    title = f"fairlead demo, {scene.elapsed_s:.0f} s"
    return Group(
        Panel(_places(scene.place, is_wide), title=title, subtitle="Ctrl-C ends it"),
        _endpoints(scene, is_wide),
        _client(scene),
        Panel(events, title="what has happened", title_align="left", height=count + 2),
    )


def _places(place: Place, is_wide: bool) -> Table:
    grid = Table.grid(padding=(0, 2))
    for what, where, hint in (
        ("the proxy", f"{place.proxy}/", "any path; try curl"),
        ("its page", f"{place.admin}/", "what the proxy itself shows"),
        ("metrics", f"{place.admin}/metrics", "for Prometheus"),
        ("configuration", place.configuration, "change it, and it is taken on at once"),
        ("its log", place.log, ""),
    ):
        grid.add_row(what, Text(where, no_wrap=True), *([Text(hint, style="dim")] if is_wide else []))
    return grid


def _endpoints(scene: Scene, is_wide: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title="endpoints, as the proxy sees them", expand=is_wide)
    top = max((rate for row in scene.rows for rate in row.history), default=0.0)
    rows = [_cells(row, scene.conditions.get(row.name, ""), top) for row in scene.rows]
    for heading in _HEADINGS:
        if is_wide or heading not in _WIDE_ONLY:
            table.add_column(heading, justify="right" if heading in _FIGURES else "left", no_wrap=True)
    for cells in rows:
        table.add_row(*(cells[heading] for heading in _HEADINGS if is_wide or heading not in _WIDE_ONLY))
    return table


def _cells(row: Row, condition: str, top: float) -> dict[str, Text]:
    """By heading."""
    reading = row.reading
    return {
        "backend": Text.assemble(f"{row.name or '?'} ", (condition, _STYLES.get(condition, ""))),
        "endpoint": Text(reading.address),
        "state": Text(reading.state, style=_STYLES.get(reading.state, _UNCERTAIN)),
        "requests/s": Text(sparkline(row.history, top).rjust(HISTORY), style="cyan"),
        "now": Text(f"{row.rate:.0f}"),
        "total": Text(f"{reading.requests:,}"),
        "p50": Text(milliseconds(row.latency.p50_ms)),
        "p99": Text(milliseconds(row.latency.p99_ms)),
        "ttfb": Text(milliseconds(reading.ttfb_ms or None)),
        "in flight": Text(f"{reading.in_flight:,}"),
        "errors": Text(f"{reading.errors:,}", style="red" if reading.errors else ""),
    }


def _client(scene: Scene) -> RenderableType:
    client = scene.client
    text = Text.assemble(
        (sparkline(client.history, max(client.history, default=0.0)), "cyan"),
        f"  {client.rate:.0f} requests/s, ",
        (f"{client.ok:,} ok", "green"),
        ", ",
        (f"{client.failed:,} failed", "bold red" if client.failed else ""),
        f"; lately {_quantiles(client.latency)}; {scene.retries:,} sent again elsewhere by the proxy",
    )
    return Panel(text, title="the client", title_align="left")


def line(scene: Scene) -> str:
    """Everything in one line."""
    client = scene.client
    endpoints = " | ".join(_endpoint(row, scene.conditions.get(row.name, "")) for row in scene.rows)
    return (
        f"{scene.clock} {scene.elapsed_s:3.0f} s: {client.rate:.0f} requests/s, {client.ok:,} ok, "
        f"{client.failed:,} failed, {_quantiles(client.latency)}, {scene.retries:,} retried | {endpoints}"
    )


def _endpoint(row: Row, condition: str) -> str:
    return f"{row.name or row.reading.address} {condition} ({row.reading.state}) {row.rate:.0f}/s"


def summary(scene: Scene, problems: dict[str, int], overall: Latency) -> str:
    """What it came to."""
    client = scene.client
    lines = [
        f"{client.ok + client.failed:,} requests in {scene.elapsed_s:.0f} s: {client.ok:,} ok, "
        f"{client.failed:,} failed; {_quantiles(overall)}; {scene.retries:,} sent again elsewhere by the proxy"
    ]
    lines += [f"  failed: {count:,} x {problem}" for problem, count in problems.items()]
    lines += [_endpoint_summary(row) for row in scene.rows]
    return "\n".join(lines)


def _endpoint_summary(row: Row) -> str:
    reading = row.reading
    return f"  {row.name or '?'}  {reading.address}  {reading.requests:,} requests, {reading.errors:,} errors"


def _quantiles(latency: Latency) -> str:
    return f"p50 {milliseconds(latency.p50_ms)}, p99 {milliseconds(latency.p99_ms)}"


def sparkline(values: Sequence[float], top: float) -> str:
    """A bar for each value, as high as its share of `top`; what is not nothing is never shown as nothing."""
    if top <= 0:
        return _BARS[0] * len(values)
    steps = len(_BARS) - 1
    heights = (max(1, round(min(1.0, value / top) * steps)) if value > 0 else 0 for value in values)
    return "".join(_BARS[height] for height in heights)


def milliseconds(value: float | None) -> str:
    """Three digits at most; a dash for what is not known."""
    if value is None:
        return "-"
    return f"{value:.{2 if value < 1 else 1 if value < 100 else 0}f} ms"
