"""The fuzz target of whole exchanges: a client's bytes through a real plane to an endpoint, and the endpoint's back.

Invariants: those of `Passages`, and that how the bytes are cut changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

from dataplane.passages import Answer, Passages
from fuzz.bodies import pieces_of

SEPARATOR = b"\n=====\n"  # between the client's bytes and those that the endpoint answers its requests with, in order
CLOSE = b"<close>"  # at the end of an answer: and then the connection ends
EARLY = b"<early>"  # at its beginning: it does not wait for the whole request
EARLY = b"<early>"  # at its beginning: it does not wait for the whole request
_PASSAGES: list[Passages] = []  # one for all inputs, and a new one after a finding


def exchange(data: bytes) -> None:
    if not _PASSAGES:
        _PASSAGES.append(Passages())
    try:
        _compare(_PASSAGES[0], *data.split(SEPARATOR))
    except BaseException:
        _PASSAGES.clear()
        raise


def _compare(passages: Passages, sent: bytes, *said: bytes) -> None:
    answers = [_answer(each) for each in said]
    whole = passages.play([sent], answers)
    in_pieces = passages.play(pieces_of(sent), answers)
    answers_in_pieces = [replace(answer, pieces=pieces_of(answer.pieces[0])) for answer in answers]
    cut = passages.play([sent], answers_in_pieces)
    if any(answer.switches or answer.is_early for answer in answers):
        return  # how much of the request comes before the answer is a matter of time
    assert in_pieces == whole
    # An endpoint that says more than it was asked is found out only by when it says it.
    assert len(whole.asked) > 1 or cut == whole


def _answer(said: bytes) -> Answer:
    is_early, then_close = said.startswith(EARLY), said.endswith(CLOSE)
    return Answer([said.removeprefix(EARLY).removesuffix(CLOSE)], then_close, is_early)
