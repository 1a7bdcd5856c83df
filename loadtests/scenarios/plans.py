"""The scenarios as values: how many users there are at each moment, how they behave, and what befalls the pods.

Two models, which answer different questions and must not be mixed up:

open    users come whether or not the service keeps up: each asks twice a second, whatever became of the last request.
        What counts for latency and for autoscaling. (A user of locust still waits for its reply, so where replies take
        longer than half a second the rate falls behind; the report's rate shows that.)
closed  each user waits for the reply, thinks for a moment, and asks again: a service that slows down is asked less.
        What a fixed number of connected clients does; its latencies hide what an open model shows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, final


class Model(StrEnum):
    """How users behave."""

    OPEN = "open"
    CLOSED = "closed"


class Deed(StrEnum):
    """What befalls a pod."""

    START = "start"  # it is created, and ready some seconds later
    REPLACE = "replace"  # a new one is started and, when it is ready, the old one ended, as a rollout does
    SLOW = "slow"  # 20 times slower than usual
    FAIL = "fail"  # every reply is 503
    HEAL = "heal"
    DIE = "die"  # killed in the middle of everything


@final
@dataclass(frozen=True, slots=True)
class Step:
    """From the step before, the number of users goes in a straight line to `users` at `at_s`."""

    at_s: float
    users: int


@final
@dataclass(frozen=True, slots=True)
class Act:
    """At `at_s` seconds something befalls pod number `pod`, from 0."""

    at_s: float
    deed: Deed
    pod: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A scenario. `pods` are there when it starts."""

    name: str
    says: str
    steps: tuple[Step, ...]
    model: Model = Model.OPEN
    pods: int = 3
    acts: tuple[Act, ...] = ()

    @property
    def seconds(self) -> float:
        return self.steps[-1].at_s

    def users(self, at_s: float) -> int | None:
        """How many users there are after so many seconds; None once it is over."""
        if at_s >= self.seconds:
            return None
        before = self.steps[0]
        for step in self.steps:
            if at_s < step.at_s:
                part = (at_s - before.at_s) / (step.at_s - before.at_s)
                return round(before.users + part * (step.users - before.users))
            before = step
        return before.users

    def scaled(self, seconds: float = 1.0, users: float = 1.0) -> Plan:
        """The same, so many times longer and with so many times the users."""
        return replace(
            self,
            steps=tuple(Step(step.at_s * seconds, max(1, round(step.users * users))) for step in self.steps),
            acts=tuple(replace(act, at_s=act.at_s * seconds) for act in self.acts),
        )


PLANS: Final = {
    plan.name: plan
    for plan in (
        Plan(name="steady", says="the same load all the time", steps=(Step(0, 50), Step(60, 50))),
        Plan(
            name="ramp", says="from little to much in a straight line", steps=(Step(0, 5), Step(60, 120), Step(75, 120))
        ),
        Plan(
            name="spike",
            says="ten times the load at once, for a quarter of a minute",
            steps=(Step(0, 15), Step(20, 15), Step(21, 150), Step(36, 150), Step(37, 15), Step(60, 15)),
        ),
        Plan(
            name="rollout",
            says="each pod is replaced by a new one, as a Deployment does it",
            steps=(Step(0, 50), Step(60, 50)),
            acts=(Act(10, Deed.REPLACE, 0), Act(25, Deed.REPLACE, 1), Act(40, Deed.REPLACE, 2)),
        ),
        Plan(
            name="one-bad-pod",
            says="one of three pods becomes slow, then fails, then is well again",
            steps=(Step(0, 50), Step(75, 50)),
            acts=(Act(15, Deed.SLOW, 1), Act(30, Deed.FAIL, 1), Act(45, Deed.HEAL, 1)),
        ),
        Plan(
            name="cold-start",
            says="users are there before the first pod",
            steps=(Step(0, 50), Step(45, 50)),
            pods=0,
            acts=(Act(5, Deed.START, 0), Act(7, Deed.START, 1), Act(9, Deed.START, 2)),
        ),
        Plan(
            name="closed",
            says="a fixed number of users who wait for each reply, while one pod is slow",
            steps=(Step(0, 80), Step(60, 80)),
            model=Model.CLOSED,
            acts=(Act(20, Deed.SLOW, 1), Act(40, Deed.HEAL, 1)),
        ),
    )
}
