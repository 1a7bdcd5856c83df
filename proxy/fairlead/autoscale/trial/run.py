"""One trial: an app under load, Fairlead's own window and learning, and the autoscaler's own algorithm.

Owns the order of events within a second: requests, then a look, every five seconds a sample, every fifteen a sync. The
figures are made by the same code as in a running Fairlead.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, final

from fairlead.autoscale.figures import Figures, quantile_s
from fairlead.autoscale.hpa.controller import Controller
from fairlead.autoscale.hpa.formula import Pods
from fairlead.autoscale.hpa.spec import SYNC_S, Spec
from fairlead.autoscale.learning import SLICE_S, Capacities, Learning
from fairlead.autoscale.samples import Sample, ServiceSample, Tally
from fairlead.autoscale.trial.app import App, Pod
from fairlead.autoscale.trial.drivers import Driver, mean, read
from fairlead.autoscale.trial.scenario import Scenario
from fairlead.autoscale.window import Window

_APP: Final = "app"
_WINDOW_S: Final = 30.0
_START: Final = 1_000.0  # no clock stands at 0 when a process starts


@final
@dataclass(slots=True)
class Outcome:
    """What came of one driver. The lists are by slices of `SLICE_S`."""

    driver: str
    replicas: list[int] = field(default_factory=list)
    needed: list[int] = field(default_factory=list)
    p95_s: list[float] = field(default_factory=list)
    requests: int = 0
    late: int = 0
    failed: int = 0
    changes: int = 0

    def above_s(self, objective_s: float) -> float:
        """For how long the 95th percentile was above it."""
        return SLICE_S * sum(p95_s > objective_s for p95_s in self.p95_s)

    @property
    def over(self) -> float:
        """Pods above what was needed, in pod-seconds."""
        return SLICE_S * sum(max(had - need, 0) for had, need in zip(self.replicas, self.needed, strict=True))

    @property
    def pod_seconds(self) -> float:
        return SLICE_S * sum(self.replicas)


class _Trial:
    def __init__(self, scenario: Scenario, driver: Driver, seed: int) -> None:
        self.outcome = Outcome(driver.name)
        self._scenario = scenario
        self._driver = driver
        self._app = App(scenario, seed)
        self._window = Window(_WINDOW_S)
        self._capacities = Capacities()
        self._view = Learning(self._window, self._capacities)
        self._controller = Controller(Spec(metrics=driver.metrics, least=scenario.least, most=scenario.most))
        self._seen = 0
        self._used: deque[dict[Pod, float]] = deque(maxlen=int(SYNC_S))
        self._before: dict[int, int] = {}

    def run(self) -> None:
        self._sample(0)
        for second in range(1, int(self._scenario.seconds_s) + 1):
            self._app.run(float(second))
            self._look()
            if second % SLICE_S == 0:
                self._sample(second)
                self._note(second)
            if second % SYNC_S == 0:
                self._sync(second)
        app, outcome = self._app, self.outcome
        outcome.requests, outcome.late, outcome.failed = app.done + app.failed, app.late + app.failed, app.failed

    def _look(self) -> None:
        self._seen += sum(pod.in_flight for pod in self._app.pods)
        full = self._scenario.cpu / self._scenario.concurrency
        self._used.append({pod: pod.busy * full for pod in self._app.ready()})

    def _sample(self, second: int) -> None:
        app = self._app
        pairs = app.histogram.sparse()
        service = ServiceSample(
            total=Tally(app.done + app.failed, app.failed, self._seen),
            counts=dict(zip(pairs[::2], pairs[1::2], strict=True)),
            sum_us=app.histogram.sum_us,
            ready=len(app.ready()),
            in_flight=sum(pod.in_flight for pod in app.pods),
        )
        sample = Sample(_START + second, _START + second, second, {_APP: service})
        self._window.add(sample)
        self._capacities.add(sample, {_APP: self._scenario.objective_s})

    def _note(self, second: int) -> None:
        pairs = self._app.histogram.sparse()
        counts = dict(zip(pairs[::2], pairs[1::2], strict=True))
        grown = {index: count - self._before.get(index, 0) for index, count in counts.items()}
        self._before = counts
        self.outcome.p95_s.append(_quantile(grown))
        self.outcome.replicas.append(self._app.replicas())
        self.outcome.needed.append(self._scenario.needed(float(second)))

    def _sync(self, second: int) -> None:
        app = self._app
        ready = {pod: f"pod-{number}" for number, pod in enumerate(app.ready())}
        used = {name: mean([each[pod] for each in self._used if pod in each]) for pod, name in ready.items()}
        current = app.replicas()
        starting = frozenset(f"new-{number}" for number in range(current - len(ready)))
        figures = self._view.current(_APP, self._driver.concurrency)
        readings = [read(metric, figures, used) for metric in self._driver.metrics]
        pods = Pods(frozenset(ready.values()), starting)
        decision = self._controller.sync(float(second), current, pods, readings)
        if decision.desired != current:
            self.outcome.changes += 1
            app.scale(decision.desired)


def _quantile(counts: dict[int, int]) -> float:
    return quantile_s(Figures(at=0.0, window_s=SLICE_S, counts=counts), 0.95) or 0.0


def try_driver(scenario: Scenario, driver: Driver, seed: int = 1) -> Outcome:
    """The outcome of one driver."""
    trial = _Trial(scenario, driver, seed)
    trial.run()
    return trial.outcome
