"""Policies from a user's file: how they are loaded, and that no mistake in one breaks traffic."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from fairlead.balance.from_file import Guarded
from modes import BOTH, COMPILED, Mode

from balance.picking import chi_square, endpoints

if TYPE_CHECKING:
    from fairlead.balance import Candidate, Picker

both = pytest.mark.parametrize("mode", BOTH)

FIRST = """
    class Mine:
        def __init__(self, endpoints, previous):
            self.endpoints, self.previous = endpoints, previous

        def pick(self, key, tried):
            return self.endpoints[0]
"""


def write(directory: Path, text: str, name: str = "mine.py") -> Path:
    file = directory / name
    file.write_text(dedent(text))
    return file


def picker_of(
    mode: Mode, directory: Path, text: str, given: list[Candidate], previous: Picker | None = None
) -> Guarded:
    write(directory, text)
    picker = mode["balance"].load("mine.py:Mine", directory)(given, previous)
    assert isinstance(picker, mode["balance.from_file"].Guarded)
    return picker  # type: ignore[no-any-return]  # a Guarded of this mode


def picking(body: str) -> str:
    """A class whose pick is this expression."""
    return f"""
    from fairlead.balance import Candidate, Picker

    class Mine(Picker):
        def __init__(self, endpoints, previous):
            self.endpoints = endpoints

        def pick(self, key, tried):
            return {body}
    """


# Loading.


@both
def test_a_class_is_loaded_relative_to_the_directory(mode: Mode, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", FIRST)
    given = endpoints(mode, 1, 1)
    for spec in ("./sub/mine.py:Mine", "sub/mine.py:Mine", f"{tmp_path}/sub/mine.py:Mine"):
        picker = mode["balance"].load(spec, tmp_path)(given, None)
        assert picker.pick(0, None) is given[0]
        assert picker.fault == ""


def test_a_path_is_relative_to_where_the_process_is_without_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, FIRST)
    monkeypatch.chdir(tmp_path)
    (only,) = endpoints(COMPILED, 1)
    assert COMPILED["balance"].load("mine.py:Mine")([only], None).pick(0, None) is only


@both
@pytest.mark.parametrize(
    ("spec", "text", "said"),
    [
        (
            "rnd-robin",
            "",
            "is no policy: use round-robin, random, weighted, least-request, peak-ewma, hash, or FILE.py:CLASS",
        ),
        ("mine.py", "", "'mine.py' is no policy"),
        ("mine.py:", "", "'mine.py:' is no policy"),
        ("mine.txt:Mine", "", "'mine.txt:Mine' is no policy"),
        ("gone.py:Mine", "", "there is no file {dir}/gone.py"),
        ("dir.py:Mine", "", "{dir}/dir.py cannot be read: Is a directory"),
        ("mine.py:Mine", "class Mine: pass", "'Mine' in {dir}/mine.py has no method pick(self, key, tried)"),
        ("mine.py:Other", FIRST, "{dir}/mine.py has no 'Other'"),
        ("mine.py:Mine", "Mine = 5", "'Mine' in {dir}/mine.py is no class"),
        ("mine.py:Mine", "def Mine(endpoints, previous): pass", "'Mine' in {dir}/mine.py is no class"),
        ("mine.py:Mine", "class Mine:\n  def pick(self, key): pass", "must be pick(self, key, tried)"),
        ("mine.py:Mine", "class Mine:\n  def pick(self, key, tried): pass", "built from two arguments"),
        ("mine.py:Mine", "a = 1\nclass Mine\n", "{dir}/mine.py cannot be loaded: SyntaxError: expected ':' (line 2)"),
        (
            "mine.py:Mine",
            "\n\n1 / 0",
            "cannot be loaded: ZeroDivisionError: division by zero (mine.py:3)",
        ),
        ("mine.py:Mine", "import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("mine.py:Mine", "raise SystemExit(3)", "{dir}/mine.py cannot be loaded: SystemExit: 3 (mine.py:1)"),
        ("mine.py:Mine", "\xff", "SyntaxError"),
    ],
)
def test_what_cannot_be_loaded_is_said(mode: Mode, tmp_path: Path, spec: str, text: str, said: str) -> None:
    (tmp_path / "dir.py").mkdir()
    (tmp_path / "mine.py").write_text(dedent(text), encoding="latin-1")
    before = set(sys.modules)
    for attempt in (mode["balance"].load, mode["balance"].pinned):
        with pytest.raises(ValueError) as raised:
            attempt(spec, tmp_path)
        assert said.format(dir=tmp_path) in str(raised.value)
    left = {name for name in set(sys.modules) - before if "mine" in name}
    assert not left or "cannot be loaded" not in said


def test_the_seam_itself_is_no_policy(tmp_path: Path) -> None:
    write(tmp_path, "from fairlead.balance import Picker as Mine")
    with pytest.raises(ValueError, match="has no method pick"):
        COMPILED["balance"].load("mine.py:Mine", tmp_path)


@both
def test_names_stand_for_themselves(mode: Mode) -> None:
    for name, policy in mode["balance"].POLICIES.items():
        assert mode["balance"].load(name) is policy
        assert mode["balance"].pinned(name) == name


@both
def test_a_changed_file_is_loaded_anew(mode: Mode, tmp_path: Path) -> None:
    """Also when it has changed within one second and to the same size, which Python's own import does not see."""
    given = endpoints(mode, 1, 1)
    file = write(tmp_path, FIRST)
    assert mode["balance"].load("mine.py:Mine", tmp_path)(given, None).pick(0, None) is given[0]
    stat = file.stat()
    write(tmp_path, FIRST.replace("[0]", "[1]"))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert mode["balance"].load("mine.py:Mine", tmp_path)(given, None).pick(0, None) is given[1]
    assert not (tmp_path / "__pycache__").exists()


@both
def test_an_unchanged_file_is_not_run_again(mode: Mode, tmp_path: Path) -> None:
    write(tmp_path, FIRST + "\n    with open(__file__ + '.runs', 'a') as runs:\n        runs.write('x')\n")
    for _ in range(3):
        mode["balance"].load("mine.py:Mine", tmp_path)
        os.utime(tmp_path / "mine.py")
    assert (tmp_path / "mine.py.runs").read_text() == "x"


@both
def test_two_files_of_one_name_are_two(mode: Mode, tmp_path: Path) -> None:
    given = endpoints(mode, 1, 1)
    chosen = []
    for place in (0, 1):
        directory = tmp_path / str(place)
        directory.mkdir()
        write(directory, FIRST.replace("[0]", f"[{place}]"))
    policies = [mode["balance"].load("mine.py:Mine", tmp_path / str(place)) for place in (0, 1)]
    chosen = [policy(given, None).pick(0, None) for policy in policies]
    assert chosen == given


@both
def test_a_pinned_policy_stands_for_what_the_file_was(mode: Mode, tmp_path: Path) -> None:
    """The endpoints of a service may change while its file is being edited."""
    load, pinned = mode["balance"].load, mode["balance"].pinned
    given = endpoints(mode, 1, 1)
    write(tmp_path, FIRST)
    pin = pinned("./mine.py:Mine", tmp_path)
    assert pin.startswith(f"{tmp_path}/mine.py:Mine@")
    assert pinned(pin, Path("/elsewhere")) == pin
    write(tmp_path, "class Mine half written")
    assert load(pin)(given, None).pick(0, None) is given[0]
    with pytest.raises(ValueError, match="SyntaxError"):
        pinned("./mine.py:Mine", tmp_path)
    assert load(pin)(given, None).pick(0, None) is given[0]
    write(tmp_path, FIRST.replace("[0]", "[1]"))
    changed = pinned("./mine.py:Mine", tmp_path)
    assert changed != pin
    assert load(changed)(given, None).pick(0, None) is given[1]


@both
def test_a_pinned_path_goes_through_links(mode: Mode, tmp_path: Path) -> None:
    (tmp_path / "dated").mkdir()
    write(tmp_path / "dated", FIRST)
    (tmp_path / "mine.py").symlink_to("dated/mine.py")
    assert mode["balance"].pinned("x/../mine.py:Mine", tmp_path).startswith(f"{tmp_path}/mine.py:Mine@")


# Traffic.


@both
@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("1 / 0", "pick raised ZeroDivisionError: division by zero (mine.py:9)"),
        ("None", "pick gave None although there are endpoints left"),
        ("'e0'", "pick gave a str that is none of the endpoints"),
        ("0", "pick gave a int that is none of the endpoints"),
        ("[]", "pick gave a list that is none of the endpoints"),
        ("self", "pick gave a Mine that is none of the endpoints"),
        ("Candidate('e0', 1)", "pick gave a Candidate that is none of the endpoints"),
        ("self.pick(key, tried)", "pick raised RecursionError: maximum recursion depth exceeded"),
    ],
)
def test_a_pick_that_fails_is_replaced_by_a_random_one(mode: Mode, tmp_path: Path, expression: str, fault: str) -> None:
    given = endpoints(mode, 1, 1, 1, 1)
    picker = picker_of(mode, tmp_path, picking(expression), given)
    assert picker.fault == ""
    counts: Counter[str] = Counter()
    for _ in range(400):
        chosen = picker.pick(0, None)
        assert chosen in given
        counts[chosen.address] += 1
    assert picker.fault.startswith(fault)
    assert chi_square(counts, given, by_weight=False) < 30
    for tried in ([given[0]], given[:3]):
        assert picker.pick(0, tried) in set(given) - set(tried)
    assert picker.pick(0, given) is None


@both
def test_an_endpoint_that_was_tried_is_replaced(mode: Mode, tmp_path: Path) -> None:
    given = endpoints(mode, 1, 1, 1)
    picker = picker_of(mode, tmp_path, picking("self.endpoints[0]"), given)
    assert picker.pick(0, None) is given[0]
    assert picker.fault == ""
    assert {picker.pick(0, [given[0]]) for _ in range(50)} == set(given[1:])
    assert picker.fault == "pick gave an endpoint that was tried already"
    assert picker.pick(0, given) is None


@both
def test_none_is_right_when_all_were_tried(mode: Mode, tmp_path: Path) -> None:
    given = endpoints(mode, 1, 1)
    picker = picker_of(mode, tmp_path, picking("None if tried else self.endpoints[1]"), given)
    assert picker.pick(0, None) is given[1]
    assert picker.pick(0, given) is None
    assert picker.fault == ""


@both
def test_a_picker_that_cannot_be_built_is_replaced(mode: Mode, tmp_path: Path) -> None:
    given = endpoints(mode, 1, 1)
    text = FIRST.replace("self.endpoints, self.previous = endpoints, previous", "raise KeyError('no such zone')")
    picker = picker_of(mode, tmp_path, text, given)
    assert picker.fault == "building it raised KeyError: 'no such zone' (mine.py:4)"
    assert {picker.pick(0, None) for _ in range(50)} == set(given)
    assert picker.pick(0, given) is None


@both
def test_the_first_fault_is_kept_until_the_next_picker(mode: Mode, tmp_path: Path) -> None:
    given = endpoints(mode, 1, 1)
    text = picking("self.endpoints[0] if key == 0 else 1 / 0 if key == 1 else None")
    picker = picker_of(mode, tmp_path, text, given)
    for key in (0, 1, 2, 0):
        picker.pick(key, None)
    assert "ZeroDivisionError" in picker.fault
    assert picker_of(mode, tmp_path, text, given, picker).fault == ""


@both
def test_a_policy_cannot_spoil_what_it_is_given(mode: Mode, tmp_path: Path) -> None:
    given = endpoints(mode, 1, 1, 1)
    text = """
    class Mine:
        def __init__(self, endpoints, previous):
            self.first = endpoints[0]
            endpoints.clear()

        def pick(self, key, tried):
            if tried:
                tried.clear()
            return self.first
    """
    picker = picker_of(mode, tmp_path, text, given)
    tried = [given[1]]
    assert picker.pick(0, tried) in (given[0], given[2])
    assert (len(given), tried) == (3, [given[1]])
    assert "AttributeError" in picker.fault


@both
def test_an_endpoint_with_strange_ways_is_compared_by_identity(mode: Mode, tmp_path: Path) -> None:
    text = """
    class Everything:
        def __eq__(self, other):
            return True

        def __hash__(self):
            raise RuntimeError

    class Mine:
        def __init__(self, endpoints, previous):
            pass

        def pick(self, key, tried):
            return Everything()
    """
    given = endpoints(mode, 1)
    picker = picker_of(mode, tmp_path, text, given)
    assert picker.pick(0, None) is given[0]
    assert picker.fault == "pick gave a Everything that is none of the endpoints"


@both
def test_the_previous_picker_is_the_users_own(mode: Mode, tmp_path: Path) -> None:
    given = endpoints(mode, 1, 1)
    first = picker_of(mode, tmp_path, FIRST, given)
    second = picker_of(mode, tmp_path, FIRST, given, first)
    other = mode["balance"].POLICIES["random"](given, None)
    assert vars(second.inner)["previous"] is first.inner
    assert vars(picker_of(mode, tmp_path, FIRST, given, other).inner)["previous"] is None
