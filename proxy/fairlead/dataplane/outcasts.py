"""The endpoints that one worker keeps away from by its own word, and those that it may probe.

Owns what follows in the worker from an endpoint that fails: it is out of this worker's picker at once, and the
supervisor is told, which has the last word. Its word comes as the state of the endpoint in the next version of the
service, or as a refusal; without any the endpoint is used again after a while. Invariants: never more are out than the
cap allows, counted as the supervisor counts, so that never the last usable endpoint is taken out; a probe that was
taken is told of once, by how it went.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from fairlead.health.ejection import allowed, is_alone_silent, trigger
from fairlead.model import Endpoint, Reason, Service, State, Trigger

if TYPE_CHECKING:
    from fairlead.dataplane.endpoint import LiveEndpoint
    from fairlead.dataplane.service import LiveService

Tell = Callable[[dict[str, Any]], None]

_WORD_US: Final = 5_000_000  # the supervisor has so long to say something
_PROBE_US: Final = 1_000_000  # a probe may take so long,
_PROBE_TIMES: Final = 5  # or so many times what the slowest of the others takes


class Outcasts:
    """Of one service. `tell` takes a message for the supervisor."""

    def __init__(self, service: LiveService) -> None:
        self.tell: Tell = _ignore
        self._service = service
        self._since: dict[str, int] = {}
        self._probes: list[LiveEndpoint] = []

    def eligible(self, spec: Service) -> list[Endpoint]:
        """The endpoints that may get requests: those that are ready, but for those that this worker keeps away from.

        When there is none, those that are ejected, for they are better than nothing; then those that drain but still
        serve (KEP-1669).
        """
        self._hear(spec)
        ready = [e for e in spec.endpoints if e.state is State.READY]
        kept = [e for e in ready if e.address not in self._since] or ready
        for state in (State.EJECTED, State.DRAINING):
            kept = kept or [e for e in spec.endpoints if e.state is state]
        return kept

    def _hear(self, spec: Service) -> None:
        """Of whom the supervisor says the same, there is nothing to say any more."""
        if self._since:
            ready = {e.address for e in spec.endpoints if e.state is State.READY and not spec.is_panicking}
            for address in self._since.keys() - ready:
                del self._since[address]

    def accuse(self, endpoint: LiveEndpoint, reason: Reason, last: str, now: int) -> None:
        """An endpoint has crossed a threshold."""
        spec = self._service.spec
        if spec is None or spec.is_panicking or endpoint.address in self._since or not endpoint.is_usable:
            return
        todo = trigger(spec.ejection, reason)
        if reason is Reason.SILENCE and not self._others_answer(endpoint, now):
            return
        if todo is Trigger.OFF or all(e.state is not State.READY for e in spec.endpoints):
            return
        if todo is Trigger.ON and self._may(spec):
            self._leave_out(endpoint, now)
        limit = self._service.silence_us // 1000 if reason is Reason.SILENCE else self._limit(spec, reason)
        about = {"service": spec.name, "endpoint": endpoint.address, "reason": reason.value}
        self.tell({"type": "accuse", **about, "last": last, "limit": limit})

    def _limit(self, spec: Service, reason: Reason) -> int:
        return spec.ejection.error_replies if reason is Reason.ERRORS else spec.ejection.gateway_failures

    def _may(self, spec: Service) -> bool:
        ejected = sum(1 for e in spec.endpoints if e.state is State.EJECTED)
        ready = sum(1 for e in spec.endpoints if e.state is State.READY)
        return ejected + len(self._since) < allowed(ready + ejected, spec.ejection.max_share)

    def _others_answer(self, endpoint: LiveEndpoint, now: int) -> bool:
        service = self._service
        others = [e for e in service.endpoints.values() if e is not endpoint and e.is_usable]
        return is_alone_silent([(e.unanswered, now - e.unanswered_since) for e in others], service.silence_us)

    def _leave_out(self, endpoint: LiveEndpoint, now: int) -> None:
        self._since[endpoint.address] = now
        try:
            self._service.rebuild(now)
        except Exception:
            del self._since[endpoint.address]
            return
        endpoint.lost = endpoint.errors = endpoint.unanswered = 0

    def refuse(self, address: str, now: int) -> None:
        """The supervisor says that this endpoint is used."""
        if self._since.pop(address, None) is not None:
            self._service.rebuild(now)

    def tick(self, now: int) -> None:
        """A second or so has passed."""
        late = [address for address, since in self._since.items() if now - since > _WORD_US]
        for address in late:
            self.refuse(address, now)

    # Probes.

    def may_probe(self, addresses: list[str]) -> None:
        """From now on the next request that may be sent twice goes to each of these."""
        known = self._service.endpoints
        self._probes = [known[address] for address in addresses if address in known]
        self._service.has_probes = bool(self._probes)

    def take(self) -> LiveEndpoint | None:
        """An endpoint to probe with the request that is there now."""
        while self._probes:
            endpoint = self._probes.pop(0)
            self._service.has_probes = bool(self._probes)
            if not endpoint.is_usable and self._service.endpoints.get(endpoint.address) is endpoint:
                self._tell_probe(endpoint, None, 0)
                return endpoint
        return None

    def probed(self, endpoint: LiveEndpoint, failure: str, took_us: int) -> None:
        """The probe has ended, with a good reply or by this failure."""
        endpoint.lost = endpoint.errors = endpoint.unanswered = 0
        self._tell_probe(endpoint, failure, took_us)

    def _tell_probe(self, endpoint: LiveEndpoint, failure: str | None, took_us: int) -> None:
        about = {"service": self._service.name, "endpoint": endpoint.address}
        self.tell({"type": "probe", **about, "failure": failure, "took_us": took_us})

    def probe_us(self) -> int:
        """How long a probe may take for each of its steps."""
        slowest = max((e.median_us for e in self._service.endpoints.values() if e.is_usable), default=0)
        return max(_PROBE_US, _PROBE_TIMES * slowest)


def _ignore(_: dict[str, Any]) -> None:
    pass
