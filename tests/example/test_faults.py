"""The words that make the example app misbehave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from my_app.__main__ import place
from my_app.ending import Ending, Manner
from my_app.faults import WORDS, Faults, changed, from_environment


@pytest.mark.parametrize(
    ("words", "faults"),
    [
        ({}, Faults()),
        ({"latency": "0.2", "jitter": "1"}, Faults(latency=0.2, jitter=1.0)),
        ({"concurrency": "4"}, Faults(concurrency=4)),
        ({"status": "500", "ratio": "0.25"}, Faults(status=500, ratio=0.25)),
        ({"status": "500"}, Faults(status=500, ratio=1.0)),
        ({"ratio": "0.5"}, Faults(ratio=0.5)),
        ({"ready": "false", "healthy": "No", "hang": "1"}, Faults(ready=False, healthy=False, hang=True)),
        ({"sigterm": "die"}, Faults(sigterm=Ending(Manner.DIE, 0.0))),
    ],
)
def test_what_can_be_said(words: dict[str, str], faults: Faults) -> None:
    assert changed(Faults(), words) == faults
    assert from_environment({f"MY_APP_{name.upper()}": text for name, text in words.items()}) == faults


@pytest.mark.parametrize(
    ("name", "text", "advice"),
    [
        ("latency", "soon", "latency: 'soon' is not a number of seconds from 0 to 3600"),
        ("latency", "-1", "is not a number of seconds"),
        ("latency", "nan", "is not a number of seconds"),
        ("jitter", "3601", "is not a number of seconds"),
        ("concurrency", "-1", "concurrency: '-1' is not a whole number from 0 to 999999"),
        ("concurrency", "many", "is not a whole number"),
        ("ratio", "1.01", "is not a share from 0 to 1"),
        ("status", "99", "is not a status from 200 to 599"),
        ("status", "5000", "is not a status from 200 to 599"),
        ("status", "²00", "is not a status from 200 to 599"),
        ("ready", "perhaps", "ready: 'perhaps' is neither true nor false"),
        ("sigterm", "explode", "sigterm: 'explode' is none of graceful, ignore, close, die"),
        ("color", "red", "color: is not one of latency, jitter"),
    ],
)
def test_what_cannot(name: str, text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        changed(Faults(), {name: text})


@given(st.sampled_from(WORDS), st.text(max_size=8))
def test_any_text_is_faults_or_a_value_error(name: str, text: str) -> None:
    try:
        faults = changed(Faults(), {name: text})
    except ValueError as error:
        assert str(error).startswith(f"{name}: ")
    else:
        assert changed(faults, {name: text}) == faults


def test_what_is_not_said_stays() -> None:
    assert changed(Faults(latency=1.0, ready=False), {"ready": "true"}) == Faults(latency=1.0)


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("graceful", Ending(Manner.GRACEFUL, 5.0)),
        ("graceful:0", Ending(Manner.GRACEFUL, 0.0)),
        ("ignore:1.5", Ending(Manner.IGNORE, 1.5)),
        ("close", Ending(Manner.CLOSE, 0.0)),
    ],
)
def test_how_it_can_end(text: str, ending: Ending) -> None:
    assert Ending.parse(text) == ending
    assert Ending.parse(str(ending)) == ending


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("ignore", "write ignore:1"),
        ("ignore:", "is not a number of seconds"),
        ("graceful:-1", "is not a number of seconds"),
        ("graceful:inf", "is not a number of seconds"),
        ("die:1", "die does not wait"),
        ("", "is none of"),
    ],
)
def test_how_it_cannot_end(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        Ending.parse(text)


def test_a_pod_is_named_as_its_host_unless_told() -> None:
    assert place({"MY_APP_NAME": "a", "MY_APP_PORT": "0"}).name == "a"
    assert place({}).name
    assert (place({}).host, place({}).port) == ("0.0.0.0", 8080)


@pytest.mark.parametrize("environ", [{"MY_APP_PORT": "http"}, {"MY_APP_PORT": "65536"}, {"MY_APP_START_S": "soon"}])
def test_a_wrong_variable_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(environ))):
        place(environ)
