"""Every fuzz target takes what it starts from, and what was kept of its runs, without a finding."""

from __future__ import annotations

import pytest
from fuzz.targets import CORPUS, TARGETS_BY_NAME, corpus, seeds

names = pytest.mark.parametrize("name", TARGETS_BY_NAME)


@names
def test_the_seeds_find_nothing(name: str) -> None:
    for data in seeds(name):
        check(name, data)


@names
def test_the_corpus_finds_nothing(name: str) -> None:
    for path in corpus(name):
        check(name, path.read_bytes())


def check(name: str, data: bytes) -> None:
    try:
        TARGETS_BY_NAME[name](data)
    except BaseException as error:
        error.add_note(f"{name} with {data!r}")
        raise


def test_every_corpus_has_its_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= TARGETS_BY_NAME.keys()
