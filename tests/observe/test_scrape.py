"""How often workers are asked and metrics rendered, for any number that ask at the same time."""

import asyncio
import gzip

import pytest
from fairlead.observe import metrics
from fairlead.observe.scrape import Scrape, Scrapes
from fairlead.observe.status import Status
from observe.sample_status import STATUS


class Workers:
    """Answer when they are told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()

    async def refresh(self) -> None:
        self.asked += 1
        await self.may_answer.wait()

    def status(self) -> Status:
        return Status(config_loaded=float(self.asked))


async def ask(scrapes: Scrapes, count: int) -> list[asyncio.Task[Scrape]]:
    """So many that ask, each of which waits by now."""
    tasks = [asyncio.ensure_future(scrapes.fresh()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_all_who_ask_at_the_same_time_share_one_refresh() -> None:
    workers = Workers()
    tasks = await ask(Scrapes(workers.status, workers.refresh), 50)
    workers.may_answer.set()
    results = await asyncio.gather(*tasks)
    assert workers.asked == 1
    assert len({id(scrape) for scrape in results}) == 1
    assert results[0].status.config_loaded == 1


async def test_who_asks_later_gets_a_new_one() -> None:
    workers = Workers()
    workers.may_answer.set()
    scrapes = Scrapes(workers.status, workers.refresh)
    assert [(await scrapes.fresh()).status.config_loaded for _ in range(3)] == [1, 2, 3]


async def test_when_the_first_gives_up_another_takes_over() -> None:
    workers = Workers()
    first, second = await ask(Scrapes(workers.status, workers.refresh), 2)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    workers.may_answer.set()
    assert (await second).status.config_loaded == workers.asked == 2


async def test_a_failure_is_of_the_one_who_asked() -> None:
    async def fail() -> None:
        raise OSError("no worker")

    scrapes = Scrapes(Status, fail)
    for task in await ask(scrapes, 2):
        with pytest.raises(OSError, match="no worker"):
            await task


def test_a_format_is_rendered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []
    render = metrics.render

    def counted(status: Status, accept: str) -> tuple[bytes, str]:
        rendered.append(accept)
        return render(status, accept)

    monkeypatch.setattr(metrics, "render", counted)
    scrape = Scrape(STATUS)
    openmetrics = "application/openmetrics-text"
    for accept in ("", "*/*", openmetrics, openmetrics + ";version=1.0.0"):
        plain, media_type = scrape.metrics(accept, False)
        zipped, same_type = scrape.metrics(accept, True)
        assert (gzip.decompress(zipped), same_type) == (plain, media_type) == render(STATUS, accept)
    assert rendered == ["", openmetrics]
