"""What passes through a plane, judged: a client's bytes on their way to an endpoint, and the endpoint's back.

Owns a plane that serves one passage after the other, and the comparison of what came out with what others read in it.
Invariants that `Passages.play` checks: what is forwarded is read the same by h11 and llhttp, as many requests as the
endpoint read, each with the same method, target and content, and nothing left over; so are the replies; afterwards
nothing is left in the plane.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

from dataplane.crank import Crank, End
from dataplane.recorder import Asked, Recorder, with_serial
from wire.oracles import replies_in, requests_in

_GONE = 499  # a client's that left before its reply


@dataclass(frozen=True, slots=True)
class Answer:
    """What the endpoint says to a request, in these pieces. `then_close`: and then it ends the connection; `is_early`:
    it does not wait for the whole request."""

    pieces: Sequence[bytes]
    then_close: bool = False
    is_early: bool = False

    @property
    def switches(self) -> bool:
        """Whether it may make the connection a tunnel, in which there is no HTTP."""
        return b" 101" in b"".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the outside saw. `replies`: first line and content of each; `is_cut`: the last one did not end."""

    asked: tuple[Asked, ...]
    replies: tuple[tuple[tuple[bytes, ...], bytes], ...]
    is_cut: bool


class Passages:
    """Use as a context manager, or for good."""

    def __init__(self) -> None:
        self.crank = Crank()
        self.crank.__enter__()
        self._recorder = Recorder(self.crank)
        self._recorder.answer = self._answer
        self._recorder.begun = self._answer_early
        self._waiting: deque[tuple[End, Answer]] = deque()
        self._answers: deque[Answer] = deque()
        self._early: End | None = None  # a connection whose request was answered before it was whole

    def __enter__(self) -> Passages:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.crank.__exit__(kind, error, trace)

    def _answer(self, server: End, asked: Asked, serial: int) -> None:
        if self._early is server:
            self._early = None  # it has its answer
        elif self._answers:
            self._waiting.append((server, self._answers.popleft()))
        else:
            with_serial(server, asked, serial)

    def _answer_early(self, server: End) -> None:
        if self._early is not server and self._answers and self._answers[0].is_early:
            self._early = server
            self._waiting.append((server, self._answers.popleft()))

    def play(self, pieces: Sequence[bytes], answers: Sequence[Answer] = ()) -> Seen:
        """A client sends these pieces; requests get these answers in their order, those beyond them the usual one."""
        self._answers = deque(answers)
        self._switches = any(answer.switches for answer in answers)
        self._early = None
        self._recorder.asked = []
        self.crank.records.clear()
        with self.crank.visit() as client:
            for piece in pieces:
                client.send(piece)
                self._settle()
            seen = self._judge(client)
        self._leave_nothing()
        return seen

    def _leave_nothing(self) -> None:
        """The endpoint ends its connections, also those for requests that waited for the end of others."""
        self._answers.clear()
        self._waiting.clear()
        while self.crank.servers:
            for server in self.crank.servers:
                server.close()
            self.crank.turn()
            self._recorder.streams()
        assert self.crank.failures == []
        self.crank.check_empty()

    def _settle(self) -> None:
        self.crank.turn()
        while self._waiting:
            server, answer = self._waiting.popleft()
            for piece in answer.pieces:
                server.send(piece)
                self.crank.turn()
            if answer.then_close:
                server.close()
                self.crank.turn()

    def _judge(self, client: End) -> Seen:
        asked = tuple(self._recorder.asked)
        if not self._switches:
            self._judge_requests(asked)
        # In the order of the replies, as one follows the other; what was refused unread has no method.
        records = [record for record in self.crank.records if record[7] != _GONE]
        stream = replies_in(client.came, tuple(record[4] or b"GET" for record in records), client.is_over)
        finals = [message for message in stream.messages if message.line[0] >= b"200" or message.line[0] == b"101"]
        statuses = [b"%d" % record[7] for record in records]
        assert [message.line[0] for message in finals] == statuses[: len(finals)]
        assert len(records) - len(finals) <= stream.is_cut
        told = [(message.line, message.content) for message in stream.messages]
        # Over a Unix socket a reset looks like an end, and to a client of HTTP/1.0 an end completes a reply.
        if records and records[-1][14] and len(finals) == len(records) and not finals[-1].framing:
            return Seen(asked, tuple(told[:-1]), True)
        return Seen(asked, tuple(told), stream.is_cut)

    def _judge_requests(self, asked: tuple[Asked, ...]) -> None:
        """Others find the same requests in what was forwarded, and each has an id that none of the others has."""
        read = []
        ids: list[bytes] = []
        for came, _ in self._recorder.streams():
            for message in requests_in(came).messages:
                read.append((*message.line, message.content))
                ids += message.all(b"x-request-id")
        assert sorted(read) == sorted((each.method, each.target, each.content) for each in asked)
        assert len(set(ids)) == len(ids) >= bool(asked)
        assert len(ids) <= len(asked)
