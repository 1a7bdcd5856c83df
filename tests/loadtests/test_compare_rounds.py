"""The order of measurements, and what a failed one leaves."""

from pathlib import Path

from loadtests.compare.bench import Bench, Cores, Plan, name_of
from loadtests.compare.figures import Figure, Sample
from loadtests.compare.peers import PEERS, Peer
from loadtests.compare.processes import CompareError
from loadtests.compare.rounds import run, steps
from loadtests.compare.workloads import WORKLOADS, Workload


class Told(Workload):
    """Measures nothing: yields the number of its call, or fails for one peer."""

    figures = (Figure(key="n", title="n", unit=""),)

    def __init__(self, name: str, fails_for: str = "") -> None:
        self.name = self.title = name
        self._fails_for = fails_for
        self._calls = 0

    def seconds(self, plan: Plan) -> float:
        return 1.0

    def measure(self, bench: Bench, peer: Peer | None) -> Sample:
        self._calls += 1
        if name_of(peer) == self._fails_for:
            raise CompareError("it did not start")
        return {"n": float(self._calls)}


class Direct(Told):
    is_direct_too = True


class Own(Told):
    is_of_fairlead_only = True


def order(plan: Plan, *workloads: Workload) -> list[tuple[int, str, str]]:
    two = {name: PEERS[name] for name in ("fairlead", "nginx")}
    return [(step.number, step.workload.name, name_of(step.peer)) for step in steps(plan, workloads, two)]


def test_a_round_goes_through_everything_and_each_begins_with_another_peer() -> None:
    assert order(Plan(rounds=2), Told("a"), Direct("b")) == [
        *((0, "a", "fairlead"), (0, "a", "nginx")),
        *((0, "b", "direct"), (0, "b", "fairlead"), (0, "b", "nginx")),
        *((1, "a", "nginx"), (1, "a", "fairlead")),
        *((1, "b", "fairlead"), (1, "b", "nginx"), (1, "b", "direct")),
    ]


def test_what_only_fairlead_has_is_measured_for_it_alone() -> None:
    assert order(Plan(rounds=1), Own("a")) == [(0, "a", "fairlead")]
    assert steps(Plan(rounds=2), [Own("a")], {"nginx": PEERS["nginx"]}) == []


def test_a_failure_leaves_an_empty_sample_and_the_others_go_on(tmp_path: Path) -> None:
    workload = Told("a", fails_for="nginx")
    two = {name: PEERS[name] for name in ("nginx", "haproxy")}
    told: list[str] = []
    bench = Bench(Plan(), Cores(0, 0), 1000, tmp_path)
    order = steps(Plan(rounds=1), [workload], two)
    results = run(bench, order, lambda step: None, lambda step, text: told.append(text))
    assert results.samples == {"a": {"nginx": [{}], "haproxy": [{"n": 2.0}]}}
    assert results.failures == ["a, nginx, round 1: it did not start"]
    assert told == ["failed: it did not start", "n 2.00"]


def test_workloads_have_names_of_their_own_and_bounds() -> None:
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS) == 11
    assert all(figure.bounds for workload in WORKLOADS for figure in workload.figures)
