"""What replicas of Fairlead tell each other, so that any of them can answer for all: figures, signed with a shared key.

Pure. Owns the form of what is told, and the signatures. The key never leaves a replica: who asks signs what is asked
and when, who answers signs the answer to just that question. So neither side has to believe a certificate; what is read
is read strictly all the same. Invariant: replicas have the same configuration, and each its own share of the traffic.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

from fairlead.autoscale.figures import Figures, of_replicas

PATH: Final = "/peers/v1/figures"
WITH_ENDPOINTS: Final = f"{PATH}?endpoints=1"
HEADER: Final = "Fairlead-Signature"
SHORTEST_KEY: Final = 16
_SKEW_S: Final = 60.0  # clocks of a cluster differ by less; a question that somebody repeats later is not answered
_PLAIN: Final = ("window_s", "requests", "errors", "rate", "in_flight", "busy", "queued", "capacity")


class View(Protocol):
    """Where figures come from: one replica's window, or all of them together."""

    @property
    def is_whole(self) -> bool: ...

    def current(self, service: str, concurrency: float = 0.0) -> Figures | None: ...

    def with_traffic(self, service: str, concurrency: float = 0.0) -> Figures | None: ...

    def endpoints(self, service: str, concurrency: float = 0.0) -> dict[str, Figures]: ...


@final
@dataclass(frozen=True, slots=True)
class Told:
    """What one replica said: by service its figures of now, of its last traffic, and of its endpoints."""

    replica: str
    current: Mapping[str, Figures]
    with_traffic: Mapping[str, Figures]
    endpoints: Mapping[str, Mapping[str, Figures]]


@final
class Together:
    """One's own view and what others told."""

    def __init__(self, own: View, others: Sequence[Told]) -> None:
        self._own = own
        self._others = others

    @property
    def is_whole(self) -> bool:
        return self._own.is_whole

    def current(self, service: str, concurrency: float = 0.0) -> Figures | None:
        found = [self._own.current(service, concurrency), *(told.current.get(service) for told in self._others)]
        there = [each for each in found if each is not None]
        return of_replicas(there) if there else None

    def with_traffic(self, service: str, concurrency: float = 0.0) -> Figures | None:
        """Of the replicas whose last traffic was at the same time as the last of all."""
        found = [
            self._own.with_traffic(service, concurrency),
            *(told.with_traffic.get(service) for told in self._others),
        ]
        there = [each for each in found if each is not None]
        latest = max((each.at for each in there), default=0.0)
        recent = [each for each in there if latest - each.at < each.window_s]
        return of_replicas(recent) if recent else None

    def endpoints(self, service: str, concurrency: float = 0.0) -> dict[str, Figures]:
        found = {address: [each] for address, each in self._own.endpoints(service, concurrency).items()}
        for told in self._others:
            for address, each in told.endpoints.get(service, {}).items():
                found.setdefault(address, []).append(each)
        return {address: of_replicas(each) for address, each in found.items()}


def tell(replica: str, view: View, services: Mapping[str, float], now: float, with_endpoints: bool) -> bytes:
    """What to say to a peer. `services` is the concurrency of an endpoint by service."""
    document: dict[str, Any] = {"replica": replica, "current": {}, "with_traffic": {}, "endpoints": {}}
    for service, concurrency in services.items():
        current, last = view.current(service, concurrency), view.with_traffic(service, concurrency)
        if current is not None:
            document["current"][service] = _to_plain(current, now)
        if last is not None:
            document["with_traffic"][service] = _to_plain(last, now)
        if with_endpoints:
            endpoints = view.endpoints(service, concurrency)
            document["endpoints"][service] = {address: _to_plain(each, now) for address, each in endpoints.items()}
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def hear(body: bytes, now: float) -> Told:
    """What a peer said. Raises ValueError when it is not of this form: another version of Fairlead, perhaps."""
    try:
        document = json.loads(body)
        return Told(
            replica=_text(document["replica"]),
            current=_by_name(document["current"], now),
            with_traffic=_by_name(document["with_traffic"], now),
            endpoints={_text(name): _by_name(each, now) for name, each in _object(document["endpoints"]).items()},
        )
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it is not of the form that this version speaks: {error!r}") from error


def question(key: bytes, target: str, nonce: str, now: float) -> str:
    """The header of a question. `nonce` is new each time."""
    at = f"{now:.0f}"
    return f"{at}.{nonce}.{_sign(key, 'ask', target, at, nonce)}"


def asked(key: bytes, target: str, header: str, now: float) -> str | None:
    """The nonce of a question that was signed with the key a moment ago, or None."""
    at, _, rest = header.partition(".")
    nonce, _, signature = rest.partition(".")
    if not (at.isascii() and at.isdecimal() and len(at) < 16 and nonce.isascii() and nonce.isalnum()):
        return None
    good = hmac.compare_digest(signature.encode(), _sign(key, "ask", target, at, nonce).encode())
    return nonce if good and abs(now - int(at)) <= _SKEW_S else None


def answer(key: bytes, nonce: str, body: bytes) -> str:
    """The header of an answer to a question."""
    return _sign(key, "tell", nonce, hashlib.sha256(body).hexdigest())


def is_answer(key: bytes, nonce: str, body: bytes, header: str) -> bool:
    return hmac.compare_digest(header.encode(), answer(key, nonce, body).encode())


def _sign(key: bytes, *parts: str) -> str:
    return hmac.new(key, "\n".join(parts).encode(), hashlib.sha256).hexdigest()


def _to_plain(figures: Figures, now: float) -> dict[str, Any]:
    """Ages instead of times: clocks differ."""
    named = {name: getattr(figures, name) for name in _PLAIN}
    counts = [number for pair in figures.counts.items() for number in pair]
    return {"age_s": max(now - figures.at, 0.0), "counts": counts, "is_guess": figures.is_guess, **named}


def _by_name(raw: object, now: float) -> dict[str, Figures]:
    return {_text(name): _figures(_object(each), now) for name, each in _object(raw).items()}


def _figures(raw: Mapping[str, Any], now: float) -> Figures:
    pairs = [_count(number) for number in raw["counts"]]
    return Figures(
        at=now - _number(raw["age_s"]),
        window_s=_number(raw["window_s"]),
        requests=_count(raw["requests"]),
        errors=_count(raw["errors"]),
        rate=_number(raw["rate"]),
        in_flight=_number(raw["in_flight"]),
        busy=_number(raw["busy"]),
        queued=_number(raw["queued"]),
        counts=dict(zip(pairs[::2], pairs[1::2], strict=True)),
        capacity=_number(raw["capacity"]),
        is_guess=_flag(raw["is_guess"]),
    )


def _object(raw: object) -> Mapping[str, Any]:
    if not isinstance(raw, dict):
        raise ValueError("it has something in the place of an object")
    return raw


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError("it has something in the place of a text")
    return raw


def _flag(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise ValueError("it has something in the place of true or false")
    return raw


def _count(raw: object) -> int:
    if type(raw) is not int or raw < 0:
        raise ValueError("it has something in the place of a count")
    return raw


def _number(raw: object) -> float:
    if not isinstance(raw, int | float) or isinstance(raw, bool) or not math.isfinite(raw) or raw < 0:
        raise ValueError("it has something in the place of a number")
    return float(raw)
