"""One endpoint that the configuration itself names. It never changes and never fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from fairlead.discovery.address import IsName, endpoint_address
from fairlead.discovery.seam import Found
from fairlead.model import Endpoint


@final
@dataclass(frozen=True, slots=True)
class StaticSource:
    """`text` is the endpoint's address."""

    text: str
    weight: int = 1

    async def watch(self) -> AsyncGenerator[Found, None]:
        """The endpoint, once."""
        yield Found((Endpoint(self.text, self.weight),))
        await asyncio.Event().wait()  # a source runs until it is closed


def parse(text: str, weight: int, base_dir: Path) -> StaticSource:
    """From "10.0.0.1:80", "[2001:db8::1]:80" or "unix:PATH". Raises ValueError saying what is wrong."""
    try:
        return StaticSource(endpoint_address(text, base_dir), weight)
    except IsName as error:
        raise ValueError(f"{error}; write dns://{error.name} to have it resolved") from None
