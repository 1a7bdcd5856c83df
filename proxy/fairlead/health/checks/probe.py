"""One check of one endpoint: a connection of its own, a question, and an outcome, told exactly once.

Owns the connection from its start to its end. Each kind says what is asked and what the answer means; here is what
they share: the deadline, and what becomes of a connection that fails. Invariant: a probe that has begun ends by its
deadline at the latest, and its descriptor is closed when the outcome is told.

Every check makes a connection of its own. That the endpoint still accepts is a part of what is asked, and the first
thing that an overloaded or a half-dead process fails at; a kept connection would say nothing of it, and would sit in
the endpoint's table for as long as we live. A whole check costs 80 (tcp) to 95 (http) microseconds of CPU.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final, Protocol, final

from fairlead.engine.address import Address
from fairlead.engine.reactor import Reactor, Stream, monotonic_us
from fairlead.health.checks.results import Outcome, Result

_OURS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.ENOSPC)
_STALLED_US: Final = 300_000  # a deadline that is seen so much later was seen by a process that did not run
_AGAIN_US: Final = 1

Told = Callable[[Outcome], None]


class Probe(Stream):
    """A kind overrides `ask`, `answer` and `ended`; each may call `conclude`."""

    def __init__(self, reactor: Reactor, timeout_s: float, told: Told) -> None:
        super().__init__(reactor)
        self.set_patient(True)  # a reset must not take the answer that came before it
        self._told: Told | None = told
        self._timeout_s = timeout_s
        self._begun_us = 0
        self._is_connected = False
        self._is_second_look = False

    def begin(self, address: Address) -> None:
        """Start. An outcome that is there at once is told from within this call."""
        self._begun_us = monotonic_us()
        try:
            error = self.connect(address)
        except OSError as failure:  # no room in the epoll set
            error = failure.errno or errno.ENOMEM
        if error:
            self._fail(error)
        else:
            self.arm(round(self._timeout_s * 1_000_000))

    def forget(self) -> None:
        """Nobody asks any more: end without an outcome."""
        self._told = None
        self.abort()

    def conclude(self, result: Result, detail: str = "") -> None:
        """The outcome; what comes later is not looked at any more."""
        told, self._told = self._told, None
        if told is None:
            return
        took_us = monotonic_us() - self._begun_us
        if result in (Result.PASSED, Result.WRONG_REPLY):
            self.close()
        else:
            self.abort()  # nothing that it might still say is wanted, and nothing of it stays in the kernel
        told(Outcome(result, detail, took_us))

    def ask(self) -> None:
        """The connection is there."""

    def answer(self, data: bytes) -> None:
        """Bytes have come."""

    def ended(self) -> None:
        """The endpoint sends no more, and has not said enough."""
        self.conclude(Result.CLOSED, "connection closed before the answer was complete")

    @final
    def on_connect(self) -> None:
        self._is_connected = True
        self.ask()

    @final
    def on_data(self, data: bytes) -> None:
        self.answer(data)

    @final
    def on_eof(self) -> None:
        self.ended()

    @final
    def on_close(self) -> None:
        self._fail(self.error)

    @final
    def on_deadline(self) -> None:
        late_us = monotonic_us() - self._begun_us - round(self._timeout_s * 1_000_000)
        if late_us < 0:  # the engine's clock stands still between its turns
            self.arm(-late_us)
        elif late_us > _STALLED_US and not self._is_second_look:
            # It was us who did not look: the answer may be in the kernel, and is read before the next deadline.
            self._is_second_look = True
            self.arm(_AGAIN_US)
        else:
            missing = "answer" if self._is_connected else "connection"
            self.conclude(Result.TIMEOUT, f"no {missing} within {self._timeout_s:g} s")

    def _fail(self, error: int) -> None:
        reason = os.strerror(error).lower() if error else "a fault of Fairlead's own"
        if error in _OURS or not error:
            self.conclude(Result.SKIPPED, reason)
        else:
            self.conclude(Result.CLOSED if self._is_connected else Result.CONNECT_FAILED, reason)


class Question(Protocol):
    """What is asked of every endpoint of a service, made once of its settings."""

    def probe(self, reactor: Reactor, address: str, told: Told) -> Probe:
        """A probe that asks it of the endpoint with this address."""
