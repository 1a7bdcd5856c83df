"""The box says why it cannot be; loopback sandboxes are distinct."""

from __future__ import annotations

import pytest
from box import network
from box.network import Loopback, entering


def test_a_machine_without_namespaces_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_ENTER", ("sh", "-c", "echo not permitted >&2; exit 1"))
    with pytest.raises(OSError, match=r"may not make network namespaces here \(not permitted\); run it as root"):
        entering(["true"])


def test_a_machine_without_unshare_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_ENTER", ("no-such-command",))
    with pytest.raises(OSError, match="util-linux"):
        entering(["true"])


def test_another_user_is_root_in_a_namespace_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_ENTER", ("true",))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert entering(["ls"]) == ["true", "--user", "--map-root-user", "ls"]
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert entering(["ls"]) == ["true", "ls"]


async def test_loopback_sandboxes_are_distinct() -> None:
    loopback = Loopback()
    addresses = [(await loopback.sandbox()).address for _ in range(20)]
    assert len(set(addresses)) == 20 and all(each.startswith("127.") for each in addresses)
