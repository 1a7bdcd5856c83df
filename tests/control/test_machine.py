"""What the machine gives: cores by affinity and quota, descriptors up to the hard limit."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from fairlead.control.machine import raise_descriptor_limit, usable_cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000\n", 8),
        ("50000 100000\n", 1),
        ("100000 100000\n", 1),
        ("150000 100000\n", 2),
        ("400000 100000\n", 4),
        ("1600000 100000\n", 8),
        ("", 8),
        ("nonsense\n", 8),
        ("100000 0\n", 8),
    ],
)
def test_the_quota_of_version_2(tmp_path: Path, quota: str, cores: int) -> None:
    write(tmp_path / "cpu.max", quota)
    assert usable_cores(tmp_path, tmp_path / "none") == cores


@pytest.mark.parametrize(
    ("quota", "period", "cores"),
    [("-1", "100000", 8), ("250000", "100000", 3), ("1000", "100000", 1), ("100000", "0", 8), ("x", "100000", 8)],
)
def test_the_quota_of_version_1(tmp_path: Path, quota: str, period: str, cores: int) -> None:
    write(tmp_path / "cpu/cpu.cfs_quota_us", quota + "\n")
    write(tmp_path / "cpu/cpu.cfs_period_us", period + "\n")
    write(tmp_path / "own", "4:memory:/\n1:cpu:/\n0::/\n")
    assert usable_cores(tmp_path, tmp_path / "own") == cores


@pytest.mark.parametrize(
    ("group", "cores"), [("/", 8), ("/system.slice", 3), ("/system.slice/fairlead.service", 2), ("/other", 8)]
)
@pytest.mark.parametrize("version", [1, 2])
def test_the_groups_above_count_too(tmp_path: Path, version: int, group: str, cores: int) -> None:
    root = tmp_path if version == 2 else tmp_path / "cpu"
    for name, quota in {
        "system.slice": 300_000,
        "system.slice/fairlead.service": 200_000,
        "user.slice": 100_000,
    }.items():
        if version == 2:
            write(root / name / "cpu.max", f"{quota} 100000\n")
        else:
            write(root / name / "cpu.cfs_quota_us", f"{quota}\n")
            write(root / name / "cpu.cfs_period_us", "100000\n")
    write(tmp_path / "own", f"0::{group}\n" if version == 2 else f"3:cpu,cpuacct:{group}\n0::/\n")
    assert usable_cores(tmp_path, tmp_path / "own") == cores


def test_without_control_groups_affinity_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores(tmp_path, tmp_path / "none") == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert usable_cores(tmp_path, tmp_path / "none") == 1


def test_this_machine_has_at_least_one() -> None:
    assert 1 <= usable_cores() <= 8


def test_the_descriptor_limit_is_raised_to_the_hard_one() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
    try:
        assert raise_descriptor_limit() == before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_limit_that_cannot_be_raised_is_lived_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hard limit may be above what the kernel allows now (fs.nr_open)."""

    def refuse(what: int, limits: tuple[int, int]) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(resource, "getrlimit", lambda what: (1024, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_descriptor_limit() == 1024
