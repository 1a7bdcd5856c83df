"""A Service of Kubernetes as a source: what the copies of the API's objects say of it, told when that changes.

While the API is away the last known endpoints stand, for however long. What the API says is gone is gone at once: a
Service that was deleted has no endpoints, even where its slices survive it. A Service, port or namespace that does not
exist is told with the nearest names that do, and is followed all the same: it works from the moment that it appears.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, final

from fairlead.discovery.address import port as port_number
from fairlead.discovery.dns import DnsSource
from fairlead.discovery.kubernetes.access import Access as Access
from fairlead.discovery.kubernetes.cluster import Cluster, connected
from fairlead.discovery.kubernetes.kinds import ALL, PODS, SERVICES, SLICES
from fairlead.discovery.kubernetes.meaning import meaning
from fairlead.discovery.kubernetes.objects import ClusterService, Pod, ServicePort
from fairlead.discovery.kubernetes.ports import choose_port, nearest
from fairlead.discovery.kubernetes.weights import Weights as Weights
from fairlead.discovery.kubernetes.weights import weighted
from fairlead.discovery.seam import Found, LastGood
from fairlead.model import Endpoint

_SCHEME: Final = "k8s://"
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)  # RFC 1123: namespaces, Services and ports
_HOLD_S: Final = 1.0  # a change of ports may take this long to come to the slices; then the Service is believed

Connect = Callable[[Access], AbstractAsyncContextManager[Cluster]]


@final
@dataclass(frozen=True, slots=True)
class KubernetesSource:
    """`port` is the name or number of the Service's. `connect` is how it meets the world; tests bring their own."""

    namespace: str
    service: str
    port: str
    weight: int = 1
    weights: Weights = Weights.EQUAL
    access: Access = field(default_factory=Access)
    connect: Connect = field(default=connected, compare=False, repr=False)

    @property
    def text(self) -> str:
        return f"{_SCHEME}{self.namespace}/{self.service}:{self.port}"

    async def watch(self) -> AsyncGenerator[Found, None]:
        """The endpoints after each change."""
        async with self.connect(self.access) as cluster:
            with _joined(self, cluster) as view:
                async with aclosing(_looks(view)) as looks:
                    async for found in looks:
                        yield found


@final
@dataclass(frozen=True, slots=True)
class _Look:
    """What the copies say. `endpoints` is None when they know nothing yet, or when there is nothing to say of them."""

    endpoints: tuple[Endpoint, ...] | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()
    is_unsettled: bool = False
    external: DnsSource | None = None
    asks_namespace: bool = False

    @property
    def says_something(self) -> bool:
        return self.endpoints is not None or bool(self.problem)


@final
class _View:
    """A source's part of the copies. `changed` is set when they may say something else."""

    def __init__(self, source: KubernetesSource, cluster: Cluster) -> None:
        self.changed = asyncio.Event()
        self.cluster = cluster
        self.source = source
        self._services = cluster.mirror(SERVICES, source.namespace)
        self._slices = cluster.mirror(SLICES, source.namespace)
        self._pods = None if source.weights is Weights.EQUAL else cluster.mirror(PODS, source.namespace)
        self._mirrors = [each for each in (self._services, self._slices, self._pods) if each is not None]

    def join(self) -> None:
        for mirror in self._mirrors:
            mirror.follow(self.source.service, self.changed.set)
        self.cluster.on_place.add(self.changed.set)

    def leave(self) -> None:
        for mirror in self._mirrors:
            mirror.unfollow(self.source.service, self.changed.set)
        self.cluster.on_place.discard(self.changed.set)

    def stale_since(self) -> float:
        """Since when what is known of the endpoints may not be true any more; 0 while it is."""
        return min((each.stale_since for each in (self._services, self._slices) if each.stale_since), default=0.0)

    def look(self) -> _Look:
        problem = self._services.problem or self._slices.problem
        if not self._services.is_known(self.source.service) or not self._slices.is_known(self.source.service):
            return _Look(problem=problem)
        service = self._services.of(self.source.service).get(self.source.service)
        if service is None:
            return self._missing(problem)
        try:
            port = choose_port(service, self.source.port)
        except ValueError as error:
            return _Look((), problem or str(error))
        if service.external_name:
            target = DnsSource(service.external_name.lower().rstrip("."), port.number, self.source.weight)
            return _Look((), problem, external=target)
        return self._found(service, port, problem)

    def _missing(self, problem: str) -> _Look:
        namespace, name = self.source.namespace, self.source.service
        others = sorted(self._services.objects)
        if not others:
            return _Look(
                (), problem or f"there is no Service {name}: namespace {namespace} has none", asks_namespace=not problem
            )
        return _Look((), problem or f"there is no Service {name} in namespace {namespace}; {nearest(name, others)}")

    def _found(self, service: ClusterService, port: ServicePort, problem: str) -> _Look:
        pods: dict[str, Pod] = {}
        if self._pods is not None:
            if not self._pods.is_listed and not self._pods.problem:
                return _Look()
            pods = self._pods.of(ALL)
        slices = list(self._slices.of(self.source.service).values())
        meant = meaning(service, slices, port, self.cluster.place)
        endpoints, notes = weighted(meant.endpoints, pods, self.source.weights, self.source.weight)
        if self._pods is not None and self._pods.problem:
            notes = (*notes, f"weights may be old: {self._pods.problem}")
        return _Look(endpoints, problem, (*notes, *meant.notes), meant.is_unsettled)


@contextmanager
def _joined(source: KubernetesSource, cluster: Cluster) -> Iterator[_View]:
    view = _View(source, cluster)
    view.join()
    try:
        yield view
    finally:
        view.leave()


async def _looks(view: _View) -> AsyncGenerator[Found, None]:
    memory = LastGood()
    hold = _Hold()
    while True:
        view.changed.clear()
        look = view.look()
        if look.external is not None:
            async with aclosing(_resolved(view, look.external, memory)) as answers:
                async for found in answers:
                    yield found
            continue
        if look.asks_namespace:
            look = await _ask_namespace(view, look)
        hold_s = hold.left_s(look, memory.endpoints)
        if look.says_something and not hold_s:
            told = memory.update(look.endpoints, look.problem, look.notes, view.stale_since())
            if told:
                yield told
        await _changed(view, hold_s)


async def _changed(view: _View, limit_s: float) -> None:
    """Wait until the view may say something else, or for `limit_s` if that is not 0."""
    try:
        async with asyncio.timeout(limit_s or None):
            await view.changed.wait()
    except TimeoutError:
        pass


async def _ask_namespace(view: _View, look: _Look) -> _Look:
    """Say whether it is the namespace that is missing."""
    answer = await view.cluster.about_namespace(view.source.namespace)
    if view.changed.is_set() or not answer:
        return look
    return replace(look, problem=f"there is no Service {view.source.service}: {answer}")


@final
class _Hold:
    """Keeps the last endpoints for a moment while the slices have not followed a change of the Service's ports."""

    def __init__(self) -> None:
        self._until = 0.0

    def left_s(self, look: _Look, last: tuple[Endpoint, ...]) -> float:
        """For how long the last endpoints stay, 0 for not at all."""
        if not look.is_unsettled or not last:
            self._until = 0.0
            return 0.0
        now = asyncio.get_running_loop().time()
        self._until = self._until or now + _HOLD_S
        return max(self._until - now, 0.0)


async def _resolved(view: _View, target: DnsSource, memory: LastGood) -> AsyncGenerator[Found, None]:
    """The addresses of the name that a Service of type ExternalName stands for, until the Service says otherwise."""
    notes = (f"ExternalName {target.name}",)
    async with aclosing(target.watch()) as answers:
        answer = asyncio.ensure_future(anext(answers))
        changed = asyncio.ensure_future(view.changed.wait())
        try:
            while True:
                await asyncio.wait([answer, changed], return_when=asyncio.FIRST_COMPLETED)
                if answer.done():
                    found = answer.result()
                    answer = asyncio.ensure_future(anext(answers))
                    told = memory.update(found.endpoints, found.problem, notes, found.stale_since)
                    if told:
                        yield told
                if changed.done():
                    view.changed.clear()
                    if view.look().external != target:
                        return
                    changed = asyncio.ensure_future(view.changed.wait())
        finally:
            answer.cancel()
            changed.cancel()
            await asyncio.gather(answer, changed, return_exceptions=True)


def parse(text: str, weight: int, base_dir: Path) -> KubernetesSource:
    """From "k8s://NAMESPACE/SERVICE:PORT". Raises ValueError saying what is wrong."""
    if not text.lower().startswith(_SCHEME):
        raise ValueError(f"{text!r} needs two slashes; write {_SCHEME}NAMESPACE/SERVICE:PORT")
    rest = text[len(_SCHEME) :]
    namespace, slash, rest = rest.partition("/")
    service, colon, port = rest.partition(":")
    if not slash or not namespace or not service:
        raise ValueError(f"{text!r} does not name a namespace and a Service; write {_SCHEME}default/my-app:http")
    if not colon or not port:
        raise ValueError(f"{text!r} has no port; write {_SCHEME}{namespace}/{service}:http, the port's name or number")
    for what, name in (("namespace", namespace), ("Service", service)):
        if not _LABEL.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a {what}: lower-case letters, digits and '-'")
    if not _LABEL.fullmatch(port):
        raise ValueError(f"{port!r} is neither the name nor the number of a port")
    return KubernetesSource(namespace, service, str(port_number(port)) if port.isdecimal() else port, weight)
