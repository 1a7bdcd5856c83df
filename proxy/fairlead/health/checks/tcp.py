"""The check of kind tcp: a connection can be made; and, where it is asked for, what is sent is answered as expected.

A connection that is made says that the kernel of the endpoint has a listening socket with room in its queue. Whether
the process accepts is known only by an answer.
"""

from __future__ import annotations

from typing import final

from fairlead.engine.reactor import Reactor
from fairlead.health.checks.probe import Probe, Told
from fairlead.health.checks.results import Result
from fairlead.health.checks.settings import MOST_BYTES, CheckSettings
from fairlead.health.checks.texts import unescaped


@final
class TcpQuestion:
    """See the module."""

    def __init__(self, settings: CheckSettings) -> None:
        self.timeout_s = settings.timeout_s
        self.sent = unescaped(settings.send)
        self.expected = unescaped(settings.expect)

    def probe(self, reactor: Reactor, address: str, told: Told) -> Probe:
        return _TcpProbe(reactor, self, told)


@final
class _TcpProbe(Probe):
    def __init__(self, reactor: Reactor, question: TcpQuestion, told: Told) -> None:
        super().__init__(reactor, question.timeout_s, told)
        self._question = question
        self._seen = b""

    def ask(self) -> None:
        if self._question.sent:
            self.write(self._question.sent)
        if not self._question.expected:
            self.conclude(Result.PASSED)

    def answer(self, data: bytes) -> None:
        self._seen += data
        if self._question.expected in self._seen[:MOST_BYTES]:
            self.conclude(Result.PASSED)
        elif len(self._seen) >= MOST_BYTES:
            self._conclude_wrong()

    def ended(self) -> None:
        if self._seen:
            self._conclude_wrong()
        else:
            super().ended()

    def _conclude_wrong(self) -> None:
        self.conclude(Result.WRONG_REPLY, "the answer does not hold what is expected")
