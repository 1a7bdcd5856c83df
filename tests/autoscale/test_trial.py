"""`fairlead hpa --simulate`: the scenarios, the app that is scaled, what the drivers come to, and how it is shown."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from fairlead.autoscale.trial import scenario as scenarios
from fairlead.autoscale.trial.app import App
from fairlead.autoscale.trial.drivers import drivers
from fairlead.autoscale.trial.run import Outcome, try_driver
from fairlead.autoscale.trial.scenario import Point, Scenario, load, parse
from fairlead.cli import main
from fairlead.errors import ConfigError
from fairlead.fields import members

PAGE = (Path(__file__).parents[2] / "docs" / "autoscaling.md").read_text()
SHOWN = dict(re.findall(r"^`fairlead (hpa --simulate .+)`\n\n((?:\|.*\n)+)", PAGE, re.MULTILINE))
SHORT = "{objective: 400ms, load: [{at: 0s, rate: 30}, {at: 30s, rate: 30}, {at: 1m, rate: 60}, {at: 2m, rate: 60}]}"


@pytest.fixture(scope="module")
def ramp() -> dict[str, Outcome]:
    scenario = load("ramp")
    wanted = ("saturation", "in flight", "p95")
    return {driver.name: try_driver(scenario, driver) for driver in drivers(scenario) if driver.name in wanted}


def test_saturation_lands_at_what_is_needed_and_never_above(ramp: dict[str, Outcome]) -> None:
    outcome = ramp["saturation"]
    assert outcome.over == 0
    assert max(outcome.replicas) == outcome.replicas[-1] == outcome.needed[-1]
    assert all(p95_s < 0.4 for p95_s in outcome.p95_s[-60:]), "and it is good enough"


def test_what_has_the_queue_in_it_overshoots(ramp: dict[str, Outcome]) -> None:
    for name in ("in flight", "p95"):
        assert max(ramp[name].replicas) > 2 * max(ramp[name].needed)
        assert ramp[name].pod_seconds > 1.5 * ramp["saturation"].pod_seconds


def test_an_app_that_becomes_slower_is_learned_anew() -> None:
    scenario = load("slower")
    outcomes = {
        driver.name: try_driver(scenario, driver)
        for driver in drivers(scenario)
        if driver.name in ("saturation", "requests/s")
    }
    learned, told = outcomes["saturation"], outcomes["requests/s"]
    assert learned.replicas[-1] == learned.needed[-1]
    assert learned.above_s(scenario.objective_s) < 90
    assert told.above_s(scenario.objective_s) > 400, "what was told a number has the wrong one from then on"


def test_the_same_seed_gives_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text(SHORT)
    printed = []
    for seed in ("1", "1", "2"):
        assert main(["hpa", "--simulate", str(tmp_path / "short.yaml"), "--driver", "cpu", "--seed", seed]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0].startswith("short: 30 to 60 requests/s in 2 min, objective 0.4 s, 3 pods needed at most")
    assert printed[0] == printed[1]
    assert printed[1] != printed[2]


def test_a_plot_is_the_same_for_the_same_trial(tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text(SHORT)
    for name in ("a.svg", "b.svg", "c.png"):
        options = ["--driver", "saturation", "--plot", str(tmp_path / name)]
        assert main(["hpa", "--simulate", str(tmp_path / "short.yaml"), *options]) == 0
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    assert "objective" in svg
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("command", SHOWN)
def test_a_table_of_the_page_is_what_the_command_prints(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    assert main(shlex.split(command)) == 0
    printed = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert printed == SHOWN[command].splitlines()


def test_the_page_shows_two_and_names_all_scenarios_and_fields() -> None:
    assert len(SHOWN) == 2
    for name in scenarios.names():
        assert f"`{name}`" in PAGE
        assert load(name).name == name
    for group in (Scenario, Point):
        for member in members(group):
            assert f"| `{member.key}` |" in PAGE


def test_without_a_scenario_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hpa", "--simulate"]) == 0
    assert capsys.readouterr().out.split() == scenarios.names() == ["daily", "ramp", "slower", "spike", "waiting"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "SERVICE: is missing"),
        (["--simulate", "rmap"], "rmap: is no scenario; did you mean 'ramp'?"),
        (["--simulate", "ramp", "--driver", "memory"], "--driver: 'memory' is none; known are cpu, in flight, p95"),
        (["--simulate", "ramp", "--plot", "x.txt"], "--plot: x.txt must end in one of .svg, .png, .pdf"),
    ],
)
def test_what_is_wrong_is_said(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hpa", *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "f:1: scenario: has no 'load'"),
        ("{load: [{at: 0s, rate: 1}]}", "fewer than two moments"),
        ("{load: [{at: 1s, rate: 1}, {at: 1s, rate: 2}]}", "is at 1 s, and must be after the one before it"),
        ("{min: 3, max: 2, load: [{at: 0s, rate: 1}, {at: 1s, rate: 1}]}", "has max 2 below min 3"),
        ("{speed: 3, load: [{at: 0s, rate: 1}, {at: 1s, rate: 1}]}", "speed: is unknown"),
    ],
)
def test_a_scenario_that_is_none_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(text, "f", "mine")
    assert problem in refused.value.problems[0]


def app(**given: float) -> tuple[App, Scenario]:
    load = (Point(at_s=0.0, rate=100.0), Point(at_s=60.0, rate=100.0))
    scenario = Scenario(name="mine", load=load, spread="fixed", **given)  # type: ignore[arg-type]
    return App(scenario, 1), scenario


def test_load_is_a_line_between_its_points() -> None:
    scenario = parse("{load: [{at: 10s, rate: 10}, {at: 20s, rate: 30, slower: 3}]}", "f", "mine")
    assert [scenario.rate(at) for at in (0.0, 10.0, 15.0, 20.0, 99.0)] == [10.0, 10.0, 20.0, 30.0, 30.0]
    assert scenario.slower(15.0) == 2.0
    assert scenario.needed(20.0) == 4, "30 a second of 0.3 s are 9 in flight, at 2.8 for each pod"


def test_an_app_serves_what_it_can_and_others_wait_until_they_give_up() -> None:
    made, _ = app(replicas=2, timeout_s=2.0)
    made.run(20.0)
    assert made.done == pytest.approx(80 * 20, rel=0.02), "two pods of 4 at once, 0.1 s each"
    assert made.failed > 100
    assert made.histogram.total == made.done + made.failed


def test_new_pods_start_and_are_cold_at_first_and_old_ones_end_when_they_are_done() -> None:
    made, scenario = app(replicas=4, cold=2.0, start_s=10.0)
    made.run(5.0)
    made.scale(6)
    assert (made.replicas(), len(made.ready())) == (6, 4)
    made.run(16.0)
    assert len(made.ready()) == 6
    assert made._takes_s(16.0, made.pods[-1]) > 1.5 * scenario.time_s
    made.scale(1)
    assert (made.replicas(), len(made.ready())) == (1, 1)
    made.run(60.0)
    made.scale(1)
    assert len(made.pods) == 1
