"""What is wrong with a pod at the moment: how slow it is, how often it fails, whether it says that it is ready.

Pure values, read from the same words in the environment (MY_APP_LATENCY=0.2), in the query of a single request
(`/?latency=0.2`) and in the query of `/faults`, which changes all that follow. Never waits or fails by itself: the
server does what is said here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Final, TypeVar, final

from my_app.ending import Ending

_T = TypeVar("_T")

_YES: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """A healthy pod by default."""

    latency: float = 0.0  # seconds before each reply
    jitter: float = 0.0  # up to this many more, evenly spread
    concurrency: int = 0  # replies at once; others wait for their turn, as in a pool of threads. 0: no limit
    status: int = 503  # what a failing reply says
    ratio: float = 0.0  # the share of replies that fail; giving a status alone means all
    ready: bool = True
    healthy: bool = True
    hang: bool = False  # nothing is answered, probes neither
    sigterm: Ending = field(default_factory=Ending)


WORDS: Final = tuple(each.name for each in fields(Faults))


def changed(faults: Faults, words: Mapping[str, str]) -> Faults:
    """The faults with what the words say instead. Raises ValueError that names the word and what it may be."""
    unknown = sorted(words.keys() - set(WORDS))
    if unknown:
        raise ValueError(f"{unknown[0]}: is not one of {', '.join(WORDS)}")
    all_fail = "status" in words and "ratio" not in words
    return Faults(
        latency=_said(words, "latency", seconds, faults.latency),
        jitter=_said(words, "jitter", seconds, faults.jitter),
        concurrency=_said(words, "concurrency", _count, faults.concurrency),
        status=_said(words, "status", _status, faults.status),
        ratio=1.0 if all_fail else _said(words, "ratio", _share, faults.ratio),
        ready=_said(words, "ready", _boolean, faults.ready),
        healthy=_said(words, "healthy", _boolean, faults.healthy),
        hang=_said(words, "hang", _boolean, faults.hang),
        sigterm=_said(words, "sigterm", Ending.parse, faults.sigterm),
    )


def _said(words: Mapping[str, str], name: str, read: Callable[[str], _T], otherwise: _T) -> _T:
    try:
        return read(words[name]) if name in words else otherwise
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def from_environment(environ: Mapping[str, str]) -> Faults:
    """What MY_APP_LATENCY, MY_APP_RATIO and so on say; other variables are none of its business."""
    words = {name: environ[f"MY_APP_{name.upper()}"] for name in WORDS if f"MY_APP_{name.upper()}" in environ}
    return changed(Faults(), words)


def seconds(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 3600:
        raise ValueError(f"{text!r} is not a number of seconds from 0 to 3600")
    return value


def _share(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 1:
        raise ValueError(f"{text!r} is not a share from 0 to 1")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise ValueError(f"{text!r} is not a whole number from 0 to 999999")
    return int(text)


def _status(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 200 <= int(text[:4]) <= 599):
        raise ValueError(f"{text!r} is not a status from 200 to 599")
    return int(text)


def _boolean(text: str) -> bool:
    if text.lower() not in _YES:
        raise ValueError(f"{text!r} is neither true nor false")
    return _YES[text.lower()]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # which is in no range
