"""The metrics API as a running Fairlead has it: the pieces of this package, put together.

Owns which of them stand for a cluster and which for its absence. Never carries traffic, and never holds it up: whatever
fails here is logged and answered with an error, on which an autoscaler changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final, final

from fairlead.autoscale.access import Authorizer, Everybody, Remembered
from fairlead.autoscale.answers import Answers
from fairlead.autoscale.cluster import Account, Cluster
from fairlead.autoscale.credentials import Credentials
from fairlead.autoscale.history import History, described
from fairlead.autoscale.learning import SLICE_S, Capacities, Learning
from fairlead.autoscale.objects import Objects, objects
from fairlead.autoscale.peers import View
from fairlead.autoscale.pods import ConfiguredPods
from fairlead.autoscale.replicas import Alone, Replicas, read_key
from fairlead.autoscale.samples import Sample
from fairlead.autoscale.sampling import Sampler, Supervised
from fairlead.autoscale.server import Server
from fairlead.autoscale.settings import MetricsApi
from fairlead.autoscale.window import STEPS, Window
from fairlead.errors import ConfigError
from fairlead.settings import Settings

_LOG: Final = logging.getLogger("fairlead.autoscale")
_OUTSIDE: Final = "metrics_api: this is no Pod with a service account, so there is no cluster to ask; set metrics_api"


@final
class Autoscaling:
    """`settings` gives those in force; `account` is how the cluster is reached, None outside of one.

    Raises ConfigError when it cannot begin, with what is missing.
    """

    def __init__(self, supervised: Supervised, settings: Callable[[], Settings], account: Account | None) -> None:
        api = settings().metrics_api
        _check(api, account)
        self._settings = settings
        self._cluster = Cluster(account) if account else None
        self._credentials = Credentials(api)
        self._window = Window(api.window_s)
        self._capacities = Capacities()
        self._view = Learning(self._window, self._capacities)
        self._history = History()
        self._sampler = Sampler(supervised, min(api.window_s / STEPS, SLICE_S), self._take)
        self._known: tuple[Settings, Answers] | None = None
        self._named: tuple[Settings, Objects] | None = None
        self._replicas = _replicas(api, self._view)
        self._server = Server(self._answers, self._authorizer(api), self._tell if self._replicas else None)

    async def run(self, listening: socket.socket) -> None:
        """Serve on a listening socket until cancelled."""
        try:
            await self._serve(listening)
        except Exception:  # the root of the task: the traffic goes on without it
            _LOG.exception("the metrics API has ended by a fault of its own")

    async def _serve(self, listening: socket.socket) -> None:
        async with AsyncExitStack() as stack:
            if self._cluster is not None:
                stack.push_async_callback(self._cluster.close)
            stack.push_async_callback(self._server.stop)
            await self._server.start(listening, self._credentials.context)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sampler.run())
                if self._replicas is not None:
                    group.create_task(self._replicas.run())
                group.create_task(self._credentials.follow(self._server.secure, self._cluster))

    def _answers(self) -> Answers:
        """Those of the configuration in force, with the latest figures."""
        self._sampler.take()
        settings = self._settings()
        if self._known is None or self._known[0] is not settings:
            self._known = (settings, self._made(settings))
        return self._known[1]

    def _objects(self) -> Objects:
        """Those of the configuration in force."""
        settings = self._settings()
        if self._named is None or self._named[0] is not settings:
            sources = {name: tuple(each.text for each in one.sources) for name, one in settings.services.items()}
            self._named = (settings, objects(sources, settings.metrics_api.services))
        return self._named[1]

    def _made(self, settings: Settings) -> Answers:
        found = self._objects()
        views = self._replicas or Alone(self._view)
        return Answers(views, found, self._cluster or ConfiguredPods(found), settings.metrics_api.hold_s)

    def _take(self, sample: Sample) -> None:
        """Each service with an objective is learned, also for those who only want to know."""
        self._window.add(sample)
        objectives_s = {name: each.objective_s for name, each in self._settings().services.items() if each.objective_s}
        self._capacities.add(sample, objectives_s, self._replicas.count if self._replicas else 1)
        self._history.add(sample, self._view, self._objects())

    def status(self) -> dict[str, Any]:
        """By service what an autoscaler is told and was told in the last minutes, as JSON can carry it."""
        objectives_s = {name: each.objective_s for name, each in self._settings().services.items()}
        return described(self._history, self._objects(), dict(self._capacities.estimates()), objectives_s)

    def _tell(self, target: str, header: str) -> tuple[bytes, str] | None:
        """For another replica that asks."""
        assert self._replicas is not None
        self._sampler.take()
        settings = self._settings()
        described = settings.metrics_api.services
        services = {name: described[name].concurrency if name in described else 0.0 for name in settings.services}
        return self._replicas.answer(target, header, services)

    def _authorizer(self, api: MetricsApi) -> Authorizer:
        if api.authorization == "none":
            return Everybody()
        assert self._cluster is not None  # checked before: nobody is let in because there is nobody to ask
        return Remembered(self._cluster, time.monotonic)


def _replicas(api: MetricsApi, view: View) -> Replicas | None:
    if api.peers is None:
        return None
    try:
        return Replicas(view, api.peers, read_key(api.peer_key), api.window_s)
    except (OSError, ValueError) as error:
        raise ConfigError([f"metrics_api.peer_key: {error}"]) from error


def _check(api: MetricsApi, account: Account | None) -> None:
    problems = []
    if account is None and not api.client_ca:
        problems.append(f"{_OUTSIDE}.client_ca")
    if account is None and api.authorization != "none":
        problems.append(f"{_OUTSIDE}.authorization to none")
    if problems:
        raise ConfigError(problems)
