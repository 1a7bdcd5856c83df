"""How tests follow a source: each thing that it finds, with a bound on every wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

from fairlead.discovery import Found, Source
from fairlead.model import State

LIMIT_S = 10.0  # for anything that is waited for; a test that needs it fails


class Following:
    """A source that is watched. `all` is everything that it has found."""

    def __init__(self, watch: AsyncGenerator[Found, None]) -> None:
        self._watch = watch
        self.all: list[Found] = []
        self._came = asyncio.Event()

    async def run(self) -> None:
        async for found in self._watch:
            self.all.append(found)
            self._came.set()

    @property
    def last(self) -> Found:
        return self.all[-1]

    async def until(self, condition: Callable[[Found], bool]) -> Found:
        """What it found last, as soon as that is so."""
        try:
            async with asyncio.timeout(LIMIT_S):
                while not self.all or not condition(self.last):
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise AssertionError(f"did not come to pass; found at last: {self.all[-1:]}") from None
        return self.last

    async def until_ready(self, *addresses: str) -> Found:
        return await self.until(lambda found: ready(found) == set(addresses) and not found.problem)


def ready(found: Found) -> set[str]:
    return {each.address for each in found.endpoints if each.state is State.READY}


@asynccontextmanager
async def following(source: Source) -> AsyncIterator[Following]:
    """The source, watched for as long as this; afterwards nothing is left of it."""
    before = asyncio.all_tasks()
    async with aclosing(source.watch()) as watch:
        followed = Following(watch)
        task = asyncio.ensure_future(followed.run())
        try:
            yield followed
        finally:
            task.cancel()
            await asyncio.wait([task])
    assert {task for task in asyncio.all_tasks() - before if "fairlead" in repr(task.get_coro())} == set()


async def until(condition: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(LIMIT_S):
            while not condition():  # noqa: ASYNC110 (what is waited for tells nobody)
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"did not come to pass: {what}") from None
