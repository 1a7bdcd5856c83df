"""How the demo looks, as text."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from fairlead.demo.events import Events
from fairlead.demo.figures import HISTORY, EndpointReading, Latency, Row
from fairlead.demo.view import Client, Place, Scene, line, milliseconds, picture, sparkline, summary
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

PLACE = Place(
    proxy="http://127.0.0.1:8080",
    admin="http://127.0.0.1:9900",
    configuration="/tmp/fairlead-demo-x/fairlead.yaml",
    log="/tmp/fairlead-demo-x/proxy.log",
)


def row(name: str, state: str = "ready", rate: float = 130.0) -> Row:
    reading = EndpointReading(
        address=f"127.0.0.1:{9000 + ord(name)}", state=state, requests=12_345, errors=3, in_flight=4, ttfb_ms=2.25
    )
    return Row(name=name, reading=reading, rate=rate, history=(rate,) * HISTORY, latency=Latency(3.14, 22.0))


SCENE = Scene(
    clock="10:02:11",
    elapsed_s=12.4,
    place=PLACE,
    rows=[row("a"), row("b", "ejected", 0.0), row("c", rate=17.0)],
    conditions={"a": "alive", "b": "dead", "c": "slow"},
    client=Client(ok=123_456, failed=7, rate=399.6, history=(400.0, 398.0), latency=Latency(3.9, 101.0)),
    retries=1_345,
    events=[f"10:02:{second} backend b was killed" for second in range(10, 40)],
)


def shown(scene: Scene, width: int, height: int) -> str:
    written = StringIO()
    Console(width=width, height=height, file=written).print(picture(scene, width, height))
    return written.getvalue()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 40), (100, 30), (120, 50), (200, 60)])
def test_nothing_that_matters_is_cut_off(width: int, height: int) -> None:
    text = shown(SCENE, width, height)
    for word in ("http://127.0.0.1:8080/", "http://127.0.0.1:9900/metrics", PLACE.configuration, PLACE.log):
        assert word in text
    for word in ("a alive", "b dead", "c slow", "ready", "ejected", "12,345", "3.1 ms", "22.0 ms", "errors", "Ctrl-C"):
        assert word in text
    for word in ("123,456 ok", "7 failed", "1,345 sent again", "10:02:39 backend b was killed"):
        assert word in text
    assert "…" not in text


def test_a_wide_picture_has_more_columns() -> None:
    assert "ttfb" not in shown(SCENE, 80, 40)
    assert "2.2 ms" in shown(SCENE, 120, 40)
    assert "127.0.0.1:9097" in shown(SCENE, 120, 40)


def test_the_latest_events_are_shown_as_far_as_there_is_room() -> None:
    assert shown(SCENE, 80, 24).count("was killed") == 3
    assert shown(SCENE, 80, 60).count("was killed") == 12


def test_a_scene_in_which_nothing_is_known_yet_is_a_picture_too() -> None:
    text = shown(Scene(clock="10:02:11", elapsed_s=0.0, place=PLACE, conditions={}), 80, 24)
    assert "nothing yet" in text


def test_text_from_outside_is_no_markup() -> None:
    scene = replace(SCENE, events=["10:02:11 proxy: config-refused: [bold]x[/]"])
    assert "[bold]x[/]" in shown(scene, 120, 40)


def test_a_line_says_everything() -> None:
    assert line(SCENE) == (
        "10:02:11  12 s: 400 requests/s, 123,456 ok, 7 failed, p50 3.9 ms, p99 101 ms, 1,345 retried | "
        "a alive (ready) 130/s | b dead (ejected) 0/s | c slow (ready) 17/s"
    )


def test_the_summary_names_every_problem() -> None:
    assert summary(SCENE, {"502 connect-failed": 6, "connection refused": 1}, Latency(3.9, 101.0)).splitlines() == [
        "123,463 requests in 12 s: 123,456 ok, 7 failed; p50 3.9 ms, p99 101 ms; "
        "1,345 sent again elsewhere by the proxy",
        "  failed: 6 x 502 connect-failed",
        "  failed: 1 x connection refused",
        "  a  127.0.0.1:9097  12,345 requests, 3 errors",
        "  b  127.0.0.1:9098  12,345 requests, 3 errors",
        "  c  127.0.0.1:9099  12,345 requests, 3 errors",
    ]


def test_bars_are_shares_of_the_highest() -> None:
    assert sparkline([0, 1, 50, 100], 100) == " ▁▄█"
    assert sparkline([0, 0], 0) == "  "


@given(st.lists(st.floats(0, 1e6), max_size=50), st.floats(0, 1e6))
def test_there_is_a_bar_for_each_value_whatever_it_is(values: list[float], top: float) -> None:
    assert len(sparkline(values, top)) == len(values)


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0.456, "0.46 ms"), (3.14, "3.1 ms"), (213.4, "213 ms")])
def test_milliseconds_have_three_digits(value: float | None, text: str) -> None:
    assert milliseconds(value) == text


def test_what_comes_again_and_again_is_one_line_that_counts() -> None:
    events = Events()
    events.add("10:00:00", "backend a was killed")
    events.count("10:00:01", "requests sent again:", {"connect-failed": 3})
    events.count("10:00:02", "requests sent again:", {"connect-failed": 1_000, "stale-connection": 1})
    events.count("10:00:03", "requests sent again:", {})
    events.add("10:00:04", "backend a was started again")
    events.count("10:00:05", "requests sent again:", {"connect-failed": 2})
    assert [str(event) for event in events.latest] == [
        "10:00:00 backend a was killed",
        "10:00:01 requests sent again: 1,004 (connect-failed 1,003, stale-connection 1)",
        "10:00:04 backend a was started again",
        "10:00:05 requests sent again: 2 (connect-failed 2)",
    ]


def test_each_event_is_new_once() -> None:
    events = Events()
    events.count("10:00:01", "sent again:", {"connect-failed": 3})
    assert events.take_new() == ["10:00:01 sent again: 3 (connect-failed 3)"]
    events.count("10:00:02", "sent again:", {"connect-failed": 3})
    assert events.take_new() == []
