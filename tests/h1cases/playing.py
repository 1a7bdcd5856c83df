"""Plays the cases on a crank: cut in any way, and several at a time over the same connections to the endpoint.

A play is a generator that gives way wherever everybody is to come to rest, so that plays can be interleaved. What it
returns is all that the outside can see of what became of the case, but for what differs from one time to the next:
two outcomes that are equal are the same to every client and every endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType

from dataplane.crank import Crank, End
from dataplane.recorder import Asked, Recorder, with_serial
from h1cases.cases import Case
from wire.oracles import Disagreement, Read, replies_in, requests_in

_ASK = "/of-case/"
_VARYING = re.compile(rb"(?:X-Serial|Date|X-Request-Id): [^\r\n]+\r\n")


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a request case. `asked`: the requests that the endpoint got of it; `statuses`: its replies."""

    asked: tuple[Asked, ...]
    statuses: tuple[int, ...]
    is_closed: bool


@dataclass(frozen=True, slots=True)
class Got:
    """What became of a reply case. `told`: the messages that the client got; `cut_off`: the head and content of one
    that did not end; `status`: of the final one, 0 when there is none."""

    told: tuple[Read, ...]
    cut_off: tuple[bytes, bytes]
    status: int
    is_whole: bool
    surplus: int
    is_probe_answered: bool


Outcome = Sent | Got
Play = Generator[None, None, Outcome]


class Theatre:
    """A plane whose connections to the endpoint live on from case to case. Use as a context manager."""

    def __init__(self) -> None:
        self.crank = Crank()

    def __enter__(self) -> Theatre:
        self.crank.__enter__()
        self.recorder = Recorder(self.crank)
        self.recorder.answer = self._answer
        self._waiting: dict[int, End] = {}  # connections of the endpoint that wait for the reply of a case
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.crank.__exit__(kind, error, trace)

    def _answer(self, server: End, asked: Asked, serial: int) -> None:
        target = asked.target.decode("latin-1")
        if target.startswith(_ASK):
            self._waiting[int(target.removeprefix(_ASK))] = server
        else:
            with_serial(server, asked, serial)

    def play(self, *plays: Play) -> list[Outcome]:
        """Play them to their ends, a step of each in turn, and check what the endpoint saw in all."""
        first = len(self.recorder.asked)
        outcomes: dict[Play, Outcome] = {}
        going = list(plays)
        while going:
            for each in list(going):
                try:
                    next(each)
                except StopIteration as end:
                    outcomes[each] = end.value
                    going.remove(each)
                self.crank.turn()
        self._check([outcomes[each] for each in plays], len(self.recorder.asked) - first)
        return [outcomes[each] for each in plays]

    def _check(self, outcomes: Iterable[Outcome], asked: int) -> None:
        """Nobody's request was answered to nobody, and others read in what was forwarded what the endpoint read."""
        assert asked == sum(len(each.asked) if isinstance(each, Sent) else 2 for each in outcomes), "nobody asked that"
        for came, is_over in self.recorder.streams():
            if requests_in(_VARYING.sub(b"", came)).is_cut and not is_over:
                raise Disagreement(f"half a request is left in {came!r}")

    # The plays.

    def sending(self, case: Case, pieces: Sequence[bytes]) -> Play:
        """A client that sends the case in these pieces."""
        client = self.crank.client()
        for piece in pieces:
            client.send(piece)
            yield
        asked, statuses = self._attributed(client)
        outcome = Sent(asked, statuses, client.is_over)
        yield from self._leave(client)
        return outcome

    def _attributed(self, client: End) -> tuple[tuple[Asked, ...], tuple[int, ...]]:
        """The requests whose replies this client got, and the statuses of all its replies."""
        asked: list[Asked] = []
        statuses = []
        rest = client.came
        while rest:
            methods = (asked[-1].method if asked else b"GET",)
            head, _, rest = rest.partition(b"\r\n\r\n")
            statuses.append(int(head.split(b" ", 2)[1]))
            serial = re.search(rb"\r\nX-Serial: (\d+)", head)
            length = re.search(rb"\r\nContent-Length: (\d+)", head)
            if serial is not None:
                asked.append(self.recorder.asked[int(serial[1])])
                methods = (asked[-1].method,)
            if length is not None and methods != (b"HEAD",):
                rest = rest[int(length[1]) :]
        return tuple(asked), tuple(statuses)

    def _leave(self, client: End) -> Generator[None, None, None]:
        client.close()
        yield
        self.crank.clients.remove(client)

    def getting(self, case: Case, pieces: Sequence[bytes]) -> Play:
        """A client that asks for the case, which the endpoint sends in these pieces, and then for something else."""
        client = self.crank.client()
        client.send(f"{case.method} {_ASK}{case.number} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield
        server = self._waiting.pop(case.number)
        for piece in pieces:
            server.send(piece)
            yield
        if case.then_close:
            server.close()
            yield
        got = _got(case, client)
        probe = yield from self._probe(client, got.is_whole and not got.surplus and not client.is_over)
        return replace(got, is_probe_answered=probe)

    def _probe(self, client: End, is_kept: bool) -> Generator[None, None, bool]:
        """Another request, on the same connection while it is open, gets its own answer."""
        if not is_kept:
            yield from self._leave(client)
            client = self.crank.client()
        seen = len(client.came)
        serial = len(self.recorder.asked)
        client.send(b"GET /probe%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % id(client))
        yield
        answer = client.came[seen:]
        yield from self._leave(client)
        own = re.search(rb"\r\nX-Serial: (\d+)\r\n", answer)
        if own is None or not answer.endswith(b"\r\n\r\nok") or answer.count(b"HTTP/1.1 ") != 1:
            return False
        return int(own[1]) >= serial and self.recorder.asked[int(own[1])].target == b"/probe%d" % id(client)


def _got(case: Case, client: End) -> Got:
    came = _VARYING.sub(b"", client.came)
    stream = replies_in(came, (case.method.encode(),), client.is_over)
    finals = [each for each in stream.messages if each.line[0] >= b"200"]
    status = int(finals[0].line[0]) if finals else 0
    cut_off = (b"", b"")
    if stream.is_cut and not finals:
        rest = came
        for _ in stream.messages:  # 1xx replies, which have no content
            rest = rest.partition(b"\r\n\r\n")[2]
        head, _, content = rest.partition(b"\r\n\r\n")
        cut_off = (head, _content_so_far(content) if b"chunked" in head else content)
        status = int(head.split(b" ")[1])
    return Got(stream.messages, cut_off, status, bool(finals), len(finals) - 1 + stream.is_cut if finals else 0, False)


def _content_so_far(chunks: bytes) -> bytes:
    """Of a body that does not end."""
    content = b""
    while b"\r\n" in chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        content += chunks[: int(size, 16)]
        chunks = chunks[int(size, 16) + 2 :]
    return content


def in_steps(theatre: Theatre, case: Case, pieces: Sequence[bytes]) -> Play:
    return theatre.getting(case, pieces) if case.is_reply else theatre.sending(case, pieces)


# The verdict.


def is_smuggled(case: Case, outcome: Outcome) -> bool:
    """Something of the case was taken for a request or a reply that it must not be taken for."""
    if isinstance(outcome, Got):
        return not outcome.is_probe_answered
    hidden = [asked for asked in outcome.asked if b"smuggled" in asked.target or b"/evil" in asked.target]
    return bool(hidden) or len(outcome.asked) > case.most_by_rfc


def passes(case: Case, outcome: Outcome, expectation: str) -> bool:
    """Whether the case ends as this expectation says."""
    if is_smuggled(case, outcome):
        return False
    if isinstance(outcome, Sent):
        rejected = not outcome.asked and not any(200 <= status < 300 for status in outcome.statuses)
        clean = len(outcome.asked) <= max(1, case.most) or case.most_by_rfc > max(1, case.most)
        served = clean and bool(outcome.asked)
        exact = len(outcome.asked) == case.most
    else:
        final = next(iter(_statuses(case)), 0)
        refused = outcome.status == 0 or (outcome.status >= 500 and outcome.status != final)
        cut_off = outcome.status > 0 and not outcome.is_whole
        rejected = refused or (cut_off and (case.may_begin or expectation != "reject"))
        served = exact = outcome.is_whole and not outcome.surplus and outcome.status == final
    return {"reject": rejected, "accept": served and exact}.get(expectation, rejected or served)


def is_taken(case: Case, outcome: Outcome) -> bool:
    """Whether Fairlead took the case for good messages, all of them."""
    if isinstance(outcome, Sent):
        return 0 < case.most <= len(outcome.asked)
    return outcome.is_whole and outcome.status in _statuses(case)


def _statuses(case: Case) -> list[int]:
    """The final ones that the endpoint sends, good or bad."""
    found = [int(status) for status in re.findall(rb"HTTP/\d+\.\d+[ \t]+(\d{3})", case.data)]
    return [status for status in found if status >= 200]


# The ways to cut.


def at_every_byte(data: bytes) -> Iterable[list[bytes]]:
    """All ways to cut it in two."""
    return ([data[:i], data[i:]] for i in range(1, len(data)))


def in_pieces_of(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def byte_by_byte(data: bytes) -> list[bytes]:
    return in_pieces_of(data, 1)
