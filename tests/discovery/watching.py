"""How tests watch a source: step by step, with a bound on every step."""

import asyncio
from collections.abc import AsyncGenerator

from fairlead.discovery import Found

LIMIT_S = 10.0  # far more than any step takes; reached only by a source that is broken


async def step(watch: AsyncGenerator[Found, None]) -> Found:
    """The next that is found."""
    async with asyncio.timeout(LIMIT_S):
        return await anext(watch)


def addresses(found: Found) -> list[str]:
    return [endpoint.address for endpoint in found.endpoints]
