"""A worker process: one loop, one engine, one data plane, told what to do over one channel.

Owns the translation between the supervisor's messages and the plane. Never decides anything by itself but to end when
the supervisor is gone. Started as `python -m fairlead.control.worker FD NUMBER`.

From the supervisor: `socket` (a listening descriptor for the update that follows), `update`, `report` (asks for one),
`access-log`, `announce` (replies say that the connection ends), `drain` (stop accepting, end within `limit_s`), `probe`
(the ejected endpoints that this worker may give a request to), `refuse` (an endpoint is not ejected), `silent` (one is,
because it answers nothing).
To it: `report`, every second and when asked; `accuse`, when an endpoint has failed too often; `probe`, that one has
begun or how it ended; `waiting`, when the first request waits for a service without endpoints; `fault`, once, when a
user's policy did what it must not; `refused`, with the reasons, for an update that was not applied whole. What a
user's policy raises for one service must not cost
the others: that service stays as it was, or answers `no-endpoint` when it is new, the rest of the update is applied,
and the version that is reported stays behind.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
from dataclasses import replace
from typing import Final

import uvloop

from fairlead.control.channel import Channel, Message
from fairlead.control.logs import Seldom, configure_logging
from fairlead.control.update import decode
from fairlead.dataplane.plane import Plane
from fairlead.engine.memory import give_back
from fairlead.engine.reactor import Acceptor, Reactor
from fairlead.model import Service, Update
from fairlead.observe.access_log import AccessLog

_log = logging.getLogger("fairlead.worker")

REPORT_S: Final = 1.0
_TRIM_S: Final = 5.0  # free memory is given back this often,
_TRIM_BYTES: Final = 8 << 20  # when there is this much of it
_LOG_FLUSH_S: Final = 1.0  # the access log may take this long to write what waits, at the end


class Worker:
    """The process's only one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, channel: Channel, number: int) -> None:
        self.stopped = asyncio.Event()
        self._loop = loop
        self._channel = channel
        self._number = number
        self._sockets: dict[str, int] = {}
        self._known: set[str] = set()  # the services that the plane has
        self._refused: dict[str, str] = {}  # those that are not as they were told to be, and why
        self._dropped = 0  # by access logs that are closed
        self._access: AccessLog | None = None
        self._reactor = Reactor(loop)
        self._plane = Plane(self._reactor, number)
        self._faults = Seldom(_log)
        self._limit_s = 0.0
        self._told: dict[str, str] = {}  # the fault of each service's policy that the supervisor knows
        self._is_draining = False

    def open(self) -> None:
        self._reactor.on_error = self._faults.error
        self._plane.on_waiting = self._on_waiting
        self._reactor.on_exhausted = self._on_exhausted
        self._reactor.open()
        self._channel.on_message = self._on_message
        self._channel.on_close = self._on_orphaned
        self._plane.tell = self._channel.send_message
        self._channel.open()
        self._loop.call_later(REPORT_S, self._report_regularly)
        self._loop.call_later(_TRIM_S, self._give_back_regularly)

    def close(self) -> None:
        self._plane.close()
        self._send_report()
        self._reactor.close()
        if self._access is not None:
            self._access.close(_LOG_FLUSH_S)

    def _on_message(self, message: Message, fd: int) -> None:
        match message["type"]:
            case "socket":
                self._close_socket(message["listener"])
                self._sockets[message["listener"]] = fd
            case "update":
                self._update(message)
            case "report":
                self._send_report()
            case "probe":
                self._plane.may_probe(message["endpoints"])
            case "refuse":
                self._plane.refuse(message["service"], message["endpoint"])
            case "silent":
                self._plane.give_elsewhere(message["service"], message["endpoint"])
            case "access-log":
                self._open_access_log(message)
            case "announce":
                self._plane.announce()
            case "drain":
                self._drain(message["limit_s"])
            case other:
                _log.error("worker %d does not know the message %r", self._number, other)

    def _update(self, message: Message) -> None:
        update = decode(message)
        problems = [problem for service in update.services if (problem := self._set(service))]
        for name in update.gone_services:
            self._known.discard(name)
            self._refused.pop(name, None)
        version = self._plane.version if self._refused else update.version
        try:
            self._plane.update(replace(update, version=version, services=()), self._sockets)
        except Exception as error:  # as for a service; the old listeners go on
            self._faults.error("the listeners cannot be changed", error)
            problems.append(f"listeners: {error}")
        for name in list(self._sockets):
            self._close_socket(name)
        if problems:
            self._channel.send_message({"type": "refused", "version": update.version, "problem": "; ".join(problems)})
        self._send_report()

    def _set(self, service: Service) -> str:
        """Give the plane a new or changed service; returns what was wrong with it."""
        self._refused.pop(service.name, None)
        try:
            self._plane.update(Update(version=self._plane.version, services=(service,)), {})
        except Exception as error:  # whatever a user's policy raises
            self._faults.error(f"service {service.name} cannot be changed", error)
            self._refused[service.name] = f"service {service.name}: {type(error).__name__}: {error}"
            if service.name not in self._known:
                nothing = replace(service, balance="round-robin", endpoints=())
                self._plane.update(Update(version=self._plane.version, services=(nothing,)), {})
        self._known.add(service.name)
        return self._refused.get(service.name, "")

    def _close_socket(self, listener: str) -> None:
        fd = self._sockets.pop(listener, -1)
        if fd >= 0:
            os.close(fd)

    def _open_access_log(self, message: Message) -> None:
        old = self._access
        self._access = None
        if message["to"]:
            try:
                self._access = AccessLog(message["to"], message["format"], message["sample"])
            except OSError as error:
                _log.error("worker %d cannot write its access log: %s", self._number, error)
        self._plane.access = None if self._access is None else self._access.record
        if old is not None:
            self._dropped += old.dropped
            # In a thread, because its disk may be full or its pipe stuck, and that must not hold up the traffic.
            threading.Thread(target=old.close, args=(_LOG_FLUSH_S,), name="close access log", daemon=True).start()

    def _report_regularly(self) -> None:
        if not self.stopped.is_set():
            self._plane.tick()
            self._send_report()
            self._loop.call_later(REPORT_S, self._report_regularly)

    def _give_back_regularly(self) -> None:
        if not self.stopped.is_set():
            give_back(_TRIM_BYTES)
            self._loop.call_later(_TRIM_S, self._give_back_regularly)

    def _send_report(self) -> None:
        if not self._channel.is_idle:
            return  # the supervisor does not read; counts are cumulative, so the next report says all
        for service, fault in self._plane.faults().items():
            if self._told.get(service) != fault:
                self._told[service] = fault
                self._channel.send_message({"type": "fault", "service": service, "problem": fault})
        report = self._plane.report()
        report["access_log_dropped"] = self._dropped + (0 if self._access is None else self._access.dropped)
        self._channel.send_message({"type": "report", **report})

    def _on_waiting(self, service: str) -> None:
        """At once, and not with the next report: whoever waits does so until there is an endpoint."""
        self._channel.send_message({"type": "waiting", "service": service})

    def _on_exhausted(self, acceptor: Acceptor, error: int) -> None:
        if error:
            _log.error("worker %d cannot accept: %s; connections wait", self._number, os.strerror(error))
        else:
            _log.warning("worker %d accepts again", self._number)

    def _on_orphaned(self) -> None:
        """The supervisor is gone: nobody would ever tell what changes. End as gently as it would have asked."""
        _log.error("worker %d has lost its supervisor and ends", self._number)
        self._drain(self._limit_s or 5.0)

    def _drain(self, limit_s: float) -> None:
        self._limit_s = limit_s
        if not self._is_draining:
            self._is_draining = True
            self._plane.drain(self.stopped.set)
            self._loop.call_later(limit_s, self.stopped.set)


async def serve(fd: int, number: int) -> None:
    """Serve until the supervisor says that it is over, or is gone."""
    loop = asyncio.get_running_loop()
    worker = Worker(loop, Channel(loop, socket.socket(fileno=fd)), number)
    worker.open()
    # What exists now lives as long as the process; what comes is freed by its reference count. The collector is left
    # to look for cycles in a user's policy, seldom enough not to be seen in a latency.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
    await worker.stopped.wait()
    worker.close()


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the supervisor has them and says over the channel what follows
    configure_logging()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), int(sys.argv[2])))


if __name__ == "__main__":
    main()
