"""A stream of bytes as lines, however it is cut: the API sends one JSON object in each. Pure; bounded."""

from __future__ import annotations

from typing import Final, final

MOST_BYTES: Final = 16 << 20  # etcd takes no object of more than 1.5 MiB; JSON may be several times as long


@final
class TooLong(Exception):
    """A line without an end."""


@final
class Lines:
    """Give it bytes, and it gives the lines that they complete."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def is_between(self) -> bool:
        """No line has begun that has not ended."""
        return not self._size

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that end in `data`, without those that are empty. Raises TooLong."""
        first, *rest = data.split(b"\n")
        self._parts.append(first)
        self._size += len(first)
        lines = []
        if rest:
            lines = [b"".join(self._parts), *rest[:-1]]
            self._parts = [rest[-1]]
            self._size = len(rest[-1])
        if self._size > self._most_bytes:
            raise TooLong(f"a line of more than {self._most_bytes} bytes")
        return [line for line in lines if line.strip()]
