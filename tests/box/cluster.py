"""A cluster of one Deployment and its Service: what its controllers do, and when the rest of the world hears of it.

Owns the pods, the rolling update, and the EndpointSlices at the API. Slices are written with a delay that is drawn anew
for each change, so that SIGTERM and the word of it race as they do in a real cluster: proxies may hear of an end after
it. They are written in order, and say what was so when it changed. While the API is down the controllers do nothing,
as nobody could tell them anything; pods go on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Final, final

import aiohttp
from box.network import Network
from box.pods import Kubelet, Pod, Template, What, now
from box.rollout import Strategy, step
from kubernetes.api_server import ApiServer
from kubernetes.recorded import Json, endpoint, endpoint_slice, service

NAME: Final = "my-app"
LIMIT_S: Final = 60.0  # for whatever is waited for


@dataclass(frozen=True)
class Event:
    """Something that happened to a pod, or that the API's watchers were told of it."""

    at: float
    pod: str
    what: str
    is_told: bool = False


@dataclass(frozen=True)
class Delays:
    """How late the word of a change is. Lags are drawn from a range, from a seed, so that a run can be had again."""

    lag_s: tuple[float, float] = (0.0, 0.3)
    seed: int = 1
    kubelet: Kubelet = field(default_factory=Kubelet)


@final
class Cluster:
    """`run` is its controllers. Invariant: what was written to the API is what was so at some moment, in order."""

    def __init__(
        self, api: ApiServer, network: Network, delays: Delays, on_event: Callable[[Event], None] = lambda _: None
    ) -> None:
        self.pods: list[Pod] = []
        self.events: list[Event] = []
        self._api = api
        self._network = network
        self._delays = delays
        self._on_event = on_event
        self._random = random.Random(delays.seed)
        self._numbers = count(1)
        self._template = Template()
        self._strategy = Strategy(replicas=0)
        self._wake = asyncio.Event()
        self._changes: asyncio.Queue[tuple[float, dict[str, Json], Event]] = asyncio.Queue()
        self._written: dict[str, Json] = {}
        self._is_up = asyncio.Event()
        self._is_up.set()
        self._stirred = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None

    # What a test asks for.

    def apply(self, strategy: Strategy, template: Template | None = None) -> None:
        """The Deployment as it shall be; another revision of the template is a rolling update."""
        self._strategy = strategy
        self._template = template or self._template
        self._wake.set()

    def scale(self, replicas: int) -> None:
        bounds = self._strategy
        self.apply(Strategy(replicas, bounds.max_surge, bounds.max_unavailable))

    def restart(self) -> None:
        """Replace every pod in a rolling update."""
        self.apply(self._strategy, Template(self._template.revision + 1, self._template.environ))

    def delete_pods(self) -> None:
        for pod in self.standing:
            pod.delete()
        self._wake.set()

    async def api_down(self) -> None:
        self._is_up.clear()
        await self._api.stop()

    async def api_up(self) -> None:
        """It comes back without its history, as after a restart."""
        self._api.compact()
        await self._api.start()
        self._is_up.set()

    @property
    def standing(self) -> list[Pod]:
        """The pods that are not being deleted."""
        return [pod for pod in self.pods if not pod.is_deleted]

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something that comes with an event."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while not condition():
                    self._stirred.clear()
                    await self._stirred.wait()
        except TimeoutError:
            raise TimeoutError(f"did not come to pass within {LIMIT_S:g} s: {what}") from None

    async def settled(self) -> None:
        """All pods that shall be are ready, of the newest revision, told of, and there is no other."""

        def is_settled() -> bool:
            done = [pod for pod in self.standing if pod.is_ready and pod.revision == self._template.revision]
            return len(done) == len(self.pods) == self._strategy.replicas and self.is_told

        await self.until(is_settled, f"{self._strategy.replicas} pods of revision {self._template.revision} are ready")

    @property
    def is_told(self) -> bool:
        return self._written == self._slices()

    def told(self, pod: str, what: What) -> float:
        """When the watchers were told that this had last happened to a pod."""
        return max(event.at for event in self.events if event.is_told and (event.pod, event.what) == (pod, what))

    async def fault(self, pod: Pod, query: str) -> None:
        """Make a pod misbehave from now on: a query of the example app's /faults."""
        async with aiohttp.ClientSession() as session, session.post(f"http://{pod.at}/faults?{query}") as reply:
            reply.raise_for_status()

    # What the controllers do.

    async def run(self) -> None:
        """Until cancelled; every pod has then ended."""
        self._api.put("services", service())
        async with asyncio.TaskGroup() as self._group:
            self._group.create_task(self._write_slices())
            while True:
                await self._wake.wait()
                await self._is_up.wait()
                self._wake.clear()
                await self._reconcile()

    async def _reconcile(self) -> None:
        new = [pod for pod in self.standing if pod.revision == self._template.revision]
        old = [pod for pod in self.standing if pod.revision != self._template.revision]
        todo = step(self._strategy, [pod.is_ready for pod in old], [pod.is_ready for pod in new])
        for pod in [*_first_to_go(old)[: todo.delete_old], *_first_to_go(new)[: todo.delete_new]]:
            pod.delete()
        await asyncio.gather(*(self._create() for _ in range(todo.create)))

    async def _create(self) -> None:
        template = self._template
        sandbox = await self._network.sandbox()
        pod = Pod(f"{NAME}-{next(self._numbers)}", template, sandbox, self._delays.kubelet, self._happened)
        self.pods.append(pod)
        assert self._group is not None
        self._group.create_task(pod.run())

    def _happened(self, pod: Pod, what: What) -> None:
        event = Event(now(), pod.name, what)
        if pod.is_gone:
            self.pods.remove(pod)
        self._note(event)
        self._changes.put_nowait((event.at + self._random.uniform(*self._delays.lag_s), self._slices(), event))
        self._wake.set()

    def _note(self, event: Event) -> None:
        self.events.append(event)
        self._on_event(event)
        self._stirred.set()

    def _slices(self) -> dict[str, Json]:
        """The slices as they ought to be: one for each port, as of pods whose port has a name."""
        ports = sorted({pod.port for pod in self.pods if pod.port})
        return {f"{NAME}-{port}": _slice(port, [pod for pod in self.pods if pod.port == port]) for port in ports}

    async def _write_slices(self) -> None:
        while True:
            due, slices, event = await self._changes.get()
            await asyncio.sleep(due - now())
            await self._is_up.wait()
            if slices == self._written:
                continue
            for name in slices.keys() - {name for name, raw in self._written.items() if raw == slices.get(name)}:
                self._api.put("endpointslices", slices[name])
            for name in self._written.keys() - slices.keys():
                self._api.delete("endpointslices", name)
            self._written = slices
            self._note(Event(now(), event.pod, event.what, is_told=True))


def _slice(port: int, pods: Iterable[Pod]) -> Json:
    endpoints = [endpoint(pod.address, _conditions(pod), pod.name) for pod in pods]
    return endpoint_slice(*endpoints, name=f"{NAME}-{port}", ports=({"name": "http", "port": port},))


def _conditions(pod: Pod) -> str:
    """ready, serving, terminating, as the endpoint-slice controller says them."""
    return "".join(
        mark if holds else "-"
        for mark, holds in (("R", pod.is_ready and not pod.is_deleted), ("S", pod.is_ready), ("T", pod.is_deleted))
    )


def _first_to_go(pods: list[Pod]) -> list[Pod]:
    """Those that serve nobody before those that do, then the oldest."""
    return sorted(pods, key=lambda pod: pod.is_ready)
