"""Free memory goes back to the kernel although blocks in use lie between it."""

import re
from pathlib import Path

from fairlead.engine.memory import give_back

MB = 1 << 20


def resident_kb() -> int:
    return int(re.findall(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())[0])


def test_what_was_freed_between_blocks_in_use_is_given_back() -> None:
    """As after an attack: the buffers of a thousand stalled clients, and something that lives on after each."""
    buffers, kept = [], []
    for number in range(1000):
        buffers.append(bytes([number % 256]) * 65_536)
        kept.append(bytes([number % 256]) * 2048)
    full_kb = resident_kb()
    buffers.clear()
    assert give_back(32 * MB)
    assert full_kb - resident_kb() > 50_000
    assert len(kept) == 1000


def test_little_is_left_where_it_is() -> None:
    assert not give_back(1 << 40)
