"""What is asked and what must come back: both follow from a number, so each reply is checked against its request."""

from __future__ import annotations

import random
from dataclasses import dataclass
from hashlib import sha256
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Task:
    """One request and its only right reply."""

    method: str
    target: str
    body: bytes
    is_chunked: bool  # how the body is framed
    expected: bytes


def task(number: int) -> Task:
    """The task of that number: three in four ask for bytes, the others send some and get their hash back."""
    rng = random.Random(number)
    size = min(int(rng.expovariate(1 / 8000)), 300_000)
    if rng.random() < 0.75:
        return Task("GET", f"/bytes/{number}/{size}", b"", False, content(number, size))
    body = content(number, size)
    return Task("PUT", f"/hash/{number}", body, rng.random() < 0.5, digest(number, body))


def content(number: int, size: int) -> bytes:
    return random.Random(~number).randbytes(size)


def digest(number: int, body: bytes) -> bytes:
    return f"{number} {sha256(body).hexdigest()}".encode()
