"""The check of kind http: one request, and a whole reply with a status and, where asked for, a body as they should be.

The reply is read by the parser that the traffic goes through, as strictly: an endpoint whose replies Fairlead would
refuse does not pass. Of a body 64 KiB are read; one that is longer is not waited for.
"""

from __future__ import annotations

from typing import Final, final

from fairlead.engine.reactor import Reactor
from fairlead.health.checks.probe import Probe, Told
from fairlead.health.checks.results import Result
from fairlead.health.checks.settings import MOST_BYTES, CheckSettings
from fairlead.health.checks.texts import status_range, unescaped
from fairlead.wire.body import Body
from fairlead.wire.fields import HeadLimits
from fairlead.wire.http1 import ReplyHead, parse_reply

_LIMITS: Final = HeadLimits(max_head_bytes=MOST_BYTES, max_fields=200)  # as for the traffic's replies
_HEAD: Final = ReplyHead()  # valid until the next reply is parsed
_MOST_INTERIM: Final = 64  # 1xx replies


@final
class HttpQuestion:
    """See the module."""

    def __init__(self, settings: CheckSettings) -> None:
        self.timeout_s = settings.timeout_s
        self.is_head = settings.method == "HEAD"
        self.statuses = frozenset(status for text in settings.status for status in status_range(text))
        self.body = unescaped(settings.body)
        given = {name.lower() for name in settings.headers}
        fields = {"Connection": "close", **({} if "user-agent" in given else {"User-Agent": "fairlead-check"})}
        lines = [f"{name}: {value}\r\n" for name, value in {**fields, **settings.headers}.items()]
        self._host = settings.host
        self._start = f"{settings.method} {settings.path} HTTP/1.1\r\nHost: ".encode()
        self._rest = "".join(["\r\n", *lines, "\r\n"]).encode()

    def request(self, address: str) -> bytes:
        """The request as it is sent to the endpoint with this address."""
        host = self._host or ("localhost" if address.startswith("unix:") else address)
        return self._start + host.encode() + self._rest

    def probe(self, reactor: Reactor, address: str, told: Told) -> Probe:
        return _HttpProbe(reactor, self, address, told)


@final
class _HttpProbe(Probe):
    def __init__(self, reactor: Reactor, question: HttpQuestion, address: str, told: Told) -> None:
        super().__init__(reactor, question.timeout_s, told)
        self._question = question
        self._address = address
        self._head = b""  # of a reply, as far as it has come
        self._interim = 0
        self._body: Body | None = None  # from the end of the head on
        self._content = b""
        self._wrong = ""  # what is already known to be wrong

    def conclude(self, result: Result, detail: str = "") -> None:
        """A wrong status is the outcome whatever follows it. It is followed to its end all the same: an endpoint that
        is cut off within its reply would log a failure of its own at every check."""
        if self._wrong:
            super().conclude(Result.WRONG_REPLY, self._wrong)
        else:
            super().conclude(result, detail)

    def ask(self) -> None:
        self.write(self._question.request(self._address))

    def answer(self, data: bytes) -> None:
        if self._body is not None:
            self._take(self._body, data, 0)
        else:
            self._parse(self._head + data)

    def ended(self) -> None:
        body = self._body
        if body is None and self._head:
            self.conclude(Result.BAD_REPLY, "the connection was closed within the head of the reply")
        elif body is not None and body.end():
            self._judge_content()
        else:
            super().ended()

    def _parse(self, data: bytes) -> None:
        start = 0
        while True:
            end = parse_reply(data, start, _HEAD, self._question.is_head, _LIMITS)
            if end < 0:
                self.conclude(Result.BAD_REPLY, f"no good HTTP reply: {_HEAD.detail}")
                return
            if end == 0:
                self._head = data[start:]
                return
            if _HEAD.status >= 200 or _HEAD.status == 101:
                self._judge_head(data, end)
                return
            start = end
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                self.conclude(Result.BAD_REPLY, f"more than {_MOST_INTERIM} interim replies")
                return

    def _judge_head(self, data: bytes, end: int) -> None:
        if _HEAD.status not in self._question.statuses:
            self._wrong = f"status {_HEAD.status}"
        body = self._body = Body()
        body.begin(_HEAD.framing, _HEAD.content_length, False)
        self._take(body, data, end)

    def _take(self, body: Body, data: bytes, start: int) -> None:
        out: list[bytes] = []
        body.take(data, start, out)
        self._content += b"".join(out)
        if body.is_bad:
            self.conclude(Result.BAD_REPLY, f"no good HTTP reply: {body.detail}")
        elif body.is_done or len(self._content) >= MOST_BYTES:
            self._judge_content()

    def _judge_content(self) -> None:
        if self._question.body in self._content[:MOST_BYTES]:
            self.conclude(Result.PASSED)
        else:
            self.conclude(Result.WRONG_REPLY, "the body does not hold what is expected")
