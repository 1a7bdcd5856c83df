"""Free memory goes back to the kernel although blocks in use lie between it."""

import os
import subprocess
import sys

import pytest
from fairlead.engine.memory import give_back

# As after an attack: the buffers of a thousand stalled clients, and something that lives on after each. In a process of
# its own: where others have left holes, what lives on would lie in those and the rest go back by itself.
ATTACKED = """
import re
from pathlib import Path
from fairlead.engine.memory import give_back

def resident_kb():
    return int(re.findall(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[0])

buffers, kept = [], []
for number in range(1000):
    buffers.append(bytes([number % 256]) * 65_536)
    kept.append(bytes([number % 256]) * 2048)
full_kb = resident_kb()
buffers.clear()
print(give_back(32 << 20), full_kb - resident_kb() > 50_000)
"""


@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer has an allocator of its own")
def test_what_was_freed_between_blocks_in_use_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", ATTACKED], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_little_is_left_where_it_is() -> None:
    assert not give_back(1 << 40)
