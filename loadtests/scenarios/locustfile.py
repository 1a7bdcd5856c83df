"""What locust is given: users of the two models, and the shape of the scenario that `--scenario` names.

Works with all of locust's own options: `--headless`, its web UI without it, `--processes 4` or `--master` and
`--worker` for more load than one core can make. What befalls the pods is not done here: whoever runs this against a
cluster of their own does that by kubectl.
"""

from __future__ import annotations

import sys
from pathlib import Path

from locust import FastHttpUser, LoadTestShape, User, between, constant_throughput, events, task
from locust.argument_parser import LocustArgumentParser

sys.path.insert(0, str(Path(__file__).parents[2]))  # locust puts this file's own folder on the path, not the project's

from loadtests.scenarios.plans import PLANS, Model

_PER_USER = 2  # requests a second of an open user


def _options(parser: LocustArgumentParser, **_: object) -> None:
    parser.add_argument("--scenario", choices=list(PLANS), default="steady", help="what the load looks like")
    parser.add_argument("--stretch", type=float, default=1.0, help="so many times longer")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times the users")
    parser.add_argument("--path", default="/", help="what users ask for")


events.init_command_line_parser.add_listener(_options)  # type: ignore[no-untyped-call]


class OpenUser(FastHttpUser):
    """Asks at its own times, whatever became of the last request."""

    wait_time = constant_throughput(_PER_USER)

    @task
    def ask(self) -> None:
        _ask(self)


class ClosedUser(FastHttpUser):
    """Waits for the reply, thinks, and asks again."""

    wait_time = between(0.1, 0.9)

    @task
    def ask(self) -> None:
        _ask(self)


def _ask(user: FastHttpUser) -> None:
    options = user.environment.parsed_options
    assert options is not None
    user.client.get(options.path)


class Shape(LoadTestShape):
    """As many users as the plan says, at once: a ramp is in the plan, not in the rate of spawning."""

    def tick(self) -> tuple[int, float, list[type[User]] | None] | None:
        assert self.runner is not None
        options = self.runner.environment.parsed_options
        assert options is not None
        plan = PLANS[options.scenario].scaled(options.stretch, options.scale)
        run_time: float = self.get_run_time()  # type: ignore[no-untyped-call]
        users = plan.users(run_time)
        if users is None:
            return None
        return users, max(float(users), 1.0), [OpenUser if plan.model is Model.OPEN else ClosedUser]
