"""A supervisor whose workers are the tests' own: their channels are real, and nothing happens in between."""

from __future__ import annotations

import socket
from pathlib import Path

from control.helpers import Control, Fake, Readiness
from fairlead.control.channel import Channel, Message
from fairlead.control.supervisor import Supervisor
from fairlead.control.update import decode
from fairlead.model import Endpoint, Listener, Protocol, Route, Service, Snapshot, Update
from fairlead.settings import ServiceSettings, Settings

LOCAL = "127.0.0.1:0"
WEB = Listener(name="web", bind=LOCAL, routes=(Route(service="shop"),))
L4 = Listener(name="l4", bind=LOCAL, protocol=Protocol.TCP, service="shop")


def settings(*sources: Fake, listeners: tuple[Listener, ...] = (WEB,), workers: int = 1) -> Settings:
    services = {"shop": ServiceSettings(name="shop", sources=sources)}
    return Settings(listeners={listener.name: listener for listener in listeners}, services=services, workers=workers)


def found(*addresses: str) -> Fake:
    """A source that has found these."""
    source = Fake(f"found {addresses}", Control())
    source.control.find(*addresses)
    return source


class Peer:
    """A worker's end of its channel, which does what a test says."""

    def __init__(self, staged: Staged, number: int) -> None:
        self.worker = staged.supervisor.workers[number]
        self.messages: list[Message] = []
        self.sockets: dict[str, int] = {}  # listener -> port
        self._loop = staged.loop
        ours, self._end = socket.socketpair()
        self.channel = Channel(self._loop, self._end)
        self.channel.on_message = self._take
        self.channel.open()
        self.worker.channel = Channel(self._loop, ours)
        self.worker.channel.on_message = lambda message, fd: staged.supervisor._on_message(self.worker, message)
        self.worker.channel.on_drained = lambda: staged.supervisor._on_room(self.worker)
        self.worker.channel.open()
        staged.supervisor._on_start(self.worker)

    def _take(self, message: Message, fd: int) -> None:
        self.messages.append(message)
        if fd >= 0:
            with socket.socket(fileno=fd) as listening:
                self.sockets[message["listener"]] = listening.getsockname()[1]

    def close(self) -> None:
        self.channel.close()
        assert self.worker.channel is not None
        self.worker.channel.close()

    def stall(self) -> None:
        """Read no more, and let as much wait as the kernel takes."""
        self._loop.remove_reader(self._end)
        self.worker.send({"type": "fill", "much": "x" * 1_000_000})
        assert self.worker.channel is not None
        assert not self.worker.channel.is_idle

    def go_on(self) -> None:
        self.channel.open()
        self._loop.settle()

    def of(self, kind: str) -> list[Message]:
        self._loop.settle()
        return [message for message in self.messages if message["type"] == kind]

    def updates(self) -> list[Update]:
        return [decode(message) for message in self.of("update")]

    def say(self, kind: str, **message: object) -> None:
        self.channel.send_message({"type": kind, **message})
        self._loop.settle()

    def report(self, version: int, **services: object) -> None:
        self.say("report", version=version, listeners={}, services=services, access_log_dropped=0)


class Staged:
    """A supervisor without processes: its workers are peers."""

    def __init__(self, given: Settings, file: Path | None = None) -> None:
        self.loop = Readiness()
        self.supervisor = Supervisor(given, file)
        self.supervisor.open()
        self.supervisor.services.configure(given.services)
        self.peers = [Peer(self, number) for number in range(len(self.supervisor.workers))]

    def replace(self, number: int) -> Peer:
        """The worker has died, and another has started."""
        self.peers[number].close()
        self.supervisor.workers[number].sent = Snapshot()
        self.peers[number] = Peer(self, number)
        return self.peers[number]

    def publish(self, *addresses: str) -> None:
        """The service has these endpoints now."""
        endpoints = tuple(map(Endpoint, addresses))
        self.supervisor.services.current["shop"] = Service(name="shop", endpoints=endpoints, version=len(addresses))
        self.supervisor._publish()

    def events(self) -> list[tuple[str, str, str]]:
        return [(event.kind, event.subject, event.text) for event in self.supervisor.status().events]

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.supervisor.sockets.keep({})
