"""The scenarios for locust: the shape of the load, what befalls the pods, and what is made of locust's history."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.scenarios.plans import PLANS, Act, Deed, Plan, Step
from loadtests.scenarios.report import bars, read

ROOT = Path(__file__).parents[2]
RAMP = Plan(name="a", says="", steps=(Step(0, 10), Step(10, 30), Step(20, 30)), acts=(Act(5, Deed.SLOW, 0),))


@pytest.mark.parametrize(("at_s", "users"), [(0, 10), (5, 20), (10, 30), (15, 30), (19.9, 30), (20, None), (99, None)])
def test_users_come_and_go_in_straight_lines(at_s: float, users: int | None) -> None:
    assert RAMP.users(at_s) == users


def test_a_plan_can_be_stretched_and_scaled() -> None:
    longer = RAMP.scaled(2, 0.5)
    assert (longer.seconds, longer.users(10), longer.acts[0].at_s) == (40, 10, 10)


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
def test_every_plan_can_be_carried_out(plan: Plan) -> None:
    present = set(range(plan.pods))
    for act in sorted(plan.acts, key=lambda act: act.at_s):
        assert act.at_s < plan.seconds
        if act.deed is Deed.START:
            present.add(act.pod)
        assert act.pod in present
    assert plan.users(0) is not None


def test_rates_are_made_of_totals(tmp_path: Path) -> None:
    head = "Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,95%,99%,Total Request Count,Total Failure Count"
    lines = ["100,0,,Aggregated,0,0,N/A,N/A,N/A,0,0", "100,5,GET,/,0,0,1,2,3,7,7", "102,5,,Aggregated,1,0,4,9,12,60,4"]
    path = tmp_path / "history.csv"
    path.write_text("\n".join([head, *lines]))
    start, history = read(path)
    assert (start, [each.at_s for each in history]) == (100.0, [0.0, 2.0])
    last = history[-1]
    assert (last.users, last.rate, last.failures, last.p50, last.p99) == (5, 30, 2, 4, 12)


def test_a_history_of_nothing_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("Timestamp,Name\n")
    with pytest.raises(ValueError, match="counted nothing"):
        read(path)


def test_bars_show_the_highest_of_what_shares_a_place() -> None:
    assert bars([0, 8, 0, 4], width=2) == "█▄"
    assert bars([0, 0]) == "  "


def test_a_scenario_runs_from_pods_to_plot(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "loadtests.scenarios", "one-bad-pod", "--stretch", "0.06", "--scale", "0.2"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "my-app-2 answers 503" in done.stdout
    _, history = read(tmp_path / "one-bad-pod_stats_history.csv")
    assert history[-1].users > 0
    assert (tmp_path / "one-bad-pod.png").read_bytes().startswith(b"\x89PNG")
    assert "<html" in (tmp_path / "one-bad-pod.html").read_text()


def test_an_unknown_scenario_is_refused_with_those_that_are_known() -> None:
    command = [sys.executable, "-m", "loadtests.scenarios", "spikes"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert all(json.dumps(name).strip('"') in done.stderr for name in PLANS)
