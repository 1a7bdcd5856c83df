"""Fuzzes for a while: `python -m fuzz [TARGET ...] [--seconds N] [--keep]`, or replays what was found.

Owns the processes that do it, one target after the other, and what they leave in build/fuzz/TARGET. Exit status 1 when
anything was found. `--keep` adds to the corpus the few inputs that reach what no other does.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_PULSE = re.compile(r"#(\d+)\s.*?cov: (\d+).*?corp: (\d+).*?exec/s: (\d+)")
_SILENCE_S = 10  # between two lines of progress
_LONGEST = {
    "host": 80,
    "target": 200,
    "forwarded": 200,
    "body": 200,
    "request": 400,
    "reply": 400,
    "exchange": 800,
}  # bytes
_WORDS = (
    r"\x0d\x0a", r"\x0d\x0a\x0d\x0a", "GET / HTTP/1.1", "HTTP/1.0", "HTTP/1.1 200 OK", "HTTP/1.1 101 S", "HEAD",
    "OPTIONS *", "Host: a", "Content-Length: ", "Transfer-Encoding: chunked", "Connection: ", "close", "keep-alive",
    "Upgrade: x", "upgrade", "TE: trailers", "Expect: 100-continue", "X-Forwarded-For: ", "x_forwarded_for: ",
    "Max-Forwards: 1", r"0\x0d\x0a\x0d\x0a", r"1\x0d\x0ax\x0d\x0a", ";a=b", r"=\"\"", "http://", "https://",
    "[::1]", ":80", "@", "%41", r"\x0a=====\x0a", "<close>", r"\x0a=====\x0a<early>", r"HTTP/1.1 100 C\x0d\x0a\x0d\x0a",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("target", nargs="*", help="those to run; all of them by default")
    parser.add_argument(
        "--seconds",
        type=int,
        default=60,
        help="for each target, and again for one byte wrong (default: 60)",
    )
    parser.add_argument("--keep", action="store_true", help="add to tests/fuzz/corpus what reaches something new")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one target once, with what this file holds")
    chosen = parser.parse_args()
    from fuzz.targets import TARGETS_BY_NAME  # late, so that --help needs nothing built

    if unknown := set(chosen.target) - TARGETS_BY_NAME.keys():
        parser.error(f"no such target: {', '.join(unknown)}; there are {', '.join(TARGETS_BY_NAME)}")
    if chosen.replay:
        name = chosen.target[0] if chosen.target else chosen.replay.resolve().parent.name
        TARGETS_BY_NAME[name](chosen.replay.read_bytes())
        print(f"{name}: no finding")
        return 0
    clean = [_run(name, chosen.seconds, chosen.keep) for name in chosen.target or TARGETS_BY_NAME]
    return 0 if all(clean) else 1


def _run(name: str, seconds: int, keep: bool) -> bool:
    """Fuzz one target; whether nothing was found."""
    from fuzz.targets import corpus, seeds

    work = ROOT / "build" / "fuzz" / name
    for folder in ("new", "seeds"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    for number, data in enumerate([*seeds(name), *(path.read_bytes() for path in corpus(name))]):
        (work / "seeds" / f"{number:04}").write_bytes(data)
    words = work / "words"
    words.write_text("".join(f'"{word}"\n' for word in _WORDS))
    command = [sys.executable, "-m", "fuzz.guided", name, f"-max_total_time={seconds}", f"-dict={words}", "-timeout=20",
              "-use_value_profile=1",
               f"-max_len={_LONGEST[name]}", f"-artifact_prefix={work}/", "-print_final_stats=1",
               str(work / "new"), str(work / "seeds")]  # fmt: skip
    print(f"== {name}, {seconds} s")
    found = _one_wrong(name, seconds, work) or _watched(command)
    if found is not None:
        print(f"FOUND by {name}; see {work}/log\nagain: make fuzz ARGS='{name} --replay {found}'")
    if keep:
        subprocess.run([sys.executable, "-m", "fuzz.keeping", name, str(work / "new")], check=True)
    return found is None


def _one_wrong(name: str, seconds: float, work: Path) -> str | None:
    from fuzz.one_wrong import run

    runs, tried, found = run(name, seconds)
    print(f"{runs:>10} runs: one byte wrong in each place of {tried} seeds", flush=True)
    if found is None:
        return None
    (work / "one-wrong").write_bytes(found)
    return str(work / "one-wrong")


def _watched(command: list[str]) -> str | None:
    """Run it and tell how it goes; the file of what it has found."""
    log = Path(command[-1]).parent / "log"
    found = None
    told = time.monotonic()
    pulse = None
    with log.open("w") as text, subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as run:
        assert run.stderr is not None
        for line in run.stderr:
            text.write(line)
            pulse = _PULSE.match(line) or pulse
            if artifact := re.search(r"Test unit written to (\S+)", line):
                found = artifact[1]
            if pulse and time.monotonic() - told > _SILENCE_S:
                told = time.monotonic()
                _tell(pulse)
    if pulse:
        _tell(pulse)
    if run.returncode and found is None:
        raise SystemExit(f"fuzz: {command[3]} ended with {run.returncode}; see {log}")
    return found


def _tell(pulse: re.Match[str]) -> None:
    runs, edges, inputs, speed = pulse.groups()
    print(f"{runs:>10} runs, {edges:>5} edges, {inputs:>5} inputs, {speed:>6} runs/s", flush=True)


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
