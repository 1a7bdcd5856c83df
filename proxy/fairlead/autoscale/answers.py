"""From figures to answers: the one value of a Service, the values of its pods, and what an external metric selects.

Owns what an autoscaler may rely on: exactly one item unless pods are asked for, since it adds up whatever it gets; the
last good value with its true time while there is no traffic; an error, which changes no replica count, rather than a
guess. Waits for the other replicas and the names of pods.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

from fairlead.autoscale import failures, quantity, selector
from fairlead.autoscale.documents import Value
from fairlead.autoscale.figures import Figures, together
from fairlead.autoscale.metrics import METRICS, Metric
from fairlead.autoscale.objects import Objects
from fairlead.autoscale.peers import View
from fairlead.autoscale.pods import Pods, by_address
from fairlead.autoscale.replicas import Views
from fairlead.autoscale.requests import ALL, PODS, SERVICES, Values
from fairlead.autoscale.selector import Selector
from fairlead.autoscale.settings import ObjectName
from fairlead.model import AUTO

_SERVICE: str = "service"  # the label of an external metric that names the Service


@final
class Answers:
    """Of one configuration. `hold_s` is how long a value without traffic, and one without reports, stands."""

    def __init__(self, views: Views, objects: Objects, pods: Pods, hold_s: float) -> None:
        self._views = views
        self._objects = objects
        self._pods = pods
        self._hold_s = hold_s

    async def find(self, asked: Values, now: float) -> list[Value]:
        """The items of the answer. Raises Failure, and Unavailable when the pods cannot be named."""
        metric = METRICS.get(asked.metric)
        if metric is None:
            raise failures.not_found(
                f"the server could not find the metric {asked.metric}; there are {_words(METRICS)}"
            )
        chosen = _parsed(asked.selector)
        _parsed(asked.metric_selector)  # there is one series of each metric: what it selects is all of it
        view = await self._views.view(asked.resource == PODS)
        if not asked.resource:
            return [self._external(asked, metric, chosen, view, now)]
        if asked.resource == PODS:
            return await self._of_pods(asked, metric, chosen, view, now)
        if asked.resource != SERVICES or asked.name == ALL:
            raise _no_metric(asked, "only services and pods have metrics here, and services are asked for by name")
        name = ObjectName(asked.namespace, asked.name)
        if name not in self._objects.services:
            raise _no_metric(asked, f"no service of this proxy is {name}; {self._known(asked.namespace)}")
        return [self._value(metric, self._objects.services[name], view, now, name=asked.name)]

    def _external(self, asked: Values, metric: Metric, chosen: Selector, view: View, now: float) -> Value:
        names = [name for name in self._objects.within(asked.namespace) if chosen.matches({_SERVICE: name.name})]
        if not names:
            raise failures.not_found(
                f"no service matches {asked.selector!r} in the namespace {asked.namespace}; "
                f"{self._known(asked.namespace)}"
            )
        services = [service for name in names for service in self._objects.services[name]]
        labels = {_SERVICE: names[0].name} if len(names) == 1 else {}
        value = self._value(metric, services, view, now)
        return Value(value.at, value.window_s, value.value, labels=labels)

    def _value(self, metric: Metric, services: Sequence[str], view: View, now: float, name: str = "") -> Value:
        """One value of several services as if they were one."""
        concurrency = self._objects.concurrency
        current = _merged(view.current(service, concurrency(service)) for service in services)
        if current is None:
            raise failures.unavailable("there are no figures yet: the workers have not reported twice")
        if now - current.at > self._hold_s:
            raise failures.unavailable(f"the figures are {now - current.at:.0f} s old: the workers do not report")
        if metric.needs_capacity and not current.capacity:
            raise self._no_capacity(metric, services)
        value = metric.read(current)
        if value is not None:
            return _item(metric, current, value, name)
        return self._held(metric, services, view, current, name)

    def _held(self, metric: Metric, services: Sequence[str], view: View, current: Figures, name: str) -> Value:
        """Without traffic: the last value while it may stand, then 0, which is what nobody waits for."""
        found = [last for last in map(view.with_traffic, services) if last is not None]
        last = max(found, key=lambda each: each.at, default=None)
        value = metric.read(last) if last else None
        if last is not None and value is not None and current.at - last.at <= self._hold_s:
            return _item(metric, last, value, name)
        if last is None and not view.is_whole:
            raise failures.unavailable("there is no value yet: no request has been seen since the start")
        return _item(metric, current, 0.0, name)

    async def _of_pods(self, asked: Values, metric: Metric, chosen: Selector, view: View, now: float) -> list[Value]:
        if not metric.of_pods:
            raise _no_metric(asked, "it is measured for services only")
        figures = self._of_endpoints(asked.namespace, view)
        if figures and now - max(each.at for each in figures.values()) > self._hold_s:
            raise failures.unavailable("the figures are too old: the workers do not report")
        if metric.needs_capacity and not any(each.capacity for each in figures.values()):
            within = (self._objects.services[name] for name in self._objects.within(asked.namespace))
            raise self._no_capacity(metric, [service for services in within for service in services])
        endpoints = by_address(figures)
        found = []
        for pod in await self._pods.select(asked.namespace, chosen, asked.selector):
            if asked.name not in (ALL, pod.name):
                continue
            mine = {endpoint for address in pod.addresses for endpoint in endpoints.get(address, ())}
            whole = _merged(figures[endpoint] for endpoint in mine)
            if whole is not None:
                found.append(_item(metric, whole, metric.read(whole) or 0.0, pod.name))
        if not found and asked.name != ALL:
            raise _no_metric(asked, "no endpoint of this proxy is that pod")
        return found

    def _of_endpoints(self, namespace: str, view: View) -> dict[str, Figures]:
        """Of all endpoints of the namespace's services; one that several services have is one pod's all the same."""
        found: dict[str, Figures] = {}
        for name in self._objects.within(namespace):
            for service in self._objects.services[name]:
                endpoints = view.endpoints(service, self._objects.concurrency(service))
                for address, figures in endpoints.items():
                    found[address] = together([found[address], figures]) if address in found else figures
        return found

    def _no_capacity(self, metric: Metric, services: Sequence[str]) -> failures.Failure:
        if any(self._objects.concurrency(service) == AUTO for service in services):
            return failures.unavailable("nothing is known yet of what an endpoint can do: too little has been asked")
        return failures.not_found(
            f"{metric.name} is not offered for {_words(services)}: set metrics_api.services.NAME.concurrency"
        )

    def _known(self, namespace: str) -> str:
        names = _words(name.name for name in self._objects.within(namespace))
        return f"there are {names}" if names else "this proxy serves none of that namespace"


def _merged(found: Iterable[Figures | None]) -> Figures | None:
    there = [each for each in found if each is not None]
    return together(there) if there else None


def _item(metric: Metric, figures: Figures, value: float, name: str) -> Value:
    return Value(figures.at, figures.window_s, quantity.write(value, metric.places), name)


def _parsed(text: str) -> Selector:
    try:
        return selector.parse(text)
    except ValueError as error:
        raise failures.bad_request(str(error)) from error


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:20])


def _no_metric(asked: Values, why: str) -> failures.Failure:
    return failures.not_found(
        f"the server could not find the metric {asked.metric} for {asked.resource} {asked.name}: {why}"
    )
