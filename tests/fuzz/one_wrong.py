"""Every seed with one byte wrong: left out, replaced, or put before it, at each place and by each byte that matters.

What a fuzzer needs luck for: that one byte in one place is taken for another. Runs the target compiled.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from fuzz.targets import TARGETS_BY_NAME, corpus, seeds

BYTES = b'\0\t\n\v\f\r !"#%+,-/019:;<=?@A\\_afgxz~\x7f\x80\xa0\xff'


def with_one_wrong(data: bytes) -> Iterator[bytes]:
    for i in range(len(data)):
        yield data[:i] + data[i + 1 :]
        for byte in BYTES:
            wrong = bytes((byte,))
            yield data[:i] + wrong + data[i:]
            yield data[:i] + wrong + data[i + 1 :]


def run(name: str, seconds: float) -> tuple[int, int, bytes | None]:
    """How many inputs of how many seeds were tried in that time, and the first that is a finding."""
    target = TARGETS_BY_NAME[name]
    runs = 0
    end = monotonic() + seconds
    files = sorted([*seeds(name), *(path.read_bytes() for path in corpus(name))], key=len)
    for number, data in enumerate(files):
        for wrong in with_one_wrong(data):
            runs += 1
            try:
                target(wrong)
            except Exception:
                return runs, number, wrong
        if monotonic() > end:
            return runs, number + 1, None
    return runs, len(files), None
