"""Messages between two processes: whole and in order however they are cut, with their descriptors, or a closed end."""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Iterator

import pytest
from control.helpers import Readiness
from fairlead.control.channel import Channel, Message
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5)
MESSAGES = st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=6)


class End:
    """A channel that remembers what it was told."""

    def __init__(self, loop: Readiness, end: socket.socket, limit: int | None = None) -> None:
        self.channel = Channel(loop, end) if limit is None else Channel(loop, end, limit)
        self.messages: list[Message] = []
        self.fds: list[int] = []
        self.closes = 0
        self.drained = 0
        self.channel.on_message = self._take
        self.channel.on_close = self._closed
        self.channel.on_drained = self._drained
        self.channel.open()

    def _take(self, message: Message, fd: int) -> None:
        self.messages.append(message)
        self.fds.append(fd)

    def _closed(self) -> None:
        self.closes += 1

    def _drained(self) -> None:
        self.drained += 1

    def close(self) -> None:
        self.channel.close()
        for fd in self.fds:
            if fd >= 0:
                os.close(fd)
        self.fds.clear()


@pytest.fixture
def loop() -> Readiness:
    return Readiness()


@pytest.fixture
def pair(loop: Readiness) -> Iterator[tuple[End, End]]:
    ends = [End(loop, end) for end in socket.socketpair()]
    yield ends[0], ends[1]
    for end in ends:
        end.close()


@pytest.fixture
def raw(loop: Readiness) -> Iterator[tuple[socket.socket, End]]:
    """A bare socket, and the channel at its other end."""
    bare, end = socket.socketpair()
    channel = End(loop, end)
    with bare:
        yield bare, channel
    channel.close()


def framed(payload: bytes, fds: int = 0) -> bytes:
    return len(payload).to_bytes(4, "big") + bytes([fds]) + payload


def inode(fd: int) -> int:
    return os.fstat(fd).st_ino


@given(messages=MESSAGES, data=st.data())
def test_any_split_of_the_bytes_gives_the_same_messages(messages: list[Message], data: st.DataObject) -> None:
    stream = b"".join(framed(json.dumps(message).encode()) for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    loop = Readiness()
    bare, theirs = socket.socketpair()
    end = End(loop, theirs)
    with bare:
        for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            bare.sendall(stream[start:stop])
            loop.settle()
    assert end.messages == messages
    end.close()


@given(messages=MESSAGES)
def test_what_is_sent_arrives(messages: list[Message]) -> None:
    loop = Readiness()
    here, there = (End(loop, end) for end in socket.socketpair())
    for message in messages:
        here.channel.send_message(message)
    loop.settle()
    assert there.messages == messages
    here.close()
    there.close()


def test_descriptors_travel_with_their_message(loop: Readiness, pair: tuple[End, End]) -> None:
    here, there = pair
    pipes = [os.pipe() for _ in range(3)]
    inodes = [inode(read) for read, _ in pipes]
    here.channel.send_message({"n": 0})
    for n, (read, _) in enumerate(pipes, 1):
        here.channel.send_message({"n": n}, read)
        here.channel.send_message({"n": -n})
    for ends in pipes:
        for fd in ends:
            os.close(fd)  # what was sent is a duplicate
    loop.settle()
    assert [message["n"] for message in there.messages] == [0, 1, -1, 2, -2, 3, -3]
    assert [fd if fd < 0 else inode(fd) for fd in there.fds] == [
        -1, inodes[0], -1, inodes[1], -1, inodes[2], -1
    ]  # fmt: skip
    assert not any(os.get_inheritable(fd) for fd in there.fds if fd >= 0)


def test_descriptors_that_come_in_one_read_stay_in_order(loop: Readiness, raw: tuple[socket.socket, End]) -> None:
    bare, end = raw
    pipes = [os.pipe() for _ in range(2)]
    inodes = [inode(read) for read, _ in pipes]
    rights = array.array("i", [read for read, _ in pipes])
    stream = framed(b'{"n":1}', 1) + framed(b'{"n":2}') + framed(b'{"n":3}', 1)
    bare.sendmsg([stream], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    for ends in pipes:
        for fd in ends:
            os.close(fd)
    loop.settle()
    assert [message["n"] for message in end.messages] == [1, 2, 3]
    assert [fd if fd < 0 else inode(fd) for fd in end.fds] == [inodes[0], -1, inodes[1]]


def test_a_descriptor_waits_with_its_message(loop: Readiness, pair: tuple[End, End]) -> None:
    here, there = pair
    big = "x" * 3_000_000
    here.channel.send_message({"big": big})
    read, write = os.pipe()
    expected = inode(read)
    here.channel.send_message({"n": 1}, read)
    os.close(read)
    os.close(write)
    assert not here.channel.is_idle
    loop.settle()
    assert [message.get("big", "") == big for message in there.messages] == [True, False]
    assert [fd if fd < 0 else inode(fd) for fd in there.fds] == [-1, expected]


def test_an_end_that_does_not_read_holds_nobody_up(loop: Readiness, pair: tuple[End, End]) -> None:
    here, there = pair
    reader = loop.readers.pop(there.channel._socket.fileno())
    here.channel.send_message({"n": 1})
    assert here.channel.is_idle
    here.channel.send_message({"big": "x" * 3_000_000})
    here.channel.send_message({"n": 2})
    loop.settle()
    assert not here.channel.is_idle
    assert (here.drained, there.messages) == (0, [])
    loop.readers[there.channel._socket.fileno()] = reader
    loop.settle()
    assert here.channel.is_idle
    assert here.drained == 1
    assert [message.get("n") for message in there.messages] == [1, None, 2]
    assert not loop.writers


def test_what_waits_is_bounded(loop: Readiness) -> None:
    ours, theirs = socket.socketpair()
    end = End(loop, ours, limit=1_000_000)
    read, write = os.pipe()
    with theirs, pytest.raises(BufferError, match="wait for the other process"):
        for _ in range(1000):
            end.channel.send(b"x" * 10_000, read)
    end.close()
    os.close(read)
    os.close(write)


def test_room_comes_back_as_the_other_end_reads(loop: Readiness) -> None:
    ours, theirs = socket.socketpair()
    here, there = End(loop, ours, limit=1_000_000), End(loop, theirs)
    for _ in range(50):
        here.channel.send_message({"big": "x" * 900_000})
        loop.settle()
    assert len(there.messages) == 50
    here.close()
    there.close()


def test_a_message_larger_than_the_bound_closes_the_channel(loop: Readiness) -> None:
    ours, bare = socket.socketpair()
    end = End(loop, ours, limit=1000)
    bare.sendall((1001).to_bytes(4, "big") + b"\0")
    loop.settle()
    assert (end.messages, end.closes) == ([], 1)
    bare.close()


@pytest.mark.parametrize(
    "payload", [b"{", b"\xff\xff", b"[1]", b"null", b"", b"[" * 100_000, b'{"a":1}}'], ids=lambda value: repr(value[:9])
)
def test_garbage_closes_the_channel(loop: Readiness, raw: tuple[socket.socket, End], payload: bytes) -> None:
    bare, end = raw
    bare.sendall(framed(b'{"n":1}') + framed(payload) + framed(b'{"n":2}'))
    loop.settle()
    assert ([message["n"] for message in end.messages], end.closes) == ([1], 1)
    assert not loop.readers


def test_a_message_without_its_descriptor_closes_the_channel(loop: Readiness, raw: tuple[socket.socket, End]) -> None:
    bare, end = raw
    bare.sendall(framed(b"{}", 1))
    loop.settle()
    assert (end.messages, end.closes) == ([], 1)


def test_the_other_end_dies(loop: Readiness, pair: tuple[End, End]) -> None:
    here, there = pair
    there.channel.send_message({"last": "word"})
    there.channel.close()
    loop.settle()
    assert ([message["last"] for message in here.messages], here.closes) == (["word"], 1)
    here.channel.send_message({"to": "nobody"})
    here.channel.close()
    loop.settle()
    assert here.closes == 1


def test_the_other_end_dies_while_it_is_written_to(loop: Readiness) -> None:
    ours, bare = socket.socketpair()
    end = End(loop, ours, limit=4_000_000)
    read, write = os.pipe()
    end.channel.send(b"x" * 3_000_000)
    end.channel.send(b"{}", read)
    bare.close()
    while loop.writers:  # the writer finds out first
        loop.writers[ours.fileno()]()
    for _ in range(5):
        end.channel.send(b"x" * 3_000_000, read)  # neither an error nor kept
    loop.settle()
    assert (end.closes, end.drained) == (1, 0)
    os.close(read)
    os.close(write)


def test_the_last_words_of_a_dead_end_are_read_before_the_channel_is_closed(
    loop: Readiness, pair: tuple[End, End]
) -> None:
    here, there = pair
    for n in range(3):
        there.channel.send_message({"n": n, "much": "x" * 50_000})
    there.channel.close()
    here.channel.finish()
    assert [message["n"] for message in here.messages] == [0, 1, 2]
    assert here.closes == 0
    assert not loop.readers


def test_finish_does_not_wait_for_an_end_that_lives(loop: Readiness, pair: tuple[End, End]) -> None:
    here, there = pair
    there.channel.send_message({"n": 1})
    here.channel.finish()
    assert [message["n"] for message in here.messages] == [1]
    loop.settle()
    assert there.closes == 1


def test_a_channel_may_be_closed_by_what_it_tells(loop: Readiness, pair: tuple[End, End]) -> None:
    here, there = pair
    read, write = os.pipe()
    for _ in range(3):
        there.channel.send_message({}, read)
    os.close(read)
    os.close(write)
    heard = []

    def close(message: Message, fd: int) -> None:
        heard.append(message)
        os.close(fd)
        here.channel.close()

    here.channel.on_message = close
    loop.settle()
    assert (heard, here.closes, there.closes) == ([{}], 0, 1)


def test_descriptors_that_nobody_took_are_closed(loop: Readiness, raw: tuple[socket.socket, End]) -> None:
    bare, end = raw
    read, write = os.pipe()
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [read, write]))]
    bare.sendmsg([framed(b"{}", 1)[:-1]], rights)  # one descriptor too many, and a message that never ends
    os.close(read)
    os.close(write)
    loop.settle()
    end.channel.close()


def test_a_handler_that_fails_costs_its_own_message_only(
    loop: Readiness, pair: tuple[End, End], caplog: pytest.LogCaptureFixture
) -> None:
    here, there = pair
    heard = []

    def fail(message: Message, fd: int) -> None:
        heard.append(message["n"])
        if message["n"] == 1:
            raise RuntimeError("a bug")

    here.channel.on_message = fail
    for n in range(4):
        there.channel.send_message({"n": n})
    loop.settle()
    assert heard == [0, 1, 2, 3]
    assert here.closes == 0
    assert "a bug" in caplog.text
