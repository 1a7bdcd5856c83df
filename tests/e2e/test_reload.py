"""A configuration that changes under way, files of endpoints, policies of users' own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from e2e.harness import Client, Endpoint, Running, get, until

Start = Callable[..., Running]
Endpoints = Callable[[str], Endpoint]


def config(services: dict[str, str], routes: str, more: str = "") -> str:
    lines = [f"  {name}: {{endpoints: [{address}]}}" for name, address in services.items()]
    return "\n".join(
        [
            "listeners:",
            f'  web: {{bind: "127.0.0.1:0", routes: [{routes}]}}',
            "services:",
            *lines,
            'admin: {bind: "127.0.0.1:0"}',
            "workers: 1",
            more,
        ]
    )


def write(path: Path, text: str) -> None:
    """Replace a file as editors do: another one takes its name."""
    (path.parent / ".new").write_text(text)
    os.replace(path.parent / ".new", path)


def test_sighup_changes_routes_under_an_open_connection(start: Start, endpoints: Endpoints, tmp_path: Path) -> None:
    a, b = endpoints("a"), endpoints("b")
    services = {"a": f'"{a.address}"', "b": f'"{b.address}"'}
    running = start(config(services, "{service: a}")).wait_ready()
    client = Client(running.port("web"))
    client.send("/")
    assert client.reply()[2] == "a"
    client.send("/slow")
    assert a.begun.wait(10)
    (tmp_path / "fairlead.yaml").write_text(config(services, "{path: /v1, service: a}, {service: b}"))
    running.signal(signal.SIGHUP)
    running.wait_for("INFO loaded")
    until(lambda: get(running.port("web"))[1] == "b", "the new route serves")
    a.go.set()
    assert client.reply()[2] == "a"  # what was under way ends as it began
    for path, name in (("/", "b"), ("/v1/x", "a"), ("/v10", "b")):
        client.send(path)
        assert client.reply()[2] == name
    client.close()


def test_a_changed_file_is_loaded_without_a_signal(start: Start, endpoints: Endpoints, tmp_path: Path) -> None:
    services = {"a": f'"{endpoints("a").address}"', "b": f'"{endpoints("b").address}"'}
    running = start(config(services, "{service: a}")).wait_ready()
    write(tmp_path / "fairlead.yaml", config(services, "{service: b}"))
    until(lambda: get(running.port("web"))[1] == "b", "the new file is in force")


def test_a_broken_file_changes_nothing_and_says_why(start: Start, endpoints: Endpoints, tmp_path: Path) -> None:
    good = config({"a": f'"{endpoints("a").address}"'}, "{service: a}")
    running = start(good).wait_ready()
    write(tmp_path / "fairlead.yaml", good.replace("service: a", "service: aa"))
    running.wait_for(r"fairlead\.yaml:2: listeners\.web\.routes\[0\]\.service")
    assert get(running.port("web"))[1] == "a"
    assert running.counter("fairlead_config_last_reload_successful") == 0
    assert "routes[0].service" in running.admin("/api/v1/config")[1]
    write(tmp_path / "fairlead.yaml", good)
    until(lambda: running.counter("fairlead_config_last_reload_successful") == 1, "the good file is taken again")


def test_listeners_come_and_go(start: Start, endpoints: Endpoints, tmp_path: Path) -> None:
    good = config({"a": f'"{endpoints("a").address}"'}, "{service: a}")
    running = start(good).wait_ready()
    client = Client(running.port("web"))
    client.send("/")
    assert client.reply()[0] == 200
    more = good.replace("listeners:", 'listeners:\n  l4: {bind: "127.0.0.1:0", protocol: tcp, service: a}')
    write(tmp_path / "fairlead.yaml", more)
    running.wait_for("INFO loaded")
    (listener,) = [each for each in running.api("/api/v1/services")["listeners"] if each["name"] == "l4"]
    port = int(listener["address"].rpartition(":")[2])
    until(lambda: get(port)[1] == "a", "the new listener serves")
    client.send("/")
    assert client.reply()[0] == 200  # the other one was not disturbed
    write(tmp_path / "fairlead.yaml", good)

    def is_refused() -> bool:
        try:
            get(port)
        except OSError:
            return True
        return False

    until(is_refused, "the listener is gone")
    client.close()


def test_reloads_leak_no_descriptors(start: Start, endpoints: Endpoints, tmp_path: Path) -> None:
    good = config({"a": f'"{endpoints("a").address}"'}, "{service: a}")
    more = good.replace("listeners:", 'listeners:\n  other: {bind: "127.0.0.1:0", service: a}')
    running = start(good).wait_ready()
    (worker,) = running.workers()

    def descriptors() -> tuple[int, int]:
        return len(os.listdir(f"/proc/{running.process.pid}/fd")), len(os.listdir(f"/proc/{worker}/fd"))

    def load(text: str) -> None:
        seen = len(running.lines)
        (tmp_path / "fairlead.yaml").write_text(text)
        running.signal(signal.SIGHUP)
        running.wait_for("INFO loaded", seen)

    load(more)
    load(good)
    until(lambda: running.api("/api/v1/config")["workers"][0]["version"] == 3, "all is applied")
    before = descriptors()
    for _ in range(10):
        load(more)
        load(good)
    until(
        lambda: all(now <= then for now, then in zip(descriptors(), before, strict=True)),
        lambda: f"no more descriptors than before: {before}, not {descriptors()}",
    )


def test_a_file_of_endpoints_is_followed(start: Start, endpoints: Endpoints, tmp_path: Path) -> None:
    a, b = endpoints("a"), endpoints("b")
    listed = tmp_path / "endpoints.yaml"
    listed.write_text(f'["{a.address}"]')
    running = start(config({"a": '"file:endpoints.yaml"'}, "{service: a}")).wait_ready()
    port = running.port("web")
    assert get(port)[1] == "a"
    write(listed, f'["{b.address}"]')
    until(lambda: get(port)[1] == "b", "the new endpoint serves")
    write(listed, "- nonsense\n")
    running.wait_for(r"endpoints\.yaml:1")
    assert get(port)[1] == "b"  # the last good ones stand
    write(listed, "[]")
    until(lambda: get(port)[0] == 503, "an empty list is one")
    assert get(port)[2]["fairlead-error"] == "no-endpoint"


def test_a_policy_from_a_file_chooses(start: Start, endpoints: Endpoints, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "class Last:\n"
        "    def __init__(self, endpoints, previous):\n"
        "        self.endpoints = endpoints\n"
        "    def pick(self, key, tried):\n"
        "        left = [e for e in self.endpoints if not tried or e not in tried]\n"
        "        return left[-1] if left else None\n"
    )
    addresses = f'"{endpoints("a").address}", "{endpoints("b").address}"'
    text = config({"a": addresses}, "{service: a}")
    running = start(text.replace("endpoints: [", "balance: './mine.py:Last', endpoints: [")).wait_ready()
    assert [get(running.port("web"))[1] for _ in range(5)] == ["b"] * 5


def test_a_policy_that_fails_costs_no_request_and_is_told(start: Start, endpoints: Endpoints, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "class Faulty:\n"
        "    def __init__(self, endpoints, previous):\n"
        "        pass\n"
        "    def pick(self, key, tried):\n"
        "        return 1 // 0\n"
    )
    text = config({"a": f'"{endpoints("a").address}"'}, "{service: a}")
    running = start(text.replace("endpoints: [", "balance: './mine.py:Faulty', endpoints: [")).wait_ready()
    assert [get(running.port("web"))[1] for _ in range(5)] == ["a"] * 5
    running.wait_for(r"service a: its policy fails .*: pick raised ZeroDivisionError.* \(mine\.py:5\)")
    assert "policy-failed" in str(running.api("/api/v1/events"))
