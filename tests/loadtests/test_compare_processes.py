"""Processes that are started end, with all that they have started."""

import os
import sys
from pathlib import Path

import pytest

from loadtests.compare.processes import Child, free_ports, started, tree

# A grandchild in a session of its own, which no signal to the group reaches; then both wait for ever.
FAMILY = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""
SPIN = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\nimport signal; signal.pause()"
CORE = min(os.sched_getaffinity(0))


def wait_for_word(child: Child, log: Path) -> str:
    while not (text := log.read_text()).endswith("\n"):
        assert child.is_alive(), text
    return text.strip()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_whole_tree_ends_with_the_block(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started([sys.executable, "-c", FAMILY], CORE, log) as child:
        grandchild = int(wait_for_word(child, log))
        assert set(tree(child.pid)) == {child.pid, grandchild}
        assert os.sched_getaffinity(grandchild) == {CORE}
        assert child.pss_bytes() > child.pss_bytes(("Pss_Anon",)) > 1_000_000
    assert not child.is_alive()
    wait_until_gone(grandchild)


def wait_until_gone(pid: int) -> None:
    while is_running(pid):  # killed, and on its way out; the test's own limit bounds this
        os.sched_yield()


def test_the_tree_ends_when_the_block_raises(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(KeyboardInterrupt), started([sys.executable, "-c", FAMILY], CORE, log) as child:
        grandchild = int(wait_for_word(child, log))
        raise KeyboardInterrupt
    assert not child.is_alive()
    wait_until_gone(grandchild)


def test_processor_time_is_counted_in_nanoseconds(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started([sys.executable, "-c", SPIN], CORE, log) as child:
        wait_for_word(child, log)
        assert 190_000_000 < child.cpu_ns() < 2_000_000_000


def test_a_process_that_ends_by_itself_leaves_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started([sys.executable, "-c", "print('no such port')"], CORE, log) as child:
        while child.is_alive():
            os.sched_yield()
        assert child.last_words() == "no such port"


def test_ports_are_distinct_and_not_those_of_outgoing_connections() -> None:
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(10000 <= port < max(low, 11000) for port in ports)
