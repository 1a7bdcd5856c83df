"""When a file may have become another: every way in which files are replaced in practice."""

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio
from fairlead.discovery import changes as module
from fairlead.discovery.changes import changes
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from discovery.watching import LIMIT_S

Changes = AsyncGenerator[None, None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "endpoints.yaml"
    path.write_text("old")
    return path


@pytest_asyncio.fixture
async def watch(path: Path) -> AsyncIterator[Changes]:
    async with aclosing(changes(path)) as watch:
        await turn(watch)
        yield watch


async def turn(watch: Changes) -> None:
    async with asyncio.timeout(LIMIT_S):
        await anext(watch)


async def until(watch: Changes, path: Path, text: str | None) -> None:
    """Turn until the file holds that text: one replacement can be several changes."""
    while text_of(path) != text:
        await turn(watch)


def write(path: Path, text: str) -> None:
    path.write_text(text)


def text_of(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


async def test_written_in_place(watch: Changes, path: Path) -> None:
    write(path, "new")
    await turn(watch)


async def test_renamed_over(watch: Changes, path: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").write_text("new")
    os.replace(tmp_path / "temporary", path)
    await turn(watch)
    await until(watch, path, "new")


async def test_removed_and_made_again(watch: Changes, path: Path) -> None:
    os.unlink(path)
    await turn(watch)
    write(path, "new")
    await turn(watch)


async def test_its_directory_removed_and_made_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    path.parent.mkdir(parents=True)
    path.write_text("old")
    async with aclosing(changes(path)) as watch:
        await turn(watch)
        shutil.rmtree(tmp_path / "a")
        await until(watch, path, None)
        path.parent.mkdir(parents=True)
        await turn(watch)
        path.write_text("new")
        await until(watch, path, "new")


async def test_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "later" / "file"
    async with aclosing(changes(path)) as watch:
        await turn(watch)
        path.parent.mkdir()
        await turn(watch)
        path.write_text("new")
        await turn(watch)


async def test_a_volume_of_kubernetes(tmp_path: Path) -> None:
    """The file is a link into ..data, which is a link to the directory of a version, and is renamed over."""

    def version(name: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        (tmp_path / "..data_tmp").symlink_to(name)
        os.rename(tmp_path / "..data_tmp", tmp_path / "..data")

    version("..v1")
    path = tmp_path / "file"
    path.symlink_to("..data/file")
    async with aclosing(changes(path)) as watch:
        await turn(watch)
        for old, new in (("..v1", "..v2"), ("..v2", "..v3")):
            version(new)
            shutil.rmtree(tmp_path / old)
            await turn(watch)
            await until(watch, path, new)


async def test_a_link_to_a_file_elsewhere_that_is_written_in_place(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "file"
    target.write_text("old")
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / "link"
    path.symlink_to("../elsewhere/file")
    async with aclosing(changes(path)) as watch:
        await turn(watch)
        target.write_text("new")
        await turn(watch)


async def test_a_link_on_the_way_that_is_turned(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    current = tmp_path / "current"
    current.symlink_to("one")
    path = current / "file"
    async with aclosing(changes(path)) as watch:
        await turn(watch)
        (tmp_path / "next").symlink_to(tmp_path / "two")
        os.rename(tmp_path / "next", current)
        await turn(watch)
        await until(watch, path, "two")


async def test_links_in_a_circle_are_no_trap(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    async with aclosing(changes(path)) as watch:
        await turn(watch)
        path.unlink()
        path.write_text("new")
        await turn(watch)


async def test_without_inotify_it_polls(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(
        paths: list[str], debug: bool, polling: bool, delay_ms: int, recursive: bool, ignore: bool
    ) -> RustNotify:
        if not polling:
            raise WatchfilesRustInternalError("Too many open files (os error 24)")
        return RustNotify(paths, debug, polling, delay_ms, recursive, ignore)

    monkeypatch.setattr(module, "RustNotify", exhausted)
    monkeypatch.setattr(module, "_POLL_MS", 20)
    async with aclosing(changes(path)) as watch:
        await turn(watch)
        os.utime(path, (4e9, 4e9))  # written in a second that is later for certain
        await turn(watch)


async def test_a_directory_that_vanishes_in_between_is_looked_for_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = [None, None]
    real = module._open
    monkeypatch.setattr(module, "_POLL_MS", 1)
    monkeypatch.setattr(module, "_open", lambda directories: outcomes.pop() if outcomes else real(directories))
    async with aclosing(changes(path)) as watch:
        await turn(watch)
    assert outcomes == []


async def test_closing_ends_the_thread(path: Path) -> None:
    before = threading.active_count()
    async with aclosing(changes(path)) as watch:
        await turn(watch)
        assert threading.active_count() == before + 1
    for thread in threading.enumerate():
        if thread.name == "file changes":
            thread.join(LIMIT_S)
    assert threading.active_count() == before


async def test_a_consumer_that_is_cancelled_ends_the_thread(path: Path) -> None:
    before = threading.active_count()
    watch = changes(path)
    await turn(watch)
    consumer = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    for thread in threading.enumerate():
        if thread.name == "file changes":
            thread.join(LIMIT_S)
    assert threading.active_count() == before
