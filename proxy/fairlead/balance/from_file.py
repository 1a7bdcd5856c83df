"""Policies from a user's own Python file, and what keeps a mistake in one of them from breaking traffic.

Owns the modules that were loaded: a file is run again when its content has changed, never because somebody touched it.
Invariant: a picker from a file gives an endpoint that may serve whenever there is one, whatever the file does.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
import traceback
from collections.abc import Collection, Sequence
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol, cast

from fairlead.balance.random_choice import RandomChoice
from fairlead.balance.seam import Candidate, Picker, Policy

_modules: Final[dict[Path, tuple[str, ModuleType]]] = {}  # with the digest of what was run


class _Pick(Protocol):
    def pick(self, key: int, tried: Collection[Candidate] | None) -> object: ...


class _Build(Protocol):
    def __call__(self, endpoints: Sequence[Candidate], previous: object) -> _Pick: ...


def load_file(spec: str, base_dir: Path) -> Policy:
    """The class that `spec` names: "FILE.py:CLASS", with "@DIGEST" behind it when it was pinned.

    A pinned class that is loaded already is not looked for in the file again. Raises ValueError.
    """
    path, name, digest = _split(spec)
    file = _whole(base_dir / path)
    known = _modules.get(file)
    module = known[1] if known is not None and known[0] == digest else _run(file)[1]
    build = _class_in(module, file, name)

    def policy(endpoints: Sequence[Candidate], previous: Picker | None) -> Picker:
        return Guarded(build, endpoints, previous)

    return policy


def pin(spec: str, base_dir: Path) -> str:
    """`spec` with its whole path and a digest of the content, once it has been loaded. Raises ValueError."""
    path, name, _ = _split(spec)
    file = _whole(base_dir / path)
    digest, module = _run(file)
    _class_in(module, file, name)
    return f"{file}:{name}@{digest}"


def _whole(path: Path) -> Path:
    """The absolute path. Links stay: behind those of a mounted ConfigMap the directory changes with its content."""
    return Path(os.path.abspath(path))


def _split(spec: str) -> tuple[str, str, str]:
    path, _, name = spec.rpartition(":")
    name, _, digest = name.partition("@")
    return path, name, digest


def _run(file: Path) -> tuple[str, ModuleType]:
    """Run a file unless its content was run before. Python's own import would go by the second it was changed in."""
    try:
        source = file.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"there is no file {file}") from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(source).hexdigest()[:12]
    known = _modules.get(file)
    if known is None or known[0] != digest:
        known = _modules[file] = (digest, _module(file, source, digest))
    return known


def _module(file: Path, source: bytes, digest: str) -> ModuleType:
    module = ModuleType(f"fairlead_policy_{file.stem}_{digest}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # where dataclasses and pickle look for it
    try:
        exec(compile(source, str(file), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise ValueError(f"{file} cannot be loaded: {_said(error)}") from error
    return module


def _class_in(module: ModuleType, file: Path, name: str) -> _Build:
    found: object = getattr(module, name, None)
    if found is None:
        raise ValueError(f"{file} has no {name!r}")
    if not isinstance(found, type):
        raise ValueError(f"{name!r} in {file} is no class")
    pick = getattr(found, "pick", None)
    if not callable(pick) or pick is getattr(Picker, "pick", None):
        raise ValueError(f"{name!r} in {file} has no method pick(self, key, tried)")
    if not _takes(pick, 3):
        raise ValueError(f"pick in {name!r} in {file} must be pick(self, key, tried)")
    if not _takes(found, 2):
        raise ValueError(f"{name!r} in {file} must be built from two arguments: (endpoints, previous)")
    return cast(_Build, found)


def _takes(function: object, count: int) -> bool:
    """Whether it can be called with so many arguments, as far as can be known."""
    assert callable(function)
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        return True  # compiled, without a signature
    return True


class Guarded(Picker):
    """A picker of a user's class. Where it raises, or gives what it must not, an endpoint is taken at random instead.

    `fault` says what it did first; "" while it has done nothing wrong.
    """

    def __init__(self, build: _Build, endpoints: Sequence[Candidate], previous: Picker | None) -> None:
        self.fault = ""
        self.inner: _Pick | None = None
        self._ids = {id(endpoint) for endpoint in endpoints}
        self._any = RandomChoice(endpoints)
        try:
            self.inner = build(list(endpoints), previous.inner if isinstance(previous, Guarded) else None)
        except Exception as error:
            self._note(f"building it raised {_said(error)}")

    def pick(self, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        if self.inner is None:
            return self._any.pick(key, tried)
        try:
            chosen = self.inner.pick(key, None if tried is None else tuple(tried))
        except Exception as error:
            self._note(f"pick raised {_said(error)}")
            return self._any.pick(key, tried)
        # By identity, so that nothing of the user's is called again.
        if id(chosen) not in self._ids or not isinstance(chosen, Candidate):
            return self._instead(chosen, key, tried)
        if tried is not None and chosen in tried:
            return self._instead(chosen, key, tried)
        return chosen

    def _instead(self, chosen: object, key: int, tried: Collection[Candidate] | None) -> Candidate | None:
        another = self._any.pick(key, tried)
        if chosen is None and another is not None:
            self._note("pick gave None although there are endpoints left")
        elif id(chosen) in self._ids:
            self._note("pick gave an endpoint that was tried already")
        elif chosen is not None:
            self._note(f"pick gave a {type(chosen).__name__} that is none of the endpoints")
        return another

    def _note(self, fault: str) -> None:
        self.fault = self.fault or fault


def _said(error: BaseException) -> str:
    """An exception in one line, with the line that raised it."""
    text = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    if isinstance(error, SyntaxError):
        return f"{text} (line {error.lineno})"
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return f"{text} ({Path(places[-1][0]).name}:{places[-1][1]})"
