"""Authorities of a cluster, and a metrics API server in front of known traffic."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from autoscale.authority import Authority
from autoscale.serving import Serving


@pytest.fixture
def front_proxy(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "front-proxy-ca")


@pytest.fixture
def strangers(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "strangers")


@pytest_asyncio.fixture
async def serving(tmp_path: Path, front_proxy: Authority) -> AsyncIterator[Serving]:
    async with Serving(tmp_path, front_proxy) as running:
        yield running
